"""The days that nobody will mend unless asked to: read from certificates, day by day, each with what is wrong with it.

Of tables only a listing is read, no rows: damage that keeps a file's size is for checks to find. Only what the lake
says is looked at here; what Dagster says of the same days is handed in as `said`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any, NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.states import RUN_MAY_CLOSE
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.domain.wanted import Kind, Wanted, newest_first
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.grid import TimeRange, subtract
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, SliceEntry
from klines_pipeline.klines.slices import answered_ranges
from klines_pipeline.stages.seal import broken_at_a_glance
from klines_pipeline.stages.topup import load_slices
from klines_pipeline.stages.watching.newly_meant import NewlyMeant
from klines_pipeline.stages.watching.second_looks import SecondLooks, second_looks
from klines_pipeline.storage.described import describe_many
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_many, stored_days, stored_sizes

Said = Mapping[date, Sequence[str]]
"""What others know to be wrong with a day, in words."""
Closable = Callable[[date, pl.DataFrame], pl.DataFrame]
"""Of a day's certificates, those with gaps that another run may close."""

_NAMED_DAYS = 5
TURNS = 7
"""What is too much for a day is gone through within so many days."""
_PROOF = "ledger/certificates"
_COLUMNS = pl.Schema({name: CERTIFICATE_SCHEMA[name] for name in ("symbol", "expected", "missing_ranges", "reason")})


def examined_days(start: date, today: date, count: int) -> list[date]:
    """The last `count` days before `today`, none before `start`."""
    return list(days_between(max(start, today - timedelta(days=count)), today - timedelta(days=1)))


def older_days(lake: Lake, dataset: Dataset, before: date, today: date, longest: int) -> list[date]:
    """A seventh of the days merged before `before`, another one on each day of a week: whole stretches of `longest`
    days of the calendar, as `newest_first` has them.
    """
    stored = stored_days(lake, _PROOF, *dataset.prefix, str(dataset.interval))
    return in_turn((day for day in stored if dataset.start <= day < before), today, longest)


