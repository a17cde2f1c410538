"""Days through the stages, one after the other, while the next ones download; memory holds a few days.

A symbol that cannot be had spoils neither the other symbols nor the other days: its day is merged as far as it goes,
and its result says why it must be reported failed.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import KlinesError, TransientError, may_pass
from klines_pipeline.domain.states import UNUSABLE
from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.stages import lake_state
from klines_pipeline.stages.archive import PendingDay, Workshop, begin, finish
from klines_pipeline.stages.merge import merge
from klines_pipeline.stages.outlook import Outlook, look
from klines_pipeline.stages.results import ArchivedDay, DayResult, named_failures
from klines_pipeline.stages.rows import RowSource
from klines_pipeline.stages.symbols.life_table import remembered_symbols
from klines_pipeline.stages.symbols.universe import Universe
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
    universe: Universe = field(init=False)
    last_log: float = field(default_factory=time.monotonic)
    broken: str | None = None

    def __post_init__(self) -> None:
        self.universe = Universe(self.market, self.dataset, self.log)

    def days(self, days: Sequence[date]) -> Iterator[DayResult]:
        """Each day's result, in order."""
        self.universe.remembered = partial(remembered_symbols, self.lake, self.market, self.dataset, days)
        with ExitStack() as stack:
            folder = stack.enter_context(self.lake.incoming())
            stack.callback(self.market.api.close)
            pool = stack.enter_context(ThreadPoolExecutor(_DOWNLOAD_THREADS, "download"))
            keepers = stack.enter_context(ThreadPoolExecutor(_KEEP_THREADS, "keep"))
            rest = stack.enter_context(ThreadPoolExecutor(_REST_THREADS, "rest"))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            done, began = 0, time.monotonic()
            for start in range(0, len(days), _DAYS_A_SURVEY):
                for result in self._stream(days[start : start + _DAYS_A_SURVEY], Workshop(pool, keepers, folder), rest):
                    done, ended = done + 1, time.monotonic()
                    self._tell(f"{self.dataset}: {result.day} done, {done} of {len(days)} days")
                    yield replace(result, seconds=ended - began)
                    began = time.monotonic()

    def _tell(self, text: str) -> None:
        """At most a line each ten seconds."""
        if time.monotonic() - self.last_log >= _LOG_SECONDS:
            self.last_log = time.monotonic()
            self.log(text)

    def _stream(self, days: Sequence[date], work: Workshop, rest: ThreadPoolExecutor) -> Iterator[DayResult]:
        outlook = self._look(days)
        pending = deque[_Begun]()
        for day in days:
            pending.append(self._begin(day, outlook, work))
            if len(pending) > _LOOK_AHEAD:
                yield self._finish(pending.popleft(), work, rest)
        while pending:
            yield self._finish(pending.popleft(), work, rest)

    def _look(self, days: Sequence[date]) -> Outlook | None:
        """The exchange's side of these days; None where only earlier runs' ledgers are worked on."""
        if Stage.VISION not in self.stages:
            return None
        return look(self.universe, days)

    # ---- one day

    def _begin(self, day: date, outlook: Outlook | None, work: Workshop) -> "_Begun":
        begun = _Begun(day, self.dataset, ExitStack())
        try:
            self._check(day, outlook)
            begun.locks.enter_context(self.lake.locked(DayPaths.of(self.dataset, day)))
            if outlook is None or outlook.now is None:
                archived = lake_state.archived_day(self.lake, self.dataset, day)
                return begun._replace(
                    dataset=lake_state.of_day(self.lake, self.market, self.dataset, archived), work=archived
                )
            dataset = self.universe.of_day(outlook.survey, day, outlook.now)
            started = begin(
                self.lake,
                self.market,
                dataset,
                day,
                survey=outlook.survey,
                now=outlook.now,
                work=work,
                asked=self.universe.asked,
            )
            return begun._replace(dataset=dataset, work=started)
        except (KlinesError, OSError) as error:
            return begun._replace(work=error)

    def _check(self, day: date, outlook: Outlook | None) -> None:
        """Raise why the day cannot be begun at all."""
        if self.broken is not None:
            raise TransientError(f"Not attempted: {self.broken}")
        if outlook is None:
            return
        if outlook.problem is not None:
            raise outlook.problem
        if outlook.now is not None and day_start(day) >= outlook.now:
            time_there = f"{outlook.now:%Y-%m-%d %H:%M} UTC"
            raise KlinesError(f"{day} has not begun yet: on {self.dataset.exchange} it is {time_there}.")

    def _finish(self, begun: "_Begun", work: Workshop, rest: ThreadPoolExecutor) -> DayResult:
        result = DayResult(begun.day)
        with begun.locks:
            try:
                if isinstance(begun.work, Exception):
                    raise begun.work
                result = replace(result, archived=self._archived(begun, work))
                result = self._through_stages(begun.dataset, result, rest)
            except (KlinesError, OSError) as error:
                if isinstance(error, OSError):
                    self.broken = str(error)
                return _failed(result, self.stages, error)
        self._warn(result)
        return replace(result, failures=_failures(result, self.stages), may_pass=result.met_outages_only)

    def _warn(self, result: DayResult) -> None:
        """What ends well but should be looked at: archives that are published and could not be verified."""
        entries = result.archived.entries.values() if result.archived else ()
        unusable = [entry for entry in entries if entry.state in UNUSABLE or entry.http_status == _LISTED_BUT_GONE]
        if unusable:
            first = unusable[0]
            text = "%s %s: %d archive(s) not verified; the certificates say where the rows come from. %s: %s"
            LOG.warning(text, self.dataset, result.day, len(unusable), first.symbol, first.problem or first.state)

    def _archived(self, begun: "_Begun", work: Workshop) -> ArchivedDay:
        if isinstance(begun.work, PendingDay):
            return finish(self.lake, self.market, begun.dataset, begun.work, work)
        if isinstance(begun.work, ArchivedDay):
            return begun.work
        raise KlinesError(f"{begun.day} was not begun.")

    def _through_stages(self, dataset: Dataset, result: DayResult, rest: ThreadPoolExecutor) -> DayResult:
        archived = result.archived
        if archived is None:
            return result
        rows = RowSource(self.lake, self.market, dataset, archived)
        if Stage.REST in self.stages:
            result = replace(result, topped_up=top_up(self.lake, self.market, dataset, archived, rows, rest))
        if Stage.KLINES in self.stages:
            known = result.topped_up or lake_state.topped_up_day(self.lake, self.market, dataset, archived)
            sizes = self.universe.contract_sizes(self.lake, dataset.symbols)
            merged = merge(self.lake, dataset, archived, known, rows, sizes.known)
            problem = " ".join(text for text in (merged.problem, sizes.problem) if text) or None
            result = replace(result, merged=replace(merged, problem=problem))
        return result


