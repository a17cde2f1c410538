"""Reading the query of a REST request the way the exchange does: its codes, its texts, its order of complaints."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multidict import MultiMapping

from klines_pipeline.simulator.markets import MarketRules

_SYMBOL = re.compile(r"[\w.\-]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_LARGEST_MILLISECONDS = 10**14
"""Larger times are µs: this many ms is the year 5138."""
_DEFAULT_SETTLEMENTS = 100
_MOST_SETTLEMENTS = 1000


class RestError(Exception):
    """A refusal with the exchange's own code, `{"code": ..., "msg": ...}`."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class KlineQuery:
    """A checked klines request; times in µs, both included."""

    symbol: str
    interval: str
    start: int | None
    end: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class FundingQuery:
    """A checked request for settlements; times in ms, both included."""

    symbol: str | None
    start: int | None
    end: int | None
    rows: int


def read_klines_query(query: MultiMapping[str], rules: MarketRules) -> KlineQuery:
    """Check everything that does not need to know the symbols. Only spot counts µs, knows zones, refuses strangers."""
    names: tuple[str, ...] = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
    known = check_names(query, names, mandatory=("symbol", "interval"), strangers=rules.is_futures)
    symbol, interval = known["symbol"], known["interval"]
    check_symbol(symbol)
    kept = _rows(known, rules.default_rows, rules.most_rows, caps=rules.caps_rows)
    if rules.is_futures:
        start, end = (_milliseconds(known, name) for name in ("startTime", "endTime"))
        return KlineQuery(
            symbol, interval, None if start is None else start * 1000, None if end is None else end * 1000, kept
        )
    if known.get("timeZone", "0") not in {"0", "00:00", "0:00"}:
        raise RestError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    return KlineQuery(symbol, interval, _time(known, "startTime"), _time(known, "endTime"), kept)


def read_funding_query(query: MultiMapping[str], *, needs_symbol: bool) -> FundingQuery:
    """Check a request for settlements."""
    mandatory = ("symbol",) if needs_symbol else ()
    known = check_names(query, ("symbol", "startTime", "endTime", "limit"), mandatory=mandatory, strangers=True)
    if "symbol" in known:
        check_symbol(known["symbol"])
    rows = _rows(known, _DEFAULT_SETTLEMENTS, _MOST_SETTLEMENTS, caps=False)
    return FundingQuery(known.get("symbol"), _milliseconds(known, "startTime"), _milliseconds(known, "endTime"), rows)


def check_names(
    query: MultiMapping[str], names: Sequence[str], *, mandatory: Sequence[str] = (), strangers: bool = False
) -> Mapping[str, str]:
    """Refuse duplicate and empty parameters, then missing ones, then unknown ones if `strangers` are not let pass."""
    keys = [key for key, _ in query.items()]  # keys() of multidict 7 are unique
    for key in keys:
        if keys.count(key) > 1:
            raise RestError(-1101, f"Duplicate values for parameter '{key}'.")
        if key in names and not query[key]:
            raise RestError(-1105, f"Parameter '{key}' was empty.")
    for name in mandatory:
        if name not in keys:
            raise RestError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    read = sum(key in names for key in keys)
    if read < len(keys) and not strangers:
        raise RestError(
            -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(keys)}'."
        )
    return {key: query[key] for key in keys if key in names}


def check_symbol(symbol: str, *, parameter: str = "symbol") -> None:
    """Upper-case letters, digits, `-_.`, and letters of scripts without case."""
    if not _SYMBOL.fullmatch(symbol) or symbol != symbol.upper():
        raise RestError(
            -1100,
            f"Illegal characters found in parameter '{parameter}'; legal range is '^[A-Z0-9-_.]{{1,20}}$'.",
        )


def check_known(symbol: str, symbols: Iterable[str]) -> None:
    """Refuse a symbol the market never had."""
    if symbol not in symbols:
        raise RestError(-1121, "Invalid symbol.")


def _rows(known: Mapping[str, str], usual: int, most: int, *, caps: bool) -> int:
    rows = _number(known, "limit")
    if rows is None:
        return usual
    if rows == 0 or (rows > most and not caps):
        raise RestError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(rows, most)


def _number(known: Mapping[str, str], name: str) -> int | None:
    text = known.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def _milliseconds(known: Mapping[str, str], name: str) -> int | None:
    value = _number(known, name)
    return None if value is None else min(value, _LARGEST_MILLISECONDS)


def _time(known: Mapping[str, str], name: str) -> int | None:
    value = _number(known, name)
    if value is None:
        return None
    return min(value * 1000 if value < _LARGEST_MILLISECONDS else value, 2**62)
