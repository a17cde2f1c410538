"""REST slices: every unanswered gap is asked once, in requests that never ask too much, whatever happened before."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.states import ANSWERED, SliceState
from klines_pipeline.domain.utc_day import day_end, to_microseconds
from klines_pipeline.klines.grid import TimeRange, expected_range, missing_ranges, subtract
from klines_pipeline.klines.ledgers import SliceEntry
from klines_pipeline.klines.slices import SETTLING, SliceRequest, answered_ranges, plan_slices, slice_id, slice_key
from klines_pipeline_tests.klines.frames import DAY, at

ONE_MINUTE = Interval.parse("1m")
INTERVALS = st.sampled_from([Interval.parse(name) for name in ("1m", "5m", "1h", "1d")])
MOMENTS = st.integers(0, 24 * 3_600_000).map(lambda milliseconds: DAY + timedelta(milliseconds=milliseconds))
"""Times of the day as exchanges tell them: to the millisecond."""
MIDNIGHT = day_end(DAY.date())


def entry(
    start: datetime, end: datetime, requested_at: datetime | None, state: SliceState = SliceState.OK
) -> SliceEntry:
    """The ledger's row of the day's first slice of 1000 minutes."""
    key = slice_key("BTCUSDT", ONE_MINUTE, DAY, 1000)
    return SliceEntry(slice_key=key, slice_id="", start=start, end=end, state=state, requested_at=requested_at)


def plan(
    gaps: list[TimeRange], known: Mapping[str, SliceEntry], interval: Interval = ONE_MINUTE, limit: int = 1000
) -> list[SliceRequest]:
    return plan_slices("BTCUSDT", gaps, DAY.date(), interval=interval, limit=limit, known=known)


def grid(interval: Interval, spans: Iterable[TimeRange]) -> list[datetime]:
    """Open_times of the day inside the spans, once for each span."""
    times = []
    for span in spans:
        first, last = (-((DAY - edge) // interval.duration) for edge in span)
        times += [DAY + n * interval.duration for n in range(first, last)]
    return times


def gaps_of(held: Iterable[datetime], interval: Interval, now: datetime) -> list[TimeRange]:
    slots = pl.Series(sorted(map(to_microseconds, held)), dtype=pl.Int64)
    return missing_ranges(slots, expected_range(DAY.date(), interval, now), interval)


def answer(request: SliceRequest, before: SliceEntry | None, now: datetime, state: SliceState) -> SliceEntry:
    """The ledger's row after a request: an answered slice grows in place."""
    start, end = request.start, request.end
    if state in ANSWERED and before is not None and before.state in ANSWERED:
        start, end = min(start, before.start), max(end, before.end)
    return SliceEntry(
        slice_key=request.slice_key,
        slice_id="",
        start=start,
        end=end,
        state=state,
        requested_at=now if state in ANSWERED else None,
    )


@given(INTERVALS, st.integers(1, 12), st.lists(MOMENTS, max_size=4), st.integers(0, 2**32))
def test_through_any_history_each_open_gap_is_asked_once_and_nothing_is_once_all_is_settled(
    interval: Interval, slices: int, early: list[datetime], seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - makes examples, guards nothing
    limit = -(-interval.bars_per_day // slices)
    exists = {moment for moment in grid(interval, [TimeRange(DAY, MIDNIGHT)]) if random.random() < 0.97}
    held = {moment for moment in exists if random.random() < seed % 3 / 2}
    known, asked_late = dict[str, SliceEntry](), set[datetime]()
    for now in [*sorted(early), MIDNIGHT + SETTLING + timedelta(seconds=1)]:
        gaps = gaps_of(held, interval, now)
        open_gaps = subtract(gaps, answered_ranges([*known.values()]))

        requests = plan(gaps, known, interval, limit)

        spans = [TimeRange(one.start, one.end) for one in requests]
        asked = grid(interval, spans)
        assert requests == plan(list(gaps), dict(known), interval, limit)
        assert len(asked) == len(set(asked))
        assert set(asked) >= set(grid(interval, open_gaps))
        assert bool(requests) == bool(open_gaps)
        assert all(span.bars(interval) * interval.duration == span.end - span.start for span in spans)
        assert all(0 < span.bars(interval) <= limit for span in spans)
        assert all(span.start >= DAY and span.end <= min(now, MIDNIGHT) for span in spans)

        for one, span in zip(requests, spans, strict=True):
            state = SliceState.OK if now > MIDNIGHT else random.choice([SliceState.OK, *SliceState])
            known[one.slice_key] = answer(one, known.get(one.slice_key), now, state)
            if state in ANSWERED:
                held |= exists & set(grid(interval, [span]))
                asked_late |= {moment for moment in grid(interval, [span]) if moment < now - SETTLING}
        assert set(grid(interval, answered_ranges([*known.values()]))) <= asked_late | held
    assert held == exists
    assert plan(gaps_of(held, interval, MIDNIGHT + timedelta(days=1)), known, interval, limit) == []


@pytest.mark.parametrize(
    ("gaps", "asked"),
    [
        ([], []),
        ([(0, 1440)], [(0, 1000), (1000, 1440)]),
        ([(10, 20)], [(10, 20)]),
        ([(10, 20), (700, 710)], [(10, 710)]),
        ([(990, 1010)], [(990, 1000), (1000, 1010)]),
        ([(10, 11), (1439, 1440)], [(10, 11), (1439, 1440)]),
    ],
)
def test_gaps_of_one_slice_are_one_request_from_the_first_to_the_last(
    gaps: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    requests = plan([TimeRange(at(start), at(end)) for start, end in gaps], {})

    assert [(one.start, one.end) for one in requests] == [(at(start), at(end)) for start, end in asked]


@pytest.mark.parametrize("state", SliceState)
def test_only_an_answer_settles_a_gap(state: SliceState) -> None:
    gap = TimeRange(at(10), at(20))
    known = entry(at(0), at(1000), at(1440), state)

    assert bool(plan([gap], {known.slice_key: known})) == (state not in ANSWERED)


@pytest.mark.parametrize(("minute", "requests"), [(19.9, 1), (20, 1), (24.9, 1), (25, 0), (90, 0)])
def test_an_answer_too_soon_after_the_close_is_no_proof_of_absence(minute: float, requests: int) -> None:
    known = entry(at(0), at(20), at(minute))

    assert len(plan([TimeRange(at(19), at(20))], {known.slice_key: known})) == requests


def test_another_symbols_answer_settles_nothing() -> None:
    key = slice_key("ETHUSDT", ONE_MINUTE, DAY, 1000)
    known = SliceEntry(
        slice_key=key, slice_id="", start=at(0), end=at(1000), state=SliceState.OK, requested_at=at(1440)
    )

    assert len(plan([TimeRange(at(10), at(20))], {key: known})) == 1


def test_a_slice_that_grows_leaves_no_minute_between_unasked() -> None:
    known = entry(at(0), at(20), at(20))

    [request] = plan([TimeRange(at(40), at(50))], {known.slice_key: known})

    assert (request.start, request.end) == (at(20), at(50))


def test_keys_and_ids_are_spelled_as_lakes_already_written_have_them() -> None:
    key = slice_key("币安人生USDT", ONE_MINUTE, DAY, 1000)

    assert key == "币安人生USDT:1m:1709251200000:1000"
    assert slice_id("BTCUSDT:1m:1709251200000:1000") == "48616f2cf58f740c356311e028ac095b"
