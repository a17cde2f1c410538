"""The days that nobody will mend unless asked to: read from certificates, day by day, each with what is wrong with it.

Only what the lake says is looked at here; what Dagster says of the same days is handed in as `said`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.grid import TimeRange, subtract
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, SliceEntry
from klines_pipeline.klines.slices import answered_ranges
from klines_pipeline.stages.topup import load_slices
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table

Said = Mapping[date, Sequence[str]]
"""What others know to be wrong with a day, in words."""

_NAMED_DAYS = 5


def examined_days(start: date, today: date, count: int) -> list[date]:
    """The last `count` days before `today`, none before `start`."""
    return list(days_between(max(start, today - timedelta(days=count)), today - timedelta(days=1)))


def wanted_repairs(lake: Lake, dataset: Dataset, days: Sequence[date], today: date, said: Said) -> list[Wanted]:
    """The days that are missing, damaged, incomplete though REST could still be asked, or not resampled, and those
    `said` names. Gaps on which REST has been heard no run closes: certificates and checks tell of them.
    """
    return repairs({day: [*said.get(day, ()), *_wrong(lake, dataset, day)] for day in days}, today)


def repairs(wrong: Said, today: date) -> list[Wanted]:
    """One wish for the days with which something is wrong; the news is the day on which that was found."""
    days = tuple(day for day, problems in sorted(wrong.items()) if problems)
    if not days:
        return []
    named = "; ".join(f"{day} {', '.join(wrong[day])}" for day in days[:_NAMED_DAYS])
    more = f"; and {len(days) - _NAMED_DAYS} more" if len(days) > _NAMED_DAYS else ""
    reason = f"{len(days)} day(s): {named}{more}"
    return [Wanted(Kind.REPAIR, days, reason, dict.fromkeys(days, f"found on {today}"))]


def _wrong(lake: Lake, dataset: Dataset, day: date) -> Iterator[str]:
    paths = DayPaths.of(dataset, day)
    try:
        rows = _asked_for(dataset, read_table(lake, paths.certificates, CERTIFICATE_SCHEMA))
        slices = load_slices(lake, dataset, day).values()
    except DamagedFileError as error:
        yield str(error)
        return
    if rows.is_empty() and lake.size(paths.certificates) is None:
        yield "was never materialized"
        return
    yield from never_asked(dataset.symbols, rows)
    if unfinished := rows.filter(pl.col("expected") < dataset.interval.bars_per_day).height:
        yield f"is certified in part only, {_symbols(unfinished)}"
    open_gaps = [_may_be_closed(row, slices) for row in rows.iter_rows(named=True)]
    yield from unexplained(rows.filter(pl.Series(open_gaps, dtype=pl.Boolean)))
    for interval in dataset.resample:
        if isinstance(interval, Interval) and lake.size(paths.resampled(interval)) is None:
            yield f"resampled_klines_{interval} is missing"


def _asked_for(dataset: Dataset, certificates: pl.DataFrame) -> pl.DataFrame:
    """Those of symbols that klines.yaml names; a filter chose its own when the day was made."""
    return certificates.filter(pl.col("symbol").is_in(dataset.symbols)) if dataset.chosen is None else certificates


def _may_be_closed(certificate: Mapping[str, Any], slices: Collection[SliceEntry]) -> bool:
    """Whether REST has not been heard for good on all that is missing: a run would ask it for that alone."""
    answered = answered_ranges([entry for entry in slices if entry.symbol == certificate["symbol"]])
    gaps = [TimeRange(gap["start"], gap["end"]) for gap in certificate["missing_ranges"]]
    return bool(subtract(gaps, answered))


def never_asked(named: Collection[str], certificates: pl.DataFrame) -> Iterator[str]:
    """Symbols of klines.yaml that have no certificate: they came into it after the day was made."""
    if unknown := set(named).difference(certificates["symbol"]):
        yield f"was never asked for {_symbols(len(unknown))}"


def unexplained(certificates: pl.DataFrame) -> Iterator[str]:
    """`blocked 3 symbols`: reasons that are not the exchange's own, the most frequent first."""
    reasons = Counter(reason for reason in certificates["reason"] if not is_explained(reason))
    for reason, symbols in reasons.most_common():
        yield f"{reason} {_symbols(symbols)}"


def _symbols(count: int) -> str:
    return f"{count} symbol" if count == 1 else f"{count} symbols"
