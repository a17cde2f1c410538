"""What is wanted becomes runs: each day once, each piece of news once, failures again after a while."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from klines_pipeline.defs.automation.run_requests import FIRST, LAST, REASON, RunRequester, days_of_run, kind_of_run
from klines_pipeline.domain.wanted import Kind, Wanted, stretches

NOW = datetime(2025, 3, 4, 9, tzinfo=UTC)
DAYS = tuple(date(2025, 3, day) for day in range(1, 4))
ASSET = dg.AssetKey(["binance", "spot", "klines_1m"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def asker(instance: dg.DagsterInstance, *, later: timedelta = timedelta(), longest: int = 31) -> RunRequester:
    return RunRequester(instance, "binance/spot/klines_1m", [ASSET], NOW + later, longest)


def published(*days: date, news: str = "etag") -> Wanted:
    return Wanted(Kind.PUBLISHED, days, "3 of 3 symbols published", dict.fromkeys(days, news))


def run(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """The daemon's part: a run that carries the request's tags and came so far."""
    key = {"dagster/run_key": str(request.run_key)}
    instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", tags={**request.tags, **key}, status=status))


def test_a_contiguous_stretch_is_one_range_request_that_says_why(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(*DAYS)]).runs

    assert (request.tags[FIRST], request.tags[LAST]) == ("2025-03-01", "2025-03-03")
    assert request.tags[REASON] == "3 of 3 symbols published"
    assert request.asset_selection == [ASSET]


def test_a_hole_in_the_days_makes_two_requests_and_a_long_stretch_several(instance: dg.DagsterInstance) -> None:
    assert len(asker(instance).ask([published(DAYS[0], DAYS[2])]).runs) == 2
    february = [date(2025, 2, day) for day in range(1, 4)]
    assert len(asker(instance, longest=2).ask([published(*february)]).runs) == 2


def test_years_of_history_are_few_runs() -> None:
    days = [date(2017, 1, 1) + timedelta(days=n) for n in range(3400)]

    assert len(list(stretches(days, 180))) == 19
    assert [day for stretch in stretches(days, 180) for day in stretch] == days


def test_days_on_their_way_are_not_asked_for_again(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(*DAYS[:2])]).runs
    run(instance, request, dg.DagsterRunStatus.STARTED)

    again = asker(instance, later=timedelta(hours=1)).ask([published(*DAYS, news="another")])

    assert [days_of_run(dg.DagsterRun(job_name="x", tags={**found.tags})) for found in again.runs] == [[DAYS[2]]]
    assert again.held_back == ["2 day(s) published are on their way."]


def test_what_is_too_much_for_one_tick_is_postponed_to_the_next(instance: dg.DagsterInstance) -> None:
    days = [date(2025, 1, 1) + timedelta(days=2 * place) for place in range(12)]
    first = asker(instance).ask([published(*days)])
    for request in first.runs:
        run(instance, request, dg.DagsterRunStatus.SUCCESS)

    second = asker(instance).ask([published(*first.postponed)])

    assert (len(first.runs), first.postponed) == (10, days[10:])
    assert (len(second.runs), second.postponed) == (2, [])


def test_two_wishes_for_one_day_in_one_tick_are_one_request(instance: dg.DagsterInstance) -> None:
    repair = Wanted(Kind.REPAIR, DAYS, "gaps")

    assert len(asker(instance).ask([published(*DAYS), repair]).runs) == 1


def test_a_failed_request_gets_another_key_after_a_while_that_doubles(instance: dg.DagsterInstance) -> None:
    keys = list[str | None]()
    for minutes, expected in [(0, 1), (4, 0), (5, 1), (14, 0), (15, 1), (34, 0), (35, 1)]:
        requests = asker(instance, later=timedelta(minutes=minutes)).ask([published(*DAYS)]).runs
        assert len(requests) == expected, minutes
        for request in requests:
            keys.append(request.run_key)
            run(instance, request, dg.DagsterRunStatus.FAILURE)

    assert len(set(keys)) == 4


def test_after_eight_attempts_the_same_news_is_asked_for_once_a_day_and_never_given_up(
    instance: dg.DagsterInstance,
) -> None:
    for attempt in range(8):
        [request] = asker(instance, later=timedelta(hours=6 * attempt)).ask([published(*DAYS)]).runs
        run(instance, request, dg.DagsterRunStatus.FAILURE)

    for day in range(1, 4):
        last = timedelta(hours=42 + 24 * day)
        early = asker(instance, later=last - timedelta(hours=1)).ask([published(*DAYS)])
        [request] = asker(instance, later=last).ask([published(*DAYS)]).runs
        run(instance, request, dg.DagsterRunStatus.FAILURE)

        assert early.runs == []
        assert "the next is due at" in early.held_back[0]
        assert early.postponed == [], "nobody stands still for it"


def test_news_held_back_is_postponed_so_that_it_is_looked_for_again(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(*DAYS)]).runs
    assert asker(instance).ask([published(*DAYS)]).postponed == [*DAYS]
    run(instance, request, dg.DagsterRunStatus.FAILURE)
    assert asker(instance, later=timedelta(minutes=1)).ask([published(*DAYS)]).postponed == [*DAYS]
    run(instance, request, dg.DagsterRunStatus.STARTED)
    assert asker(instance, later=timedelta(days=1)).ask([published(*DAYS)]).postponed == [*DAYS]


def test_other_news_of_the_same_day_do_not_wait(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(DAYS[0])]).runs
    run(instance, request, dg.DagsterRunStatus.FAILURE)

    assert len(asker(instance).ask([published(DAYS[0], news="rewritten")]).runs) == 1


def test_a_top_up_that_hangs_is_ended_within_the_hour_and_nothing_else_is(instance: dg.DagsterInstance) -> None:
    requests = asker(instance).ask([Wanted(Kind.FRESHNESS, DAYS[:1], "newer klines"), published(*DAYS[1:])]).runs

    assert [request.tags.get("dagster/max_runtime") for request in requests] == ["3600", None]


def test_a_run_that_a_person_began_has_no_kind_and_no_range() -> None:
    by_hand = dg.DagsterRun(job_name="x", tags={"dagster/partition": "2025-03-01"})

    assert (kind_of_run(by_hand), days_of_run(by_hand)) == (None, [])


def test_days_wanted_without_archives_are_asked_of_the_other_assets(instance: dg.DagsterInstance) -> None:
    rest = dg.AssetKey(["binance", "spot", "rest_klines_1m"])
    both = RunRequester(instance, "binance/spot/klines_1m", [ASSET], NOW, 31, without_archives=[rest])
    fresh = Wanted(Kind.FRESHNESS, DAYS[2:], "newer klines", with_archives=False)

    [listed, asked] = both.ask([published(*DAYS[:2]), fresh]).runs

    assert (listed.asset_selection, asked.asset_selection) == ([ASSET], [rest])


def test_news_that_one_success_settles_are_asked_for_again_only_after_a_failure(instance: dg.DagsterInstance) -> None:
    hourly = Wanted(Kind.FRESHNESS, DAYS[:1], "symbols listed", dict.fromkeys(DAYS, "09:00"), once=True)
    [request] = asker(instance).ask([hourly]).runs
    run(instance, request, dg.DagsterRunStatus.FAILURE)
    [again] = asker(instance, later=timedelta(minutes=5)).ask([hourly]).runs
    run(instance, again, dg.DagsterRunStatus.SUCCESS)

    settled = asker(instance, later=timedelta(hours=1)).ask([hourly])

    assert (settled.runs, settled.held_back) == ([], [])


def test_a_day_that_has_to_wait_for_one_reason_may_be_asked_for_another(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(*DAYS)]).runs
    run(instance, request, dg.DagsterRunStatus.FAILURE)
    fresh = Wanted(Kind.FRESHNESS, DAYS, "newer klines")

    assert [kind_of_run(dg.DagsterRun(job_name="x", tags={**found.tags}))
            for found in asker(instance).ask([published(*DAYS), fresh]).runs] == [Kind.FRESHNESS]  # fmt: skip


def test_it_is_known_whether_a_run_of_a_kind_is_under_way(instance: dg.DagsterInstance) -> None:
    [request] = asker(instance).ask([published(*DAYS)]).runs
    run(instance, request, dg.DagsterRunStatus.STARTING)

    assert asker(instance).is_under_way(Kind.PUBLISHED)
    assert not asker(instance).is_under_way(Kind.FRESHNESS)


def test_a_schedule_is_answered_with_runs_or_with_why_there_are_none(instance: dg.DagsterInstance) -> None:
    asked = asker(instance).ask([published(*DAYS)])
    run(instance, asked.runs[0], dg.DagsterRunStatus.STARTED)
    held = asker(instance).ask([published(*DAYS)]).tick("Nothing new.")

    assert asked.tick() == asked.runs
    assert isinstance(held, dg.SkipReason)
    assert held.skip_message == "Nothing new. 3 day(s) published are on their way."
