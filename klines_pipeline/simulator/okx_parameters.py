"""Reading the query of a request the way OKX does: its codes and its words. Unknown parameters are not looked at."""

import re
from dataclasses import dataclass

from multidict import MultiMapping

from klines_pipeline.simulator.okx_bars import BARS, Bar
from klines_pipeline.simulator.okx_instruments import Instrument

_NUMBER = re.compile(r"[0-9]{1,16}")
"""Sixteen digits of ms are the year 318,857: enough, and exact in µs."""


class OkxError(Exception):
    """A refusal in the envelope, `{"code", "msg", "data"}`; many come with HTTP 200."""

    def __init__(self, code: str, message: str, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows: strictly earlier than `after`, strictly later than `before` (ms), the newest `rows` of them."""

    after: int | None
    before: int | None
    rows: int


def read_text(query: MultiMapping[str], name: str) -> str:
    """A parameter that must be there."""
    found = query.get(name, "")
    if not found:
        raise OkxError("50014", f"Parameter {name} can not be empty.", status=400)
    return found


def read_bar(query: MultiMapping[str]) -> Bar:
    """The bar size, one minute by default. Case matters: `1m` is a minute, `1M` a month, `1h` nothing."""
    bar = BARS.get(query.get("bar") or "1m")
    if bar is None:
        raise OkxError("51000", "Parameter bar error")
    return bar


def read_page(query: MultiMapping[str], *, default_rows: int, most_rows: int) -> Page:
    """Bounds and limit; a larger limit is answered with the most there is."""
    rows = _number(query, "limit")
    if rows == 0:
        raise OkxError("51000", "Parameter limit error")
    wanted = default_rows if rows is None else rows
    return Page(after=_number(query, "after"), before=_number(query, "before"), rows=min(wanted, most_rows))


def unknown_instrument() -> OkxError:
    """No such instrument, or not any more."""
    return OkxError("51001", "Instrument ID doesn't exist.")


def check_swap(instrument: Instrument) -> Instrument:
    """Refuse what has no funding."""
    if instrument.kind == "spot":
        raise OkxError("51000", "Parameter instId error")
    return instrument


def _number(query: MultiMapping[str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise OkxError("51000", f"Parameter {name} error")
    return int(text)
