"""Which days want fresh klines, and what the runs for them ask REST: tick after tick against the embedded exchange."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from klines_pipeline.defs.assets.metadata import stage_metadata
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.ingest import ALL_STAGES, Stage
from klines_pipeline.stages.watching.freshness import wanted_for_freshness
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import Run, certificate, impatient, make_dataset, read_day

PAIR = make_dataset("BTCUSDT", "ETHUSDT", start="2025-03-03")
Tick = Callable[..., list[tuple[list[str], bool]]]


def at(day: int, hour: int, minute: int = 0, second: int = 30) -> datetime:
    """A moment of March 2025, UTC."""
    return datetime(2025, 3, day, hour, minute, second, tzinfo=UTC)


@pytest.fixture
def tick(exchange: EmbeddedExchange, lake: Lake, ingest: Run) -> Tick:
    """`tick(dataset, moment)`: what is wanted then, each as (days, with archives), and run; `requests` counts anew."""

    def go(dataset: Dataset, moment: datetime, *, fails: bool = False) -> list[tuple[list[str], bool]]:
        exchange.set_clock(moment)
        exchange.reset_requests()
        archived = words_of(*dataset.prefix).archived
        wanted = wanted_for_freshness(lake, dataset, moment, archived=archived)
        asked, settled = list[tuple[list[str], bool]](), set[str]()
        for wish in wanted:
            days = [str(day) for day in wish.days if str(day) not in settled]
            settled |= set(days)
            if days:
                stages = [*ALL_STAGES] if wish.with_archives or not archived else [Stage.REST, Stage.KLINES]
                results = ingest(dataset, *days, stages=stages)
                assert any(result.failures for result in results) == fails
                asked.append((days, wish.with_archives))
        return asked

    return go


def newest(lake: Lake, symbol: str, day: str, **where: str) -> datetime:
    """Open time of a symbol's last kline of the day."""
    rows = read_day(lake, "klines", day, **where)
    return rows.filter(symbol=symbol)["open_time"].max()  # type: ignore[return-value]


def test_the_bucket_is_asked_once_and_rest_for_one_slice_a_symbol_at_each_tick(
    exchange: EmbeddedExchange, lake: Lake, tick: Tick
) -> None:
    assert tick(PAIR, at(4, 9)) == [(["2025-03-03", "2025-03-04"], True)]

    assert tick(PAIR, at(4, 9, 5)) == [(["2025-03-04"], False)]

    assert exchange.requests()["rest"] == {"time": 1, "klines": 2}
    assert exchange.requests()["listing"] == 0
    assert newest(lake, "BTCUSDT", "2025-03-04") == at(4, 9, 4, 0)
    assert tick(PAIR, at(4, 9, 5, 45)) == [], "no minute has closed since"


def test_a_symbol_new_in_klines_yaml_is_passed_over_aloud_and_the_others_stay_fresh(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run, tick: Tick, caplog: pytest.LogCaptureFixture
) -> None:
    """A run reads klines.yaml anew; the code location that asked for it may still have the one before."""
    edited = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", start="2025-03-03")
    tick(PAIR, at(4, 9))
    exchange.set_clock(at(4, 9, 5))

    [result] = ingest(edited, "2025-03-04", stages=[Stage.REST, Stage.KLINES])

    assert not result.failures
    assert newest(lake, "BTCUSDT", "2025-03-04") == newest(lake, "ETHUSDT", "2025-03-04") == at(4, 9, 4, 0)
    assert "2025-03-04: passed over: SOLUSDT." in caplog.text
    shown = stage_metadata(result, lake, edited)
    assert {stage: shown[stage].get("symbols_passed_over") for stage in (Stage.REST, Stage.KLINES)} == {
        Stage.REST: "SOLUSDT",
        Stage.KLINES: "SOLUSDT",
    }
    assert tick(edited, at(4, 9, 10)) == [(["2025-03-03", "2025-03-04"], True)]
    assert newest(lake, "SOLUSDT", "2025-03-04") == at(4, 9, 9, 0)


def test_a_day_of_which_no_symbol_was_looked_for_says_what_to_materialize(ingest: Run, tick: Tick) -> None:
    tick(PAIR, at(4, 9))

    [result] = ingest(make_dataset("SOLUSDT", start="2025-03-03"), "2025-03-04", stages=[Stage.REST])

    assert "SOLUSDT has no row in ledger/archives. Materialize vision_klines_1m first" in result.failures["rest_klines"]


@pytest.mark.parametrize(
    ("interval", "later", "asked"), [("1h", (4, 9, 55), 0), ("1h", (4, 10, 5), 1), ("1d", (4, 23), 0)]
)
def test_a_run_is_asked_for_only_when_a_kline_has_closed(
    tick: Tick, interval: str, later: tuple[int, ...], asked: int
) -> None:
    dataset = make_dataset("BTCUSDT", interval=interval, start="2025-03-04")
    tick(dataset, at(4, 9))

    assert len(tick(dataset, at(*later))) == asked


