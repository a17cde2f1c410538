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

from klines_pipeline.domain.errors import BlockedError, KlinesError, TransientError
from klines_pipeline.domain.utc_day import EPOCH, day_start
from klines_pipeline.exchanges.funding import FundingSource, FundingSurvey
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.stages import funding_state
from klines_pipeline.stages.funding_archive import FundingWorkshop, archive_month
from klines_pipeline.stages.funding_dataset import FundingDataset, FundingUniverse, source_of
from klines_pipeline.stages.funding_merge import merge
from klines_pipeline.stages.funding_results import ArchivedFunding, FundingDay, ToppedUpFunding
from klines_pipeline.stages.funding_state import MirrorRows
from klines_pipeline.stages.funding_topup import top_up
from klines_pipeline.storage.lake import Lake

_MONTHS_AT_ONCE = 12
_DOWNLOAD_THREADS = 16
_REST_THREADS = 8
_NO_SURVEY = FundingSurvey(None, {}, {}, {})


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
        """Each day's result, in order; `days` ascend. ConfigurationError where the market or no symbol has funding."""
        source = source_of(self.market, self.dataset)
        months = [(month, tuple(found)) for month, found in groupby(days, key=month_of)]
        with ExitStack() as stack:
            stack.callback(self.market.api.close)
            self.universe.check_contracts()
            folder = stack.enter_context(self.lake.incoming())
            downloads = stack.enter_context(ThreadPoolExecutor(_DOWNLOAD_THREADS, "download"))
            rest = stack.enter_context(ThreadPoolExecutor(_REST_THREADS, "rest"))
            stack.callback(downloads.shutdown, wait=True, cancel_futures=True)
            seen = _Seen(self, source, [month for month, _ in months])
            for start in range(0, len(months), _MONTHS_AT_ONCE):
                part = dict(months[start : start + _MONTHS_AT_ONCE])
                mirror = MirrorRows(self.lake, source.archive)
                work = None
                if source.archive is not None:
                    work = FundingWorkshop(self.lake, self.dataset, source.archive, mirror, downloads, folder)
                yield from _Stretch(self, source, seen, part, mirror, work, rest).results()


@dataclass(slots=True)
class _Seen:
    """The exchange's side of a run, looked at once."""

    run: FundingIngest
    source: FundingSource
    months: Sequence[date]
    answer: tuple[FundingSurvey, datetime | None] | None = None

    def look(self) -> tuple[FundingSurvey, datetime | None]:
        """What is published and the exchange's time; neither where only earlier runs' ledgers are worked on."""
        if self.answer is None:
            self.answer = self._ask()
        return self.answer

    def _ask(self) -> tuple[FundingSurvey, datetime | None]:
        archive = self.source.archive
        if archive is None:
            return _NO_SURVEY, self.source.api.now() if FundingStage.REST in self.run.stages else None
        if FundingStage.VISION not in self.run.stages:
            return _NO_SURVEY, None
        survey = self.run.universe.confirmed(archive.survey(self.run.universe.symbols(), self.months))
        if survey.now is not None:
            return survey, survey.now
        try:
            return survey, self.source.api.now()
        except (TransientError, BlockedError) as error:
            listing = next(iter(survey.failed.values()), "")
            raise TransientError(f"Neither the bucket nor REST answers: {listing} {error}") from None


