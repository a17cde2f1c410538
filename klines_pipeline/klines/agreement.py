"""Whether two sources say the same of the same klines: rows compared, rows that differ, by how much. No I/O.

Nothing is tolerated in silence: what rounding explains is not a difference, but it stands in the largest one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import day_end, day_start
from klines_pipeline.klines.findings import counted
from klines_pipeline.klines.grid import TimeRange
from klines_pipeline.klines.schema import market_names, slot
from klines_pipeline.klines.truths import Severity, Truth

REST_AGREES = Truth(
    "rest_agrees_with_archive",
    Severity.WARN,
    "REST gives the very klines that the archives have, in a sample: three answers a requested run at most, none where "
    "REST does not serve this address. Remedy: compare the rows named with the archive; where the exchange has "
    "corrected one of the two, the other follows as a new revision of the archive, or never. Where REST had no kline "
    "of any sample, nothing could be compared: run the check again later.",
)
RESAMPLED_EQUALS = Truth(
    "resampled_equals_published",
    Severity.WARN,
    "What was computed from finer klines equals the exchange's own klines of this interval: those in the lake where it "
    "has them, else one symbol's day from REST. Prices and counts exactly, volumes to a millionth. And what the table "
    "has every finer kline of is there. Remedy: materialize the resampled table again where rows are missing; else "
    "compare the rows named: at halts, and where the exchange corrected one interval and not the other, both are its "
    "own words. Where REST had no kline of the sample, nothing could be compared: run the check again later.",
)
SUMMED = 1e-6
"""Volumes are printed with 8 decimals at most, and a coarser kline adds up many of them: this much, in units of the
volume and relative to it, is rounding."""
_EXAMPLES = 20


class Difference(NamedTuple):
    """Rows of one side found on the other, those that say something else or are absent, and by how much at most."""

    rows: int
    differing: int
    largest: float
    """Of |a - b| over the larger of the two; 1 where one side has nothing."""
    first: datetime | None = None
    """Open time of the first that differs."""


def compare(ours: pl.DataFrame, theirs: pl.DataFrame, interval: Interval, *, rounding: float = 0.0) -> Difference:
    """Each of our rows with theirs of the same symbol and slot. Columns that they never fill are not compared.

    `rounding` is allowed in volumes, absolutely and relatively; prices and counts are compared exactly.
    """
    filled = {column.name for column in theirs if column.null_count() < max(theirs.height, 1)}
    names = [name for name in market_names(ours) if name in filled]
    grid = slot(interval.microseconds)
    right = theirs.with_columns(grid).select("symbol", "slot", *names, pl.lit(value=True).alias("found"))
    both = ours.with_columns(grid).join(right, on=["symbol", "slot"], how="left", suffix="_theirs")
    judged = both.select(
        "open_time",
        differs=pl.any_horizontal([_differs(name, rounding) for name in names]) | pl.col("found").is_null(),
        largest=pl.max_horizontal([_distance(name) for name in names]).fill_null(1.0),
    )
    bad = judged.filter("differs")
    largest = float(judged["largest"].max() or 0.0)  # type: ignore[arg-type]
    return Difference(ours.height, bad.height, largest, bad["open_time"].min())  # type: ignore[arg-type]


def _distance(name: str) -> pl.Expr:
    mine, other = pl.col(name), pl.col(f"{name}_theirs")
    scale = pl.max_horizontal(mine.abs(), other.abs())
    same = mine.eq_missing(other)
    lone = mine.is_null() | other.is_null()
    return pl.when(same).then(0.0).when(lone).then(1.0).otherwise((mine - other).abs() / scale)


def _differs(name: str, rounding: float) -> pl.Expr:
    mine, other = pl.col(name), pl.col(f"{name}_theirs")
    same = mine.eq_missing(other)
    if not name.endswith("volume") or not rounding:
        return ~same
    allowed = rounding * pl.max_horizontal(mine.abs(), other.abs(), 1.0)
    return ~same & ~((mine - other).abs() <= allowed).fill_null(value=False)


class Disagreement(NamedTuple):
    """One comparison in which rows differ."""

    day: date
    symbol: str
    what: str

    def __str__(self) -> str:
        return f"{self.day} {self.symbol}: {self.what}"


@dataclass(slots=True)
class Comparison:
    """Many differences together, and why anything was not compared."""

    rows: int = 0
    differing: int = 0
    largest: float = 0.0
    requests: int = 0
    unanswered: int = 0
    """Samples that the lake has and of which the other side, heard, had nothing at all."""
    illegible: int = 0
    """Days of which a file cannot be read."""
    disagreements: int = 0
    bad_days: list[str] = field(default_factory=list)
    examples: list[Disagreement] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs, every file was read, and not all that was asked about met silence."""
        return not (self.differing or self.illegible or (self.unanswered and not self.rows))

    def add(self, day: date, what: str, found: Difference) -> None:
        """Note what was found of a day; `what` are its symbols in words."""
        self.rows += found.rows
        self.differing += found.differing
        self.largest = max(self.largest, found.largest)
        if not found.differing:
            return
        self.disagreements += 1
        if str(day) not in self.bad_days:
            self.bad_days.append(str(day))
        if len(self.examples) < _EXAMPLES:
            text = f"{found.differing} of {counted(found.rows, 'row')}, the first at {found.first:%H:%M:%S}"
            self.examples.append(Disagreement(day, what, text))

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        found = (
            f"{counted(self.rows, 'row')} compared, {self._differing()}"
            if self.rows or self.differing
            else "Nothing was compared."
        )
        return " ".join([found, *self._silence()])

    def _differing(self) -> str:
        if not self.differing:
            return "none differs."
        return f"{self.differing:,} differ, by {100 * self.largest:.3g} % at most: {self.examples[0]}."

    def _silence(self) -> list[str]:
        more = f" And {len(self.not_compared) - 1} more." if len(self.not_compared) > 1 else ""
        return [f"{'Not compared: ' if self.rows else ''}{self.not_compared[0]}{more}"] if self.not_compared else []

    def lack(self, day: date, symbol: str, rows: int, first: datetime) -> None:
        """Note rows that should have been computed and are not there."""
        self.differing += rows
        self.largest = 1.0
        self.disagreements += 1
        self.bad_days = sorted({*self.bad_days, str(day)})
        if len(self.examples) < _EXAMPLES:
            text = f"{counted(rows, 'row')} not resampled, the first at {first:%H:%M:%S}"
            self.examples.append(Disagreement(day, symbol, text))

    def give_up(self, day: date, why: str) -> None:
        """Note a day that cannot be compared because a file of it is damaged."""
        self.illegible += 1
        self.bad_days = sorted({*self.bad_days, str(day)})
        self.not_compared.append(f"{day}: {why}")


def owed(keys: pl.DataFrame, finer: Interval, interval: Interval) -> pl.DataFrame:
    """(symbol, open_time) of the klines of `interval` of which every finer one is among `keys`, sorted."""
    opens = pl.col("open_time").dt.truncate(interval.name)
    slots = keys.with_columns(slot(finer.microseconds)).group_by("symbol", opens).agg(pl.col("slot").n_unique())
    whole = slots.filter(pl.col("slot") == interval.microseconds // finer.microseconds)
    return whole.select("symbol", "open_time").sort("symbol", "open_time")


def in_drawn_order(things: Iterable[str], salt: str) -> list[str]:
    """An order that looks like chance and is the same each time."""
    return sorted(things, key=lambda thing: blake2b(f"{salt} {thing}".encode(), digest_size=8).digest())


def drawn_window(day: date, interval: Interval, limit: int, salt: str) -> TimeRange:
    """One of the day's stretches of `limit` klines, from midnight on."""
    starts = range(0, interval.bars_per_day, limit)
    drawn = in_drawn_order(map(str, starts), f"{salt} {day}")[0]
    start = day_start(day) + int(drawn) * interval.duration
    return TimeRange(start, min(start + limit * interval.duration, day_end(day)))
