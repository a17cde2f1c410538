"""What may be a symbol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.domain.symbol import check_symbol


@pytest.mark.parametrize(
    "symbol", ["BTCUSDT", "1000SATSUSDT", "BTCUSD_PERP", "BTC-USDT-SWAP", "币安人生USDT", "BTCUSDT_250328"]
)
def test_symbols_as_exchanges_print_them_are_taken_as_they_are(symbol: str) -> None:
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        *("", ".", "..", "../BTCUSDT", ".hidden", "_temporary", "-rf", "A" * 61),
        *("A/B", "A\\B", "A\0B", "A B", "A\nB", "BTC*", "BTC?", "A=B", "A%2FB", "A#B", "A:B", "\u202eBTC", "\ud800"),
    ],
)
def test_what_could_leave_the_lake_or_break_a_key_is_refused_by_name(symbol: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^klines\.yaml: .* cannot be a symbol"):
        check_symbol(symbol, where="klines.yaml")


@given(st.text())
def test_an_accepted_symbol_is_one_harmless_folder_name(symbol: str) -> None:
    try:
        check_symbol(symbol)
    except ConfigurationError:
        return
    assert symbol not in ("", ".", "..")
    assert not set(symbol) & set("/\\\0\n=%*?:")
    assert not symbol.startswith((".", "_"))
    assert symbol.isprintable()