def in_turn(days: Iterable[date], today: date, longest: int) -> list[date]:
    """Those of the days that it is the turn of, by the stretches of the calendar they lie in."""
    turn = today.toordinal() % TURNS
    return [day for day in days if day.toordinal() // longest % TURNS == turn]


def symbols_held(lake: Lake, dataset: Dataset) -> int:
    """Symbols of a day: those klines.yaml names, else those certified on the newest day."""
    stored = stored_days(lake, _PROOF, *dataset.prefix, str(dataset.interval))
    if dataset.symbols or not stored:
        return len(dataset.symbols)
    return read_many(lake, [DayPaths.of(dataset, stored[-1]).certificates], _COLUMNS).height


def wanted_repairs(lake: Lake, dataset: Dataset, days: Sequence[date], today: date, said: Said) -> list[Wanted]:
    """The days that are missing, damaged, incomplete though REST could still be asked, or not resampled, those of which
    a second look tells more, and those `said` names. Gaps on which REST has been heard no run closes: certificates and
    checks tell of them, and an archive that may still come is watched for elsewhere.
    """
    found = _problems(lake, dataset, days, said, today, partial(_unheard, lake, dataset))
    return [*repairs(found.wrong), *_second_looks(found, 1)]


def older_repairs(
    lake: Lake, dataset: Dataset, days: Sequence[date], today: date, said: Said, longest: int
) -> list[Wanted]:
    """The same of days long ago, newest first, a wish a stretch; a gap counts only if its reason may pass."""
    passing = pl.col("reason").str.contains_any([str(reason) for reason in RUN_MAY_CLOSE])

    def closable(day: date, rows: pl.DataFrame) -> pl.DataFrame:
        return _unheard(lake, dataset, day, rows.filter(passing))

    found = _problems(lake, dataset, days, said, today, closable)
    return [*repairs_in_stretches(found.wrong, longest), *_second_looks(found, longest)]


def repairs_in_stretches(wrong: Said, longest: int) -> list[Wanted]:
    """Newest first, a wish a stretch of the calendar."""
    stretches = newest_first((day for day, problems in wrong.items() if problems), longest)
    return [wish for stretch in stretches for wish in repairs({day: wrong[day] for day in stretch})]


def repairs(wrong: Said) -> list[Wanted]:
    """One wish for the days with which something is wrong; that is the news."""
    told = {day: ", ".join(problems) for day, problems in sorted(wrong.items()) if problems}
    named = some_of((f"{day} {problems}" for day, problems in told.items()), _NAMED_DAYS, "; ")
    return [Wanted(Kind.REPAIR, (*told,), f"{len(told)} day(s): {named}", told)] if told else []


def _second_looks(found: "_Found", longest: int) -> list[Wanted]:
    """At days with which nothing else is wrong: once each, whatever comes of it, until the look has another name."""
    ended, damaged = found.looks.ended, found.looks.damaged
    days = [day for day in {*ended, *damaged} if not found.wrong[day]]
    return [
        replace(wish, news={day: f"{ended.get(day)} {damaged.get(day)}" for day in stretch}, once=True)
        for stretch in newest_first(days, longest)
        for wish in repairs({day: [*_to_look_at(found.looks, day)] for day in stretch})
    ]


def _unheard(lake: Lake, dataset: Dataset, day: date, rows: pl.DataFrame) -> pl.DataFrame:
    """Certificates with gaps on which REST has not been heard for good."""
    slices = load_slices(lake, dataset, day).values() if rows["missing_ranges"].list.len().sum() else ()
    unasked = [_may_be_closed(row, slices) for row in rows.iter_rows(named=True)]
    return rows.filter(pl.Series(unasked, dtype=pl.Boolean))


class _Found(NamedTuple):
    """What is wrong with each day, and what a second look is for."""

    wrong: Said
    looks: SecondLooks


def _problems(
    lake: Lake, dataset: Dataset, days: Sequence[date], said: Said, today: date, closable: Closable
) -> _Found:
    """Of each day; gaps that are not `closable` are left alone."""
    where = (*dataset.prefix, str(dataset.interval))
    merged = set(stored_days(lake, _PROOF, *where))
    paths = {day: DayPaths.of(dataset, day).certificates for day in days if day in merged}
    read, sizes = describe_many(lake, paths, CERTIFICATE_SCHEMA), stored_sizes(lake, "klines", *where)
    parts = read.rows.partition_by("date")
    asked_for = pl.concat([read.rows.clear(), *(_asked_for(dataset, rows) for rows in parts)])
    newly_meant = NewlyMeant.of(lake, dataset)
    daily = [interval for interval in dataset.resample if isinstance(interval, Interval)]
    made = {interval: set(stored_days(lake, "resampled_klines", *dataset.prefix, str(interval))) for interval in daily}

    def wrong(day: date, certificates: pl.DataFrame) -> Iterator[str]:
        yield from broken_at_a_glance(read.metadata[day], certificates.drop("date"), sizes.get(day))
        yield from _of_certificates(dataset, day, certificates, closable)
        if unasked := newly_meant.on(day, frozenset(certificates["symbol"])):
            yield f"was never asked for {_symbols(unasked)} that the filter means now"
        yield from (f"resampled_klines_{interval} is missing" for interval in daily if day not in made[interval])

    found = problems((read.rows, read.damaged), days, paths, said, wrong)
    return _Found(found, second_looks(lake, dataset, asked_for, today))


def problems(
    read: tuple[pl.DataFrame, Mapping[date, DamagedFileError]],
    days: Sequence[date],
    merged: Collection[date],
    said: Said,
    wrong: Callable[[date, pl.DataFrame], Iterable[str]],
) -> Said:
    """What is wrong with each day, nothing twice. `read`: certificates of the days that were merged, and which of them
    are damaged; `wrong`: what a day's tell.
    """
    certificates, damaged = read
    by_day = {rows["date"][0]: rows for rows in certificates.partition_by("date")}
    found = {day: [*said.get(day, ()), *([] if day in merged else ["was never materialized"])] for day in days}
    for day in set(days).intersection(merged):
        try:
            if day in damaged:
                raise damaged[day]
            found[day] += wrong(day, by_day.get(day, certificates.clear()))
        except DamagedFileError as error:
            found[day].append(str(error))
    return {day: [*dict.fromkeys(told)] for day, told in found.items()}


def _of_certificates(dataset: Dataset, day: date, rows: pl.DataFrame, closable: Closable) -> Iterator[str]:
    """What is wrong with the certificates of a day that was merged."""
    yield from never_asked(dataset.symbols, rows)
    asked = _asked_for(dataset, rows)
    if unfinished := asked.filter(pl.col("expected") < dataset.interval.bars_per_day).height:
        yield in_part(unfinished)
    yield from unexplained(closable(day, asked))


def _to_look_at(looks: SecondLooks, day: date) -> Iterator[str]:
    if ended := looks.ended.get(day):
        yield f"may be told the end of {_symbols(len(ended))} by now"
    if damaged := looks.damaged.get(day):
        yield f"has a damaged archive to be tried again, {_symbols(len(damaged))}"


def _asked_for(dataset: Dataset, certificates: pl.DataFrame) -> pl.DataFrame:
    """Those of symbols that klines.yaml names; of a filter, those that reach as far as any."""
    if dataset.chosen is None:
        return certificates.filter(pl.col("symbol").is_in(dataset.symbols))
    return certificates.filter(pl.col("expected") == pl.col("expected").max())


def _may_be_closed(certificate: Mapping[str, Any], slices: Collection[SliceEntry]) -> bool:
    """Whether REST has not been heard for good on all that is missing: a run would ask it for that alone."""
    answered = answered_ranges([entry for entry in slices if entry.symbol == certificate["symbol"]])
    gaps = [TimeRange(gap["start"], gap["end"]) for gap in certificate["missing_ranges"]]
    return bool(subtract(gaps, answered))


def never_asked(named: Collection[str], certificates: pl.DataFrame) -> Iterator[str]:
    """Symbols of klines.yaml that have no certificate: they came into it after the day was made."""
    if unknown := set(named).difference(certificates["symbol"]):
        yield f"was never asked for {_symbols(len(unknown))}"


def in_part(symbols: int) -> str:
    """Of a day that ended since it was certified, and that nobody has certified anew."""
    return f"is certified in part only, {_symbols(symbols)}"


def unexplained(certificates: pl.DataFrame) -> Iterator[str]:
    """`blocked 3 symbols`: reasons that are not the exchange's own, the most frequent first."""
    reasons = Counter(reason for reason in certificates["reason"] if not is_explained(reason))
    for reason, symbols in reasons.most_common():
        yield f"{reason} {_symbols(symbols)}"


def _symbols(count: int) -> str:
    return f"{count} symbol" if count == 1 else f"{count} symbols"
