"""Days with archives, of every symbol the bucket has: what is listed, how often, and what cannot be."""

from collections.abc import Sequence
from datetime import date

import pytest

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.exchanges.binance.markets import MARKETS
from klines_pipeline.exchanges.binance.vision import VisionArchive
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
IMPATIENT = RetryPolicy(attempts=2, first_wait=0.001)


def archive_of(exchange: EmbeddedExchange, market: str) -> VisionArchive:
    """A market's bucket."""
    urls = endpoints_of(exchange)
    return VisionArchive(MARKETS[market], urls["vision_list_url"], urls["vision_download_url"], IMPATIENT)


def page(folders: Sequence[str] = (), keys: Sequence[str] = (), *, truncated: bool = False, end: str = "/") -> Answer:
    """A listing."""
    prefix = "data/spot/daily/klines/"
    prefixes = "".join(f"<CommonPrefixes><Prefix>{prefix}{name}{end}</Prefix></CommonPrefixes>" for name in folders)
    contents = "".join(
        f"<Contents><Key>{prefix}{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
        "<Size>1</Size></Contents>"
        for key in keys
    )
    flag = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
    return Answer(200, f'<ListBucketResult xmlns="{NAMESPACE}">{flag}{contents}{prefixes}</ListBucketResult>'.encode())


@pytest.mark.parametrize(
    ("market", "symbol", "first", "last"),
    [
        ("spot", "BTCUSDT", date(2017, 8, 17), date(2025, 3, 3)),
        ("spot", "币安人生USDT", date(2025, 1, 8), date(2025, 3, 3)),
        ("um", "BTCUSDT", date(2019, 12, 31), date(2025, 3, 3)),
        ("um", "RAYUSDT", date(2021, 8, 24), date(2022, 11, 20)),
        ("um", "CVCUSDTSETTLED", date(2022, 4, 1), date(2022, 5, 31)),
        ("cm", "XMRUSD_PERP", date(2021, 2, 23), date(2024, 2, 16)),
    ],
)
def test_every_symbol_has_its_first_and_last_day_the_delisted_too(
    exchange: EmbeddedExchange, market: str, symbol: str, first: date, last: date
) -> None:
    found = archive_of(exchange, market).archived_days({})

    assert (found.days[symbol][0], found.days[symbol][-1]) == (first, last)
    assert found.failed == {}
    assert found.now == exchange.now()
    assert found.requests == exchange.requests()["listing"]


def test_symbols_known_are_listed_from_a_day_on_in_one_request_each(exchange: EmbeddedExchange) -> None:
    archive = archive_of(exchange, "um")
    whole = archive.archived_days({}).days
    exchange.reset_requests()

    found = archive.archived_days(dict.fromkeys(whole, date(2025, 2, 20)))

    assert found.days == {name: [day for day in days if day >= date(2025, 2, 20)] for name, days in whole.items()}
    assert found.requests == exchange.requests()["listing"] == 1 + len(whole)


def test_junk_and_lonely_checksums_are_no_days(server: ScriptedServer) -> None:
    stem = "BTCUSDT/1d/BTCUSDT-1d-"
    keys = [
        f"{stem}2024-01-01.zip",
        f"{stem}2024-01-01.zip.CHECKSUM",
        f"{stem}2024-01-02.zip.CHECKSUM",
        f"{stem}2024-1.zip",
    ]
    server.script = [page(["BTCUSDT", "part 0"]), page(keys=keys, truncated=True), page(keys=[f"{stem}2024-01-03.zip"])]
    archive = VisionArchive(MARKETS["spot"], server.url, server.url, IMPATIENT)

    found = archive.archived_days({})

    assert found.days == {"BTCUSDT": [date(2024, 1, 1), date(2024, 1, 3)]}
    assert found.requests == len(server.paths) == 3


def test_a_page_of_days_told_as_one_with_their_checksums_is_followed_by_the_next(server: ScriptedServer) -> None:
    stem = "BTCUSDT/1d/BTCUSDT-1d-"
    first = page([f"{stem}2024-01-01.", f"{stem}2024-02-30.", "BTCUSDT/1d/part-00000."], truncated=True, end="")
    server.script = [page(["BTCUSDT"]), first, page([f"{stem}2024-01-02."], end="")]
    archive = VisionArchive(MARKETS["spot"], server.url, server.url, IMPATIENT)

    assert archive.archived_days({}).days == {"BTCUSDT": [date(2024, 1, 1), date(2024, 1, 2)]}
    assert "start-after=data%2Fspot%2Fdaily%2Fklines%2FBTCUSDT%2F1d%2Fpart-00000%2F" in server.paths[2]


def test_a_symbol_that_cannot_be_listed_is_named_and_the_others_are_there(server: ScriptedServer) -> None:
    good = page(keys=["GOODUSDT/1d/GOODUSDT-1d-2024-01-01.zip"])
    server.script = [page(["GOODUSDT"]), good, page(["BADUSDT"]), Answer(500)]
    archive = VisionArchive(MARKETS["spot"], server.url, server.url, IMPATIENT)

    assert archive.archived_days({}).days == {"GOODUSDT": [date(2024, 1, 1)]}
    found = archive.archived_days({})

    assert found.days == {}
    assert list(found.failed) == ["BADUSDT"]


def test_without_the_folders_there_is_no_answer_at_all(server: ScriptedServer) -> None:
    server.script = [Answer(503)]

    with pytest.raises(TransientError, match="503"):
        VisionArchive(MARKETS["spot"], server.url, server.url, IMPATIENT).archived_days({})
