"""Errors say what they mean, and what would have been right."""

from datetime import UTC, datetime

import pytest

from klines_pipeline.domain import errors
from klines_pipeline.domain.errors import BannedError, KlinesError, RateLimitedError, UnknownNameError, nearest_name

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_a_klines_error_and_stands_in_the_drawing(kind: type[Exception]) -> None:
    assert issubclass(kind, KlinesError)
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "known", "nearest"),
    [
        ("BTCUSD", ["ETHUSDT", "BTCUSDT"], "BTCUSDT"),
        ("btcusdt", ["BNBUSDT", "BTCUSDT"], "BTCUSDT"),
        ("1M", ["1s", "1m", "1h"], "1m"),
        ("spto", ["um", "spot", "cm"], "spot"),
        ("币安人生", ["BTCUSDT", "币安人生USDT"], "币安人生USDT"),
        ("anything", [], None),
    ],
)
def test_the_nearest_known_name_is_offered(name: str, known: list[str], nearest: str | None) -> None:
    assert nearest_name(name, known) == nearest


def test_an_unknown_name_is_told_with_its_kind_place_and_remedy() -> None:
    error = UnknownNameError("market", "spt", ["spot", "um"], where="klines.yaml, line 3")

    assert str(error) == "klines.yaml, line 3: unknown market 'spt'. The nearest valid one is 'spot'."
    assert error.name == "spt"


def test_limits_carry_their_status_and_how_long_they_last() -> None:
    until = datetime(2025, 1, 1, tzinfo=UTC)

    limited, banned = RateLimitedError("slow down", retry_after=7.0), BannedError("out", until=until, seconds=9.0)

    assert (limited.http_status, limited.retry_after) == (429, 7.0)
    assert (banned.http_status, banned.until, banned.seconds) == (418, until, 9.0)