def test_after_midnight_the_ended_day_is_completed_once_and_then_waits_for_its_archive(
    exchange: EmbeddedExchange, lake: Lake, tick: Tick
) -> None:
    dataset = make_dataset("BTCUSDT", "ETHUSDT", start="2025-03-04")
    tick(dataset, at(4, 23, 55))

    assert tick(dataset, at(5, 0, 5)) == [(["2025-03-05"], True), (["2025-03-04"], False)]

    assert certificate(lake, "ETHUSDT", "2025-03-04")["from_rest"] == 1440
    assert newest(lake, "BTCUSDT", "2025-03-05") == at(5, 0, 4, 0)
    assert tick(dataset, at(5, 0, 10)) == [(["2025-03-05"], False)]
    assert exchange.requests()["rest"] == {"time": 1, "klines": 2}


@pytest.mark.parametrize("second", [0, 59])
def test_a_day_is_wanted_from_its_first_closed_kline_on(tick: Tick, second: int) -> None:
    """At midnight sharp, a clock that tells seconds may not have reached the day yet: its run would fail."""
    dataset = make_dataset("BTCUSDT", "ETHUSDT", start="2025-03-04")
    tick(dataset, at(4, 23, 55))

    assert tick(dataset, at(5, 0, 0, second)) == [(["2025-03-04"], False)]
    assert tick(dataset, at(5, 0, 1, 0)) == [(["2025-03-05"], True)]


def test_a_machine_that_was_off_over_midnight_completes_the_day_it_had_begun(lake: Lake, tick: Tick) -> None:
    dataset = make_dataset("BTCUSDT", start="2025-03-04")
    tick(dataset, at(4, 20))

    assert tick(dataset, at(5, 2)) == [(["2025-03-05"], True), (["2025-03-04"], False)]
    assert certificate(lake, "BTCUSDT", "2025-03-04")["missing"] == 0


@pytest.mark.parametrize(
    "fault", [{"kind": "blocked"}, {"kind": "status", "status": 400, "body": '{"code":-1100,"msg":"?"}'}], ids=str
)
def test_what_rest_failed_to_say_is_asked_again_and_of_an_ended_day_as_the_same_news(
    exchange: EmbeddedExchange, lake: Lake, tick: Tick, fault: dict[str, object]
) -> None:
    dataset = make_dataset("BTCUSDT", start="2025-03-04")
    tick(dataset, at(4, 23, 50))
    before = newest(lake, "BTCUSDT", "2025-03-04")
    exchange.add_fault(**fault, match="/api/v3/klines")
    refused = fault["kind"] != "blocked"

    tick(dataset, at(4, 23, 55), fails=refused)
    tick(dataset, at(5, 0, 5), fails=refused)

    assert newest(lake, "BTCUSDT", "2025-03-04") == before
    later = [wanted_for_freshness(lake, dataset, at(5, 0, minute), archived=True) for minute in (10, 15)]
    ended = [wish for wanted in later for wish in wanted if wish.days == (date(2025, 3, 4),)]
    assert len({wish.digest(wish.days) for wish in ended}) == 1
    assert {wish.reason for wish in ended} == {"REST could not be asked for all of it"}
    exchange.clear_faults()
    tick(dataset, at(5, 0, 20))
    assert certificate(lake, "BTCUSDT", "2025-03-04")["missing"] == 0


def test_a_symbol_listed_today_that_a_filter_selects_is_found_at_the_hourly_look(
    exchange: EmbeddedExchange, lake: Lake, tick: Tick
) -> None:
    chosen = SymbolFilter(quote=("USDT",), match="^(BTC|NOVA)USDT$")
    dataset = make_dataset(start="2025-03-03", chosen=chosen)
    tick(dataset, at(3, 11, 30))

    [look, *_] = wanted_for_freshness(lake, dataset, at(3, 11, 35), archived=True)
    [next_look, *_] = wanted_for_freshness(lake, dataset, at(3, 12, 5), archived=True)
    assert (look.once, look.with_archives, look.reason) == (True, True, "symbols listed until 2025-03-03 11:00 UTC")
    assert look.digest(look.days) != next_look.digest(next_look.days)

    assert tick(dataset, at(3, 12, 5)) == [(["2025-03-03"], True)]
    assert newest(lake, "NOVAUSDT", "2025-03-03") == at(3, 12, 4, 0)
    proof = certificate(lake, "NOVAUSDT", "2025-03-03")
    assert (proof["present"], proof["reason"]) == (5, "not_listed")


def test_a_symbol_listed_today_costs_one_slice_a_tick_although_its_morning_is_empty(
    exchange: EmbeddedExchange, ingest: Run, tick: Tick
) -> None:
    dataset = make_dataset("BTCUSDT", "NOVAUSDT", start="2025-03-03")
    tick(dataset, at(3, 18))

    tick(dataset, at(3, 18, 5))

    assert exchange.requests()["rest"] == {"time": 1, "klines": 2}


