"""Days that are asked for again because more can be known by now, each as often as that is so and no oftener."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.watching.safety_net import examined_days, older_repairs, wanted_repairs
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, archive_entry, certificate, make_dataset, read_day

FIRST, LAST, END = date(2025, 2, 12), date(2025, 2, 13), date(2025, 2, 23)
"""The lake's first day, SOLUSDT's last one, and the day on which these stories are over."""
NAMES = ("BTCUSDT", "SOLUSDT")
PATTERN = SymbolFilter(match=f"^({'|'.join(NAMES)})$")


THREE = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", interval="1h", start=str(FIRST))


def dataset_of(market: str, *, named: bool) -> Dataset:
    """Two symbols, by name or by a filter."""
    names, chosen = (NAMES, None) if named else ((), PATTERN)
    return make_dataset(*names, interval="1h", start=str(FIRST), market=market, chosen=chosen)


def live(exchange: EmbeddedExchange, lake: Lake, ingest: Run, dataset: Dataset) -> list[tuple[date, str]]:
    """Each morning the day before is taken in, and what the safety net wants; those wishes, with the day of each."""
    wishes = list[tuple[date, str]]()
    for day in days_between(FIRST, END):
        today = day + timedelta(days=1)
        exchange.set_clock(datetime.combine(today, time(10), UTC))
        ingest(dataset, str(day))
        for wish in wanted_repairs(lake, dataset, examined_days(FIRST, today, 30), today, {}):
            wishes.append((today, wish.reason))
            ingest(dataset, *map(str, wish.days))
    return wishes


@pytest.mark.parametrize("who", ["named", "filtered"])
@pytest.mark.parametrize("market", ["spot", "um"])
def test_the_days_around_a_delisting_are_asked_for_once_each_as_soon_as_the_bucket_tells(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run, market: str, who: str
) -> None:
    dataset, where = dataset_of(market, named=who == "named"), {"interval": "1h", "venue": f"binance/{market}"}
    exchange.delist("SOLUSDT", datetime.combine(LAST, time(12), UTC), market=market)

    wishes = live(exchange, lake, ingest, dataset)

    told = [*days_between(LAST, LAST + timedelta(days=7))]
    assert wishes == [
        (day + timedelta(days=4), f"1 day(s): {day} may be told the end of 1 symbol by now") for day in told
    ]
    ended = certificate(lake, "SOLUSDT", str(LAST), **where)
    assert (ended["present"], ended["missing"], ended["reason"]) == (12, 12, "delisted")
    for day in told[1:]:
        if who == "named":
            assert certificate(lake, "SOLUSDT", str(day), **where)["reason"] == "delisted"
        else:
            for table in ("ledger/certificates", "ledger/archives"):
                assert read_day(lake, table, str(day), **where)["symbol"].to_list() == ["BTCUSDT"]


def test_an_end_is_told_though_the_bellwethers_archive_of_the_next_day_is_lost(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    """In the bucket and in the lake, anybody's archive is witness enough."""
    exchange.delist("SOLUSDT", datetime.combine(LAST, time(12), UTC))
    exchange.hold_publication("BTCUSDT", LAST + timedelta(days=1), until=None)

    wishes = live(exchange, lake, ingest, THREE)

    told = [*days_between(LAST, LAST + timedelta(days=7))]
    assert [wish for wish in wishes if "end of" in wish[1]] == [
        (day + timedelta(days=4), f"1 day(s): {day} may be told the end of 1 symbol by now") for day in told
    ]
    reasons = [certificate(lake, "SOLUSDT", str(day), interval="1h")["reason"] for day in told]
    assert reasons == ["delisted"] * 8


