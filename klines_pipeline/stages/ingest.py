"""Days through the stages, one after the other, while the next ones download; memory holds a few days.

A symbol that cannot be had spoils neither the other symbols nor the other days: its day is merged as far as it goes,
and its result says why it must be reported failed.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, KlinesError, TransientError
from klines_pipeline.domain.states import UNUSABLE
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.exchanges.protocols import Market, Survey
from klines_pipeline.stages import lake_state, newcomers
from klines_pipeline.stages.archive import PendingDay, Workshop, begin, finish
from klines_pipeline.stages.merge import merge
from klines_pipeline.stages.results import ArchivedDay, DayResult
from klines_pipeline.stages.rows import RowSource
from klines_pipeline.stages.topup import top_up
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths

_DAYS_A_SURVEY = 180  # one listing page holds 490 days of a symbol; the survey of 500 symbols then stays at 30 MB
_LOOK_AHEAD = 2
_DOWNLOAD_THREADS = 16
_REST_THREADS = 8
_KEEP_THREADS = 4
_LOG_SECONDS = 10.0
_LISTED_BUT_GONE = 404
LOG = logging.getLogger(__name__)


class Stage(StrEnum):
    """The three steps of a day, named as the assets are."""

    VISION = "vision_klines"
    REST = "rest_klines"
    KLINES = "klines"


ALL_STAGES = frozenset(Stage)


@dataclass(slots=True)
class Ingest:
    """One run: where from, where to, what, and who is told how far it is."""

    lake: Lake
    market: Market
    dataset: Dataset
    stages: Collection[Stage] = ALL_STAGES
    log: Callable[[str], None] = print
    last_log: float = field(default_factory=time.monotonic)
    broken: str | None = None

    def days(self, days: Sequence[date]) -> Iterator[DayResult]:
        """Each day's result, in order."""
        with ExitStack() as stack:
            folder = stack.enter_context(self.lake.incoming())
            stack.callback(self.market.api.close)
            pool = stack.enter_context(ThreadPoolExecutor(_DOWNLOAD_THREADS, "download"))
            keepers = stack.enter_context(ThreadPoolExecutor(_KEEP_THREADS, "keep"))
            rest = stack.enter_context(ThreadPoolExecutor(_REST_THREADS, "rest"))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            done = 0
            for start in range(0, len(days), _DAYS_A_SURVEY):
                for result in self._stream(days[start : start + _DAYS_A_SURVEY], Workshop(pool, keepers, folder), rest):
                    done += 1
                    self._tell(f"{self.dataset}: {result.day} done, {done} of {len(days)} days")
                    yield result

    def _tell(self, text: str) -> None:
        """At most a line each ten seconds."""
        if time.monotonic() - self.last_log >= _LOG_SECONDS:
            self.last_log = time.monotonic()
            self.log(text)

    def _stream(self, days: Sequence[date], work: Workshop, rest: ThreadPoolExecutor) -> Iterator[DayResult]:
        survey, now, problem = self._survey(days)
        pending = deque[tuple[date, ExitStack, PendingDay | ArchivedDay | Exception]]()
        for day in days:
            locks = ExitStack()
            pending.append((day, locks, problem or self._begin(day, locks, survey, now, work)))
            if len(pending) > _LOOK_AHEAD:
                yield self._finish(*pending.popleft(), work, rest)
        while pending:
            yield self._finish(*pending.popleft(), work, rest)

    # ---- before the days

    def _survey(self, days: Sequence[date]) -> tuple[Survey | None, datetime | None, Exception | None]:
        """What is published, and the exchange's time; the third value says why nothing can be done."""
        if Stage.VISION not in self.stages:
            return None, None, None
        survey = self.market.archive.survey(self.dataset.symbols, self.dataset.interval, days[0], days[-1])
        survey = newcomers.place(self.market.api, self.dataset, survey, days, self.log)
        if survey.now is not None:
            return survey, survey.now, None
        try:
            return survey, self.market.api.now(), None
        except (TransientError, BlockedError) as error:
            listing = next(iter(survey.failed.values()))
            return survey, None, TransientError(f"Neither the bucket nor REST answers: {listing} {error}")

    # ---- one day

    def _begin(
        self, day: date, locks: ExitStack, survey: Survey | None, now: datetime | None, work: Workshop
    ) -> PendingDay | ArchivedDay | Exception:
        if self.broken is not None:
            return TransientError(f"Not attempted: {self.broken}")
        if now is not None and day_start(day) >= now:
            return KlinesError(f"{day} has not begun yet: on {self.dataset.exchange} it is {now:%Y-%m-%d %H:%M} UTC.")
        try:
            locks.enter_context(self.lake.locked(DayPaths.of(self.dataset, day)))
            if survey is None or now is None:
                return lake_state.archived_day(self.lake, self.dataset, day)
            return begin(self.lake, self.market, self.dataset, day, survey=survey, now=now, work=work)
        except (KlinesError, OSError) as error:
            return error

    def _finish(
        self,
        day: date,
        locks: ExitStack,
        begun: PendingDay | ArchivedDay | Exception,
        work: Workshop,
        rest: ThreadPoolExecutor,
    ) -> DayResult:
        result = DayResult(day)
        with locks:
            try:
                if isinstance(begun, Exception):
                    raise begun
                result = replace(result, archived=self._archived(begun, work))
                result = self._through_stages(result, rest)
            except (KlinesError, OSError) as error:
                if isinstance(error, OSError):
                    self.broken = str(error)
                return _failed(result, self.stages, str(error))
        self._warn(result)
        return replace(result, failures=_failures(result, self.stages))

    def _warn(self, result: DayResult) -> None:
        """What ends well but should be looked at: archives that are published and could not be verified."""
        entries = result.archived.entries.values() if result.archived else ()
        unusable = [entry for entry in entries if entry.state in UNUSABLE or entry.http_status == _LISTED_BUT_GONE]
        if unusable:
            first = unusable[0]
            text = "%s %s: %d archive(s) not verified; the certificates say where the rows come from. %s: %s"
            LOG.warning(text, self.dataset, result.day, len(unusable), first.symbol, first.problem or first.state)

    def _archived(self, begun: PendingDay | ArchivedDay, work: Workshop) -> ArchivedDay:
        if isinstance(begun, ArchivedDay):
            return begun
        return finish(self.lake, self.market, self.dataset, begun, work)

    def _through_stages(self, result: DayResult, rest: ThreadPoolExecutor) -> DayResult:
        archived = result.archived
        if archived is None:
            return result
        rows = RowSource(self.lake, self.market, self.dataset, archived)
        if Stage.REST in self.stages:
            topped_up = top_up(self.lake, self.market, self.dataset, archived, rows, rest)
            result = replace(result, topped_up=topped_up)
        if Stage.KLINES in self.stages:
            known = result.topped_up or lake_state.topped_up_day(self.lake, self.market, self.dataset, archived)
            result = replace(result, merged=merge(self.lake, self.dataset, archived, known, rows))
        return result


def _failed(result: DayResult, stages: Collection[Stage], error: str) -> DayResult:
    """An error ended the day: the stages that had not finished are failed."""
    finished = {Stage.VISION: result.archived, Stage.REST: result.topped_up, Stage.KLINES: result.merged}
    open_stages = [stage for stage in Stage if stage in stages and finished[stage] is None]
    return replace(result, failures={**_failures(result, stages), **{stage.value: error for stage in open_stages}})


def _failures(result: DayResult, stages: Collection[Stage]) -> dict[str, str]:
    """Why the day must be reported failed, by stage: symbols that could not be had."""
    archived = _named(result.archived.failed) if result.archived else None
    asked = _named(result.topped_up.failed) if result.topped_up else None
    merged = " ".join(text for text in (archived, asked) if text) or None
    reasons = {Stage.VISION: archived, Stage.REST: asked, Stage.KLINES: merged}
    return {stage.value: text for stage, text in reasons.items() if text and stage in stages}


def _named(failed: Mapping[str, str]) -> str | None:
    """`3 symbols failed: A (why), B, C`."""
    if not failed:
        return None
    names = sorted(failed)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} symbol(s) failed: {', '.join(names[:5])}{more}. {failed[names[0]]}"
