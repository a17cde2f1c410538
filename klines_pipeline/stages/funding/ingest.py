"""Days of funding through the stages: archives of whole months, REST for stretches of days, then a table a day.

The stages are those of klines in small. A symbol that cannot be had spoils neither the other symbols nor the other
days.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby

from klines_pipeline.domain.errors import KlinesError, TransientError, UnknownNameError, may_pass
from klines_pipeline.domain.utc_day import EPOCH, day_start
from klines_pipeline.exchanges.funding import FundingSource, FundingSurvey
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.stages.funding import state as funding_state
from klines_pipeline.stages.funding.archive import FundingWorkshop, archive_month
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse, source_of
from klines_pipeline.stages.funding.merge import merge
from klines_pipeline.stages.funding.newcomers import without_archives
from klines_pipeline.stages.funding.outlook import FundingOutlook
from klines_pipeline.stages.funding.renewal import Renewed, renew
from klines_pipeline.stages.funding.results import ArchivedFunding, FundingDay, ToppedUpFunding
from klines_pipeline.stages.funding.state import MirrorRows
from klines_pipeline.stages.funding.topup import top_up
from klines_pipeline.stages.legible import look_at_each
from klines_pipeline.stages.results import named_failures
from klines_pipeline.storage.lake import Lake

_MONTHS_AT_ONCE = 12
_DOWNLOAD_THREADS = 16
_REST_THREADS = 8


class FundingStage(StrEnum):
    """The three steps of a day, named as the assets are."""

    VISION = "vision_funding"
    REST = "rest_funding"
    FUNDING = "funding"


ALL_FUNDING_STAGES = frozenset(FundingStage)


@dataclass(slots=True)
class FundingIngest:
    """One run: where from, where to, what, and who is told how far it is."""

    lake: Lake
    market: Market
    dataset: FundingDataset
    stages: Collection[FundingStage] = ALL_FUNDING_STAGES
    log: Callable[[str], None] = print
    universe: FundingUniverse = field(init=False)
    broken: str | None = None

    def __post_init__(self) -> None:
        self.universe = FundingUniverse(self.market, self.dataset, self.log)

    def days(self, days: Sequence[date]) -> Iterator[FundingDay]:
        """Each day's result once, ascending. ConfigurationError where the market or no symbol has funding.

        UnknownNameError, before any day begins, for a symbol that nobody ever had.
        """
        source = source_of(self.market, self.dataset)
        months = [(month, tuple(found)) for month, found in groupby(sorted({*days}), key=month_of)]
        with ExitStack() as stack:
            stack.callback(self.market.api.close)
            self.universe.check_contracts()
            folder = stack.enter_context(self.lake.incoming())
            downloads = stack.enter_context(ThreadPoolExecutor(_DOWNLOAD_THREADS, "download"))
            rest = stack.enter_context(ThreadPoolExecutor(_REST_THREADS, "rest"))
            stack.callback(downloads.shutdown, wait=True, cancel_futures=True)
            lists, asks = FundingStage.VISION in self.stages, FundingStage.REST in self.stages
            seen = FundingOutlook(self.lake, source, self.universe, days, lists=lists, asks=asks)
            for start in range(0, len(months), _MONTHS_AT_ONCE):
                part = dict(months[start : start + _MONTHS_AT_ONCE])
                mirror = MirrorRows(self.lake, source.archive)
                work = None
                if source.archive is not None:
                    work = FundingWorkshop(self.lake, self.dataset, source.archive, mirror, downloads, folder)
                yield from _Stretch(self, source, seen, part, mirror, work, rest).results()


@dataclass(slots=True)
class _Stretch:
    """Some months of a run. Its results are by day; whatever ends a day early stands in `errors`."""

    run: FundingIngest
    source: FundingSource
    seen: FundingOutlook
    months: Mapping[date, Sequence[date]]
    mirror: MirrorRows
    work: FundingWorkshop | None
    rest: ThreadPoolExecutor
    archived: dict[date, ArchivedFunding] = field(default_factory=dict)
    stale: dict[date, ArchivedFunding] = field(default_factory=dict)
    topped_up: dict[date, ToppedUpFunding] = field(default_factory=dict)
    damaged: dict[date, Mapping[str, str]] = field(default_factory=dict)
    errors: dict[date, Exception] = field(default_factory=dict)

    def results(self) -> Iterator[FundingDay]:
        """Look, lock the months, and take the days through the stages."""
        days = [day for found in self.months.values() for day in found]
        with ExitStack() as locks:
            self._guarded(days, lambda: self._archive(locks))
            self._guarded(days, self._top_up)
            renewed = {found[0]: self._renewed(month) for month, found in self.months.items()}
            for day in days:
                yield self._with_renewed(self._merged(day), renewed.get(day, Renewed()))

    def _guarded(self, days: Sequence[date], step: Callable[[], None]) -> None:
        """Run a step; what ends it ends the days it had not finished."""
        try:
            if self.run.broken is not None:
                raise TransientError(f"Not attempted: {self.run.broken}")
            step()
        except UnknownNameError:
            raise
        except (KlinesError, OSError) as error:
            self._note(error)
            self.errors = {**dict.fromkeys(days, error), **self.errors}

    def _note(self, error: KlinesError | OSError) -> None:
        if isinstance(error, OSError):
            self.run.broken = str(error)

    # ---- archives

    def _archive(self, locks: ExitStack) -> None:
        survey, now = self.seen.look()
        for month, days in self.months.items():
            begun = [day for day in days if now is None or day_start(day) < now]
            late = [day for day in days if day not in begun]
            self.errors.update({day: self._not_begun(day, now or EPOCH) for day in late})
            if begun:
                locks.enter_context(self.run.lake.locked(funding_state.paths_of(self.run.dataset, month)))
                self._archive_month(month, begun, survey, now)

    def _not_begun(self, day: date, now: datetime) -> KlinesError:
        time_there = f"{now:%Y-%m-%d %H:%M} UTC"
        return KlinesError(f"{day} has not begun yet: on {self.run.dataset.exchange} it is {time_there}.")

    def _archive_month(self, month: date, days: Sequence[date], survey: FundingSurvey, now: datetime | None) -> None:
        try:
            if self.work is not None and now is not None:
                named = {day: self.run.universe.of_day(survey, day) for day in days}
                found = archive_month(self.work, month, named, survey, now)
                self.archived.update(found.days)
                self.stale.update(found.stale)
                damaged = found.damaged
            else:
                known, damaged = look_at_each(days, lambda day: self._from_ledger(day, survey, now))
                self.archived.update(known)
            self.errors.update({day: error for day, error in damaged.items() if day in days})
        except (KlinesError, OSError) as error:
            self._note(error)
            self.errors.update(dict.fromkeys(days, error))

    def _from_ledger(self, day: date, survey: FundingSurvey, now: datetime | None) -> ArchivedFunding:
        """The day without a look at the bucket."""
        run = self.run
        if self.source.archive is not None:
            return funding_state.archived_day(run.lake, run.dataset, day, run.universe.named(day))
        if now is None:
            return funding_state.asked_day(run.lake, run.dataset, day, run.universe.named(day))
        return without_archives(run.lake, run.dataset, day, run.universe.of_day(survey, day), survey, now)

    # ---- REST and the table

    def _top_up(self) -> None:
        if {FundingStage.REST, FundingStage.FUNDING}.isdisjoint(self.run.stages):
            return
        run = self.run
        both = {**self.archived, **(self.stale if {*run.stages} >= ALL_FUNDING_STAGES else {})}
        ready = {day: self._without_damaged(found) for day, found in both.items() if day not in self.errors}
        self.archived.update({day: found for day, found in ready.items() if day in self.archived})
        self.stale.update({day: found for day, found in ready.items() if day in self.stale})
        if FundingStage.REST in run.stages and ready:
            self.topped_up, damaged = top_up(run.lake, self.source.api, run.dataset, ready, self.mirror, self.rest)
            self.errors.update(damaged)

    def _without_damaged(self, found: ArchivedFunding) -> ArchivedFunding:
        """Symbols whose archive in the lake cannot be read are failed and keep what they had."""
        damaged = self.damaged[found.day] = self.mirror.damaged(found)
        left = tuple(symbol for symbol in found.symbols if symbol not in damaged)
        return replace(found, symbols=left)

    def _renewed(self, month: date) -> Renewed:
        """Other days of the month, made anew where an archive was rewritten; by a run of all stages only."""
        run, stale = self.run, {day: found for day, found in self.stale.items() if month_of(day) == month}
        if not stale or not {*run.stages} >= ALL_FUNDING_STAGES:
            return Renewed()
        renewed = renew(run.lake, run.dataset, stale, self.topped_up, self.damaged, self.mirror)
        run.log(f"{run.dataset}: an archive of {month:%Y-%m} was rewritten; {len(renewed.days)} other day(s) renewed.")
        return renewed

    def _merged(self, day: date) -> FundingDay:
        result = FundingDay(day, self.archived.get(day), self.topped_up.get(day), damaged=self.damaged.get(day, {}))
        try:
            if day in self.errors:
                raise self.errors[day].with_traceback(None)
            if FundingStage.FUNDING in self.run.stages and result.archived is not None:
                run, known = self.run, result.topped_up
                known = known or funding_state.topped_up_day(run.lake, run.dataset, result.archived)
                result = replace(result, merged=merge(run.lake, run.dataset, result.archived, known, self.mirror))
        except (KlinesError, OSError) as error:
            self._note(error)
            return _failed(result, self.run.stages, error)
        return replace(result, failures=_failures(result, self.run.stages), may_pass=result.met_outages_only)

    def _with_renewed(self, result: FundingDay, renewed: Renewed) -> FundingDay:
        """The month's first day tells what became of its stale ones."""
        if renewed.problem is None:
            return replace(result, renewed=renewed.days)
        failures = {**result.failures}
        text = failures.get(FundingStage.FUNDING.value)
        failures[FundingStage.FUNDING.value] = " ".join(part for part in (text, renewed.problem) if part)
        return replace(result, renewed=renewed.days, failures=failures, may_pass=False)


def _failed(result: FundingDay, stages: Collection[FundingStage], error: Exception) -> FundingDay:
    """An error ended the day: the stages that had not finished are failed."""
    parts = (result.archived, result.topped_up, result.merged)
    open_stages = [stage for stage, part in zip(FundingStage, parts, strict=True) if stage in stages and part is None]
    failures = {**_failures(result, stages), **{stage.value: str(error) for stage in open_stages}}
    return replace(result, failures=failures, may_pass=may_pass(error) and result.met_outages_only)


def _failures(result: FundingDay, stages: Collection[FundingStage]) -> dict[str, str]:
    """Why the day must be reported failed, by stage: symbols that could not be had."""
    archived = result.archived.failed if result.archived else {}
    asked = result.topped_up.failed if result.topped_up else {}
    named = (named_failures({**part, **result.damaged}) for part in (archived, asked, {**archived, **asked}))
    reasons = dict(zip(FundingStage, named, strict=True))
    if result.merged is not None and result.merged.problem:
        reasons[FundingStage.FUNDING] = " ".join(filter(None, (reasons[FundingStage.FUNDING], result.merged.problem)))
    return {stage.value: text for stage, text in reasons.items() if text and stage in stages}