class _Begun(NamedTuple):
    """A day under way: its symbols, the locks it holds, and what was started for it, or why nothing could be."""

    day: date
    dataset: Dataset
    locks: ExitStack
    work: PendingDay | ArchivedDay | Exception | None = None


def _failed(result: DayResult, stages: Collection[Stage], error: Exception) -> DayResult:
    """An error ended the day: the stages that had not finished are failed."""
    finished = {Stage.VISION: result.archived, Stage.REST: result.topped_up, Stage.KLINES: result.merged}
    open_stages = [stage for stage in Stage if stage in stages and finished[stage] is None]
    failures = {**_failures(result, stages), **{stage.value: str(error) for stage in open_stages}}
    return replace(result, failures=failures, may_pass=may_pass(error) and result.met_outages_only)


def _failures(result: DayResult, stages: Collection[Stage]) -> dict[str, str]:
    """Why the day must be reported failed, by stage: symbols that could not be had."""
    archived = named_failures(result.archived.failed) if result.archived else None
    asked = named_failures(result.topped_up.failed) if result.topped_up else None
    wrong = result.merged.problem if result.merged else None
    merged = " ".join(text for text in (archived, asked, wrong) if text) or None
    reasons = {Stage.VISION: archived, Stage.REST: asked, Stage.KLINES: merged}
    return {stage.value: text for stage, text in reasons.items() if text and stage in stages}
