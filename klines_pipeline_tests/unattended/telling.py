"""An outcome in words: the runs there were with their reasons, ticks, requests by day, costs, verdicts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import median

from klines_pipeline.defs.automation.run_requests import FIRST, KIND, LAST, REASON
from klines_pipeline_tests.unattended.stepped_daemon import ASKED_AT, ASKER
from klines_pipeline_tests.unattended.story import Outcome

_SHOWN = 10


def told(outcome: Outcome, verdicts: Mapping[str, list[str]]) -> str:
    """The whole report."""
    parts = (_runs(outcome), _kinds(outcome), _ticks(outcome), _requests(outcome), _costs(outcome), _verdicts(verdicts))
    return "\n".join(line for part in parts for line in [*part, ""])


def _runs(outcome: Outcome) -> Iterator[str]:
    """All but those for freshness, of which there are many alike."""
    yield "Runs other than for freshness (asked at, kind, days, result, reason):"
    for run in reversed(outcome.instance.get_runs()):
        tags = run.tags
        if tags.get(KIND) == "freshness":
            continue
        days = f"{tags[FIRST]} to {tags[LAST]}" if FIRST in tags else "no day"
        what = tags.get(KIND) or tags.get(ASKER, "")
        yield f"  {tags[ASKED_AT][:16]}  {what:<22} {days:<24} {run.status.value:<8} {tags.get(REASON, '')}"


def _kinds(outcome: Outcome) -> Iterator[str]:
    yield "Runs by kind and result:"
    counts = Counter(
        (run.tags.get(KIND) or run.tags.get(ASKER, ""), run.status.value) for run in outcome.instance.get_runs()
    )
    yield from (f"  {kind:<40} {status:<8} {number:>5}" for (kind, status), number in sorted(counts.items()))


def _ticks(outcome: Outcome) -> Iterator[str]:
    yield "Ticks (number, of which asked for runs, median and longest seconds), and what they said last:"
    for name in sorted({tick.name for tick in outcome.daemon.ticks}):
        ticks = [tick for tick in outcome.daemon.ticks if tick.name == name]
        asked, seconds = sum(tick.requests > 0 for tick in ticks), [tick.seconds for tick in ticks]
        counts = f"{len(ticks):>5} {asked:>5} {median(seconds):7.3f} {max(seconds):7.3f}"
        yield f"  {name:<50} {counts}  {ticks[-1].skipped or ''}"


def _requests(outcome: Outcome) -> Iterator[str]:
    names = sorted({name for day in outcome.requests_by_day for name in day})
    yield "Requests by simulated day: " + ", ".join(names)
    for number, day in enumerate(outcome.requests_by_day):
        yield f"  {number:>3} " + " ".join(f"{day.get(name, 0):>8}" for name in names)


def _costs(outcome: Outcome) -> Iterator[str]:
    runs, days = outcome.instance.get_runs_count(), outcome.scale.days
    spent = ", ".join(f"{value:.0f} s {name}" for name, value in outcome.daemon.seconds.items())
    each = outcome.daemon.seconds["runs"] / max(runs, 1)
    yield f"{outcome.seconds:.0f} s, {outcome.seconds / days:.1f} s a simulated day: {spent}; {each:.2f} s a run."
    late = len(outcome.plan.late)
    yield f"{late} symbol-days were late, {len(outcome.rewritten)} archives were rewritten."


def _verdicts(verdicts: Mapping[str, list[str]]) -> Iterator[str]:
    for name, complaints in verdicts.items():
        yield f"{'ok   ' if not complaints else 'WRONG'} {name.replace('_', ' ')}"
        yield from (f"        {complaint}" for complaint in complaints[:_SHOWN])
        if len(complaints) > _SHOWN:
            yield f"        ... and {len(complaints) - _SHOWN} more"
