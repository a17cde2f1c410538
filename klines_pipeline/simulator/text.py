"""Klines as text: rows of a Vision CSV and of a REST answer, rendered column-wise with numpy (2 ms for 1,440 rows).

Which unit and decimals a file or an answer uses is the caller's choice.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from klines_pipeline.simulator.columns import DECIMALS, Klines
from klines_pipeline.simulator.hashing import Flags, Ints

TimeUnit = Literal["ms", "us"]
Bytes = NDArray[np.uint8]

HEADER = (
    b"open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    b"taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
"""The line of names where there is one; COIN-M's has the same words for contracts and base volumes."""
_VOLUMES, _QUOTES = frozenset({5, 9}), frozenset({7, 10})

_UP_TO_9999 = "".join(f"{number:04d}" for number in range(10_000)).encode()
_FOUR_DIGITS: Bytes = np.frombuffer(_UP_TO_9999, np.uint8).reshape(-1, 4)
_ROWS_AT_ONCE = 8_640
"""A tenth of a day of seconds: larger tables leave the processor's cache."""


@dataclass(frozen=True, slots=True)
class Decimals:
    """How many decimals are written, by column."""

    price: int
    volume: int
    quote: int

    def at(self, place: int) -> int:
        """Decimals of a column, by its place on the wire."""
        if place in _QUOTES:
            return self.quote
        return self.volume if place in _VOLUMES else self.price


EIGHT = Decimals(DECIMALS, DECIMALS, DECIMALS)


def _digits(values: Ints, groups: int) -> Bytes:
    parts = []
    for _ in range(groups):
        values, rest = np.divmod(values, 10_000)
        parts.append(_FOUR_DIGITS[rest])
    return np.concatenate(parts[::-1], axis=1)


def _significant(values: Ints, width: int) -> Flags:
    """Which of the `width` digits are not leading zeros; the last one always stays."""
    bounds = np.array([10 ** (width - 1 - place) for place in range(width)], dtype=np.int64)
    kept = values[:, np.newaxis] >= bounds
    kept[:, -1] = True
    return kept


def _groups(values: Ints) -> int:
    """Groups of four digits that hold the largest value."""
    return -(-len(str(int(values.max()))) // 4)


def _integer(values: Ints) -> tuple[Bytes, Flags]:
    groups = _groups(values)
    return _digits(values, groups), _significant(values, 4 * groups)


def _decimal(values: Ints, decimals: int) -> tuple[Bytes, Flags]:
    groups = max(_groups(values), DECIMALS // 4 + 1)
    digits, whole = _digits(values, groups), 4 * groups - DECIMALS
    point = np.full((len(values), 1), ord("."), dtype=np.uint8)
    text = np.concatenate([digits[:, :whole], point, digits[:, whole:]], axis=1)
    kept = np.ones(text.shape, dtype=np.bool_)
    kept[:, :whole] = _significant(values // 10**DECIMALS, whole)
    width = whole + 1 + decimals if decimals else whole
    return text[:, :width], kept[:, :width]


def _literal(text: str, rows: int) -> tuple[Bytes, Flags]:
    letters = np.frombuffer(text.encode(), np.uint8)
    return np.broadcast_to(letters, (rows, len(letters))), np.ones((rows, len(letters)), dtype=np.bool_)


def _render(klines: Klines, unit: TimeUnit, decimals: Decimals, *, opening: str, quote: str, closing: str) -> bytes:
    rows = len(klines)
    per_unit = 1000 if unit == "ms" else 1
    pieces = [_literal(opening, rows)]
    for place, column in enumerate(klines.columns()):
        if place in {0, 6}:
            pieces += [_integer(column // per_unit), _literal(",", rows)]
        elif place == 8:
            pieces += [_integer(column), _literal(",", rows)]
        else:
            pieces += [_literal(quote, rows), _decimal(column, decimals.at(place)), _literal(f"{quote},", rows)]
    pieces.append(_literal(closing, rows))
    text = np.concatenate([letters for letters, _ in pieces], axis=1)
    kept = np.concatenate([flags for _, flags in pieces], axis=1)
    letters: Bytes = text[kept]
    return letters.tobytes()


def csv_rows(klines: Klines, unit: TimeUnit, decimals: Decimals = EIGHT) -> bytes:
    """The rows of an archive's member: 12 columns, newline after each row."""
    parts = (klines.take(slice(first, first + _ROWS_AT_ONCE)) for first in range(0, len(klines), _ROWS_AT_ONCE))
    return b"".join(_render(part, unit, decimals, opening="", quote="", closing="0\n") for part in parts)


def json_rows(klines: Klines, unit: TimeUnit, decimals: Decimals = EIGHT) -> bytes:
    """The body of a REST kline answer."""
    if not len(klines):
        return b"[]"
    return b"[" + _render(klines, unit, decimals, opening="[", quote='"', closing='"0"],')[:-1] + b"]"


def parse_csv(text: str, *, microseconds_from: int = 10**14) -> Klines:
    """Read an archive's member back, header or none, ms or µs; decimals become counts of 1e-8."""
    lines = [line.split(",") for line in text.splitlines() if line[:1].isdigit()]
    table = np.array([_parse_row(line) for line in lines], dtype=np.int64).reshape(-1, 11)
    columns = [np.ascontiguousarray(table[:, place]) for place in range(11)]
    if len(lines) and columns[0][0] < microseconds_from:
        columns[0], columns[6] = columns[0] * 1000, columns[6] * 1000
        columns[6] = np.where(columns[6] % 1_000_000 == 999_000, columns[6] + 999, columns[6])
    return Klines(*columns)


def _parse_row(cells: list[str]) -> list[int]:
    return [int(cell) if place in {0, 6, 8} else _parse_decimal(cell) for place, cell in enumerate(cells[:11])]


def _parse_decimal(cell: str) -> int:
    whole, _, fraction = cell.partition(".")
    return int(whole + fraction.ljust(DECIMALS, "0")[:DECIMALS])