def test_a_symbol_of_which_rest_has_nothing_is_asked_for_once_an_hour(exchange: EmbeddedExchange, tick: Tick) -> None:
    """LUNAUSDT ended a week before: its archives may merely be late."""
    dataset = make_dataset("BTCUSDT", "LUNAUSDT", start="2022-05-20")
    tick(dataset, datetime(2022, 5, 20, 9, tzinfo=UTC))
    asked = []
    for hour, minute in ((9, 5), (9, 55), (10, 5), (10, 10)):
        tick(dataset, datetime(2022, 5, 20, hour, minute, tzinfo=UTC))
        asked.append(exchange.requests()["rest"]["klines"])

    assert asked == [1, 1, 2, 1]


def test_a_dataset_of_which_rest_has_nothing_wants_a_run_once_an_hour(tick: Tick) -> None:
    dataset = make_dataset("LUNAUSDT", start="2022-05-20")
    tick(dataset, datetime(2022, 5, 20, 9, tzinfo=UTC))

    assert tick(dataset, datetime(2022, 5, 20, 9, 30, tzinfo=UTC)) == []
    assert tick(dataset, datetime(2022, 5, 20, 10, 5, tzinfo=UTC)) == [(["2022-05-20"], False)]


def test_a_symbol_new_in_klines_yaml_is_looked_for_before_rest_is_asked(lake: Lake, tick: Tick) -> None:
    tick(make_dataset("BTCUSDT", start="2025-03-04"), at(4, 9))

    assert tick(make_dataset("BTCUSDT", "SOLUSDT", start="2025-03-04"), at(4, 9, 5)) == [(["2025-03-04"], True)]
    assert newest(lake, "SOLUSDT", "2025-03-04") == at(4, 9, 4, 0)


def test_a_symbol_taken_out_of_klines_yaml_wants_nothing(tick: Tick) -> None:
    tick(PAIR, at(4, 23, 50))
    tick(make_dataset("BTCUSDT", start="2025-03-03"), at(5, 0, 10))

    assert tick(make_dataset("BTCUSDT", start="2025-03-03"), at(5, 0, 10)) == []


def test_a_day_with_a_damaged_ledger_wants_a_run_that_says_how_to_mend_it_and_the_others_go_on(
    lake: Lake, tick: Tick
) -> None:
    tick(PAIR, at(4, 9))
    path = Path(lake.base, DayPaths.of(PAIR, date(2025, 3, 3)).archives)
    path.write_bytes(b"damaged")

    wanted = wanted_for_freshness(lake, PAIR, at(4, 9, 5), archived=True)

    assert [(wish.kind, wish.days) for wish in wanted] == [
        (Kind.FRESHNESS, (date(2025, 3, 4),)),
        (Kind.REPAIR, (date(2025, 3, 3),)),
    ]
    assert f"{path} is damaged" in wanted[1].reason
    later = wanted_for_freshness(lake, PAIR, at(4, 9, 10), archived=True)[1]
    assert later.digest(later.days) == wanted[1].digest(wanted[1].days)


def test_a_delisted_symbol_wants_nothing(tick: Tick) -> None:
    gone = make_dataset("LUNAUSDT", start="2025-03-04")
    tick(gone, at(4, 9))

    assert tick(gone, at(4, 9, 5)) == []


def test_okx_is_kept_fresh_without_archives(exchange: EmbeddedExchange, lake: Lake, tick: Tick) -> None:
    swaps = Dataset("okx", "swap", Interval.parse("1m"), ("BTC-USDT-SWAP",), date(2025, 3, 4))
    assert tick(swaps, at(4, 9)) == [(["2025-03-04"], False)]

    assert tick(swaps, at(4, 9, 5)) == [(["2025-03-04"], False)]

    assert newest(lake, "BTC-USDT-SWAP", "2025-03-04", venue="okx/swap") == at(4, 9, 4, 0)
    assert exchange.requests()["rest"]["market/candles"] == 1


def test_older_days_that_nobody_has_looked_at_are_history_and_no_matter_of_freshness(lake: Lake) -> None:
    years = make_dataset("BTCUSDT", start="2020-01-01")

    [wish] = wanted_for_freshness(lake, years, at(4, 9), archived=True)

    assert wish.days == (date(2025, 3, 2), date(2025, 3, 3), date(2025, 3, 4))


def test_a_filter_begins_a_new_day_while_the_bucket_is_dark(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    """Neither delisted symbols nor today's archives matter to a day in progress; the look of an hour later mends it."""
    chosen = SymbolFilter(quote=("USDT",), match="^(BTC|LUNA|SOL)USDT$")
    dataset = make_dataset(start="2025-03-01", chosen=chosen)
    exchange.set_clock(at(4, 23, 50))
    ingest(dataset, "2025-03-04")
    exchange.set_clock(at(5, 0, 5))
    exchange.add_fault(kind="status", status=403, group="listing")

    [ended, begun] = ingest(dataset, "2025-03-04", "2025-03-05", market=impatient(exchange, "binance/spot"))

    assert set(ended.failures) == {"vision_klines", "klines"}, "an ended day waits for its listing"
    assert begun.failures == {}
    assert read_day(lake, "klines", "2025-03-05").group_by("symbol", maintain_order=True).len().rows() == [
        ("BTCUSDT", 5),
        ("SOLUSDT", 5),
    ]