@dataclass(slots=True)
class _Stretch:
    """Some months of a run. Its results are by day; whatever ends a day early stands in `errors`."""

    run: FundingIngest
    source: FundingSource
    seen: "_Seen"
    months: Mapping[date, Sequence[date]]
    mirror: MirrorRows
    work: FundingWorkshop | None
    rest: ThreadPoolExecutor
    archived: dict[date, ArchivedFunding] = field(default_factory=dict)
    topped_up: dict[date, ToppedUpFunding] = field(default_factory=dict)
    damaged: dict[date, Mapping[str, str]] = field(default_factory=dict)
    errors: dict[date, str] = field(default_factory=dict)

    def results(self) -> Iterator[FundingDay]:
        """Look, lock the months, and take the days through the stages."""
        days = [day for found in self.months.values() for day in found]
        with ExitStack() as locks:
            self._guarded(days, lambda: self._archive(locks))
            self._guarded(days, self._top_up)
            for day in days:
                yield self._merged(day)

    def _guarded(self, days: Sequence[date], step: Callable[[], None]) -> None:
        """Run a step; what ends it ends the days it had not finished."""
        try:
            if self.run.broken is not None:
                raise TransientError(f"Not attempted: {self.run.broken}")
            step()
        except (KlinesError, OSError) as error:
            self._note(error)
            self.errors = {**dict.fromkeys(days, str(error)), **self.errors}

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

    def _not_begun(self, day: date, now: datetime) -> str:
        return f"{day} has not begun yet: on {self.run.dataset.exchange} it is {now:%Y-%m-%d %H:%M} UTC."

    def _archive_month(self, month: date, days: Sequence[date], survey: FundingSurvey, now: datetime | None) -> None:
        try:
            if self.work is not None and now is not None:
                named = {day: self.run.universe.of_day(survey, day) for day in days}
                self.archived.update(archive_month(self.work, month, named, survey, now))
            else:
                self.archived.update({day: self._from_ledger(day, survey, now) for day in days})
        except (KlinesError, OSError) as error:
            self._note(error)
            self.errors.update(dict.fromkeys(days, str(error)))

    def _from_ledger(self, day: date, survey: FundingSurvey, now: datetime | None) -> ArchivedFunding:
        """The day without a look at the bucket."""
        run = self.run
        if self.source.archive is not None:
            return funding_state.archived_day(run.lake, run.dataset, day, run.universe.named(day))
        if now is None:
            return funding_state.asked_day(run.lake, run.dataset, day, run.universe.named(day))
        return funding_state.without_archives(day, run.universe.of_day(survey, day), now)

    # ---- REST and the table

    def _top_up(self) -> None:
        if {FundingStage.REST, FundingStage.FUNDING}.isdisjoint(self.run.stages):
            return
        self.archived = {day: self._without_damaged(found) for day, found in self.archived.items()}
        ready = {day: found for day, found in self.archived.items() if day not in self.errors}
        if FundingStage.REST in self.run.stages and ready:
            run = self.run
            self.topped_up = top_up(run.lake, self.source.api, run.dataset, ready, self.mirror, self.rest)

    def _without_damaged(self, found: ArchivedFunding) -> ArchivedFunding:
        """Symbols whose archive in the lake cannot be read are failed and keep what they had."""
        damaged = self.damaged[found.day] = self.mirror.damaged(found)
        left = tuple(symbol for symbol in found.symbols if symbol not in damaged)
        return replace(found, symbols=left)

    def _merged(self, day: date) -> FundingDay:
        result = FundingDay(day, self.archived.get(day), self.topped_up.get(day), damaged=self.damaged.get(day, {}))
        try:
            if day in self.errors:
                raise KlinesError(self.errors[day])
            if FundingStage.FUNDING in self.run.stages and result.archived is not None:
                run, known = self.run, result.topped_up
                known = known or funding_state.topped_up_day(run.lake, run.dataset, result.archived)
                result = replace(result, merged=merge(run.lake, run.dataset, result.archived, known, self.mirror))
        except (KlinesError, OSError) as error:
            self._note(error)
            return _failed(result, self.run.stages, str(error))
        return replace(result, failures=_failures(result, self.run.stages))


def _failed(result: FundingDay, stages: Collection[FundingStage], error: str) -> FundingDay:
    """An error ended the day: the stages that had not finished are failed."""
    parts = (result.archived, result.topped_up, result.merged)
    open_stages = [stage for stage, part in zip(FundingStage, parts, strict=True) if stage in stages and part is None]
    return replace(result, failures={**_failures(result, stages), **{stage.value: error for stage in open_stages}})


def _failures(result: FundingDay, stages: Collection[FundingStage]) -> dict[str, str]:
    """Why the day must be reported failed, by stage: symbols that could not be had."""
    archived = result.archived.failed if result.archived else {}
    asked = result.topped_up.failed if result.topped_up else {}
    named = (_named({**part, **result.damaged}) for part in (archived, asked, {**archived, **asked}))
    reasons = dict(zip(FundingStage, named, strict=True))
    return {stage.value: text for stage, text in reasons.items() if text and stage in stages}


def _named(failed: Mapping[str, str]) -> str | None:
    """`3 symbols failed: A, B, C. Why A did.`"""
    if not failed:
        return None
    names = sorted(failed)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} symbol(s) failed: {', '.join(names[:5])}{more}. {failed[names[0]]}"
