"""Reading the query of a REST request the way the exchange does: its codes, its texts, its order of complaints."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from multidict import MultiMapping

_SYMBOL = re.compile(r"[\w.\-]{1,20}")
_NUMBER = re.compile(r"[0-9]{1,20}")
_LARGEST_MILLISECONDS = 10**14
"""Larger times are µs: this many ms is the year 5138."""


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


def read_klines_query(query: MultiMapping[str], *, default_rows: int, most_rows: int) -> KlineQuery:
    """Check everything that does not need to know the market."""
    names = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
    known = check_names(query, names, mandatory=("symbol", "interval"))
    symbol, interval = known["symbol"], known["interval"]
    check_symbol(symbol)
    rows = _number(known, "limit")
    if rows == 0:
        raise RestError(-1130, "Data sent for parameter 'limit' is not valid.")
    if known.get("timeZone", "0") not in {"0", "00:00", "0:00"}:
        raise RestError(-1130, "Data sent for parameter 'timeZone' is not valid.")
    kept = default_rows if rows is None else min(rows, most_rows)
    return KlineQuery(symbol, interval, _time(known, "startTime"), _time(known, "endTime"), kept)


def check_names(query: MultiMapping[str], names: Sequence[str], *, mandatory: Sequence[str] = ()) -> Mapping[str, str]:
    """Refuse duplicate and empty parameters, then missing ones, then unknown ones."""
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
    if read < len(keys):
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


def _number(known: Mapping[str, str], name: str) -> int | None:
    text = known.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def _time(known: Mapping[str, str], name: str) -> int | None:
    value = _number(known, name)
    if value is None:
        return None
    return min(value * 1000 if value < _LARGEST_MILLISECONDS else value, 2**62)