def test_what_the_lake_concludes_and_the_bucket_does_not_is_the_same_news_until_twice_as_long_after(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    """The others' archives of the day after were taken in, and are gone from the bucket: no run learns of the end."""
    exchange.delist("SOLUSDT", datetime.combine(LAST, time(12), UTC))
    after = LAST + timedelta(days=1)
    for day in days_between(FIRST, after):
        exchange.set_clock(datetime.combine(day + timedelta(days=1), time(10), UTC))
        ingest(THREE, str(day))
    for name in ("BTCUSDT", "ETHUSDT"):
        key = f"data/spot/daily/klines/{name}/1h/{name}-1h-{after}.zip"
        exchange.remove_object(key)
        exchange.remove_object(f"{key}.CHECKSUM")

    asked = dict[tuple[date, str], list[int]]()
    for age in range(1, 41):
        today = LAST + timedelta(days=age)
        exchange.set_clock(datetime.combine(today, time(10), UTC))
        for wish in older_repairs(lake, THREE, [LAST], today, {}, 31):
            assert wish.once
            asked.setdefault((LAST, wish.digest([LAST])), []).append(age)
            ingest(THREE, str(LAST))

    assert certificate(lake, "SOLUSDT", str(LAST), interval="1h")["reason"] == "exchange_halt"
    assert [ages[0] for ages in asked.values()] == [4, 8, 16, 32]


def test_a_damaged_archive_that_is_gone_from_the_bucket_is_looked_for_ever_more_seldom(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    day, dataset = date(2025, 2, 20), make_dataset("BTCUSDT", interval="1h", start="2025-02-20")
    exchange.add_fault(**DAMAGE["checksum_mismatch"])
    exchange.set_clock(datetime(2025, 2, 21, 8, tzinfo=UTC))
    ingest(dataset, str(day))
    exchange.hold_publication("BTCUSDT", day, until=None)

    asked = dict[str, int]()
    for age in range(1, 41):
        today = date(2025, 2, 21) + timedelta(days=age)
        exchange.set_clock(datetime.combine(today, time(10), UTC))
        for wish in wanted_repairs(lake, dataset, [day], today, {}):
            assert wish.once
            if asked.setdefault(wish.digest([day]), age) == age:
                ingest(dataset, str(day))

    assert archive_entry(lake, "BTCUSDT", str(day), interval="1h")["state"] == "checksum_mismatch"
    assert [*asked.values()] == [1, 2, 4, 8, 16, 32]


def test_archives_lost_for_some_days_are_no_end(exchange: EmbeddedExchange, lake: Lake, ingest: Run) -> None:
    for day in days_between(LAST, LAST + timedelta(days=2)):
        exchange.hold_publication("SOLUSDT", day, until=None)
    exchange.add_fault(kind="status", status=200, body="[]", match="/api/v3/klines")

    assert live(exchange, lake, ingest, dataset_of("spot", named=True)) == []
    assert certificate(lake, "SOLUSDT", str(LAST), interval="1h")["reason"] == "no_data"


def test_a_halt_up_to_midnight_is_no_end_where_the_symbol_goes_on(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    exchange.delist("SOLUSDT", datetime.combine(LAST, time(12), UTC))
    dataset = dataset_of("spot", named=True)
    exchange.set_clock(datetime(2025, 2, 14, 10, tzinfo=UTC))
    ingest(dataset, str(LAST))
    after = make_dataset("SOLUSDT", "BTCUSDT", interval="1h", start=str(FIRST))
    for day in days_between(LAST + timedelta(days=1), LAST + timedelta(days=4)):
        key = f"data/spot/daily/klines/SOLUSDT/1h/SOLUSDT-1h-{day}.zip"
        exchange.put_object(key, b"published, whatever it holds")
        exchange.set_clock(datetime.combine(day + timedelta(days=1), time(10), UTC))
        ingest(after, str(day))
    today = LAST + timedelta(days=5)

    wishes = older_repairs(lake, dataset, [LAST], today, {}, 31)

    assert certificate(lake, "SOLUSDT", str(LAST), interval="1h")["reason"] == "exchange_halt"
    assert wishes == []


DAMAGE = {
    "corrupt": {"kind": "corrupt", "match": "*BTCUSDT-1h-2025-02-20.zip"},
    "checksum_mismatch": {"kind": "status", "status": 200, "body": "ab" * 32, "match": "*-2025-02-20.zip.CHECKSUM"},
}


@pytest.mark.parametrize("state", DAMAGE)
def test_a_damaged_archive_that_is_not_published_anew_is_tried_again_ever_more_seldom(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run, state: str
) -> None:
    """A host between the bucket and here may have served a bad copy: the bucket's listing never changes."""
    day, begun = date(2025, 2, 20), date(2025, 2, 21)
    dataset = make_dataset("BTCUSDT", interval="1h", start=str(day))
    exchange.add_fault(**DAMAGE[state])
    tried = list[int]()

    def try_again(after: int) -> None:
        today = begun + timedelta(days=after)
        exchange.set_clock(datetime.combine(today, time(10), UTC))
        for wish in older_repairs(lake, dataset, [day], today, {}, 31):
            assert wish.reason == f"1 day(s): {day} has a damaged archive to be tried again, 1 symbol"
            ingest(dataset, str(day))
            tried.append(after)

    exchange.set_clock(datetime.combine(begun, time(8), UTC))
    ingest(dataset, str(day))
    for after in range(100):
        try_again(after)

    entry, filled = (read(lake, "BTCUSDT", str(day), interval="1h") for read in (archive_entry, certificate))
    assert (entry["state"], filled["from_rest"], filled["missing"]) == (state, 24, 0)
    assert tried == [1, 2, 4, 8, 16, 32, 60, 88]
    exchange.clear_faults()
    for after in range(100, 200):
        try_again(after)
    entry, filled = (read(lake, "BTCUSDT", str(day), interval="1h") for read in (archive_entry, certificate))
    assert (entry["state"], entry["revision"], filled["from_vision"]) == ("ok", 1, 24)
    assert tried[8:] == [116]


def test_a_day_whose_archive_is_late_and_that_had_a_halt_is_left_to_those_who_wait_for_it(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    """2025-03-02 had a halt of 48 minutes: REST has been heard, and the archive alone can say more."""
    day, dataset = date(2025, 3, 2), make_dataset("BTCUSDT", "ETHUSDT", start="2025-03-02")
    exchange.hold_publication("ETHUSDT", day, until=datetime(2025, 3, 9, tzinfo=UTC))
    exchange.set_clock(datetime(2025, 3, 3, 10, tzinfo=UTC))
    ingest(dataset, str(day))

    halted = certificate(lake, "ETHUSDT", str(day))
    assert (halted["missing"], halted["reason"]) == (48, "not_published")
    for age in range(1, 40):
        today = day + timedelta(days=age)
        assert wanted_repairs(lake, dataset, [day], today, {}) == []
        assert older_repairs(lake, dataset, [day], today, {}, 31) == []
    exchange.set_clock(datetime(2025, 3, 9, 10, tzinfo=UTC))
    ingest(dataset, str(day))
    assert certificate(lake, "ETHUSDT", str(day))["reason"] == "exchange_halt"
