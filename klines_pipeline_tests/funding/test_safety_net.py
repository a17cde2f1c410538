"""The days of funding that the safety net finds: what is missing or incomplete and could be had, and nothing else."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.universe import SymbolFilter
from klines_pipeline.domain.wanted import Kind, Wanted
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.funding import safety_net
from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.state import paths_of
from klines_pipeline.stages.watching.safety_net import Said
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.funding.conftest import Fund, certificate
from klines_pipeline_tests.funding.wishes import FUNDING, UM, at, market_of

TODAY = date(2025, 3, 4)
DAYS = [date(2025, 2, 26), date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1)]


def repairs(
    exchange: EmbeddedExchange,
    lake: Lake,
    *days: date,
    said: Said | None = None,
    older: bool = False,
    of: Dataset = UM,
) -> list[Wanted]:
    market, [dataset] = market_of(exchange), funding_datasets([of])
    if older:
        found = safety_net.older_funding_repairs(lake, market, dataset, days, TODAY, said or {}, 1)
    else:
        found = safety_net.funding_repairs(lake, market, dataset, days, TODAY, said or {})
    market.api.close()
    return found


def test_days_that_are_missing_or_unexplained_are_found_and_no_others(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="blocked", group="rest")
    fund([UM], "2025-02-27", "2025-03-01")

    [wish] = repairs(exchange, lake, *DAYS, said={DAYS[2]: ["funding failed"]})

    assert wish.kind is Kind.REPAIR
    assert wish.reason == (
        "3 day(s): 2025-02-26 was never materialized; 2025-02-28 funding failed; 2025-03-01 blocked 2 symbols"
    )


def test_gaps_on_which_rest_has_been_heard_are_left_alone_until_their_archive_comes(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="status", status=200, match="/fapi/v1/fundingRate*", body="[]")
    fund([UM], "2025-03-01")
    found = certificate(lake, "BTCUSDT", "2025-03-01")
    assert (found["missing"], found["reason"]) == (3, "no_data")

    assert repairs(exchange, lake, DAYS[3]) == []
    assert repairs(exchange, lake, DAYS[3], older=True) == []


def test_gaps_on_which_rest_could_not_be_heard_are_asked_for_until_it_was(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    exchange.add_fault(kind="status", status=503, match="re:/fapi/v1/fundingRate.*")
    fund([UM], "2025-03-01")

    for older in (False, True):
        [wish] = repairs(exchange, lake, DAYS[3], older=older)
        assert wish.reason == "1 day(s): 2025-03-01 unavailable 2 symbols"
    exchange.clear_faults()
    fund([UM], "2025-03-01")
    assert repairs(exchange, lake, DAYS[3]) == []


def test_a_day_that_ended_after_it_was_certified_is_found(exchange: EmbeddedExchange, lake: Lake, fund: Fund) -> None:
    exchange.set_clock(at(3, 1, 10))
    fund([UM], "2025-03-01")
    exchange.set_clock(at(3, 4, 9))
    assert certificate(lake, "BTCUSDT", "2025-03-01")["missing"] == 0

    [wish] = repairs(exchange, lake, DAYS[3])

    assert wish.reason == "1 day(s): 2025-03-01 is certified in part only, 2 symbols"
    fund([UM], "2025-03-01")
    assert repairs(exchange, lake, DAYS[3]) == []


def test_damaged_ledgers_are_named_and_the_other_days_are_looked_at(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([UM], "2025-02-28", "2025-03-01")
    proof, slices = paths_of(FUNDING, DAYS[2]).certificates, paths_of(FUNDING, DAYS[3]).slices
    for path in (proof, slices):
        Path(lake.base, path).write_bytes(b"damaged")

    [wish] = repairs(exchange, lake, *DAYS[1:])

    assert wish.days == tuple(DAYS[1:])
    assert "2025-02-27 was never materialized" in wish.reason
    assert all(f"{Path(lake.base, path)} is damaged" in wish.reason for path in (proof, slices))


def test_a_symbol_that_came_into_klines_yaml_is_asked_for_in_older_days_newest_first(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    fund([replace(UM, symbols=("BTCUSDT",))], "2025-02-27", "2025-02-28")

    wishes = repairs(exchange, lake, *DAYS[1:3], older=True)

    assert [wish.reason for wish in wishes] == [
        "1 day(s): 2025-02-28 was never asked for 1 symbol",
        "1 day(s): 2025-02-27 was never asked for 1 symbol",
    ]
    fund([UM], "2025-02-27", "2025-02-28")
    assert repairs(exchange, lake, *DAYS[1:3], older=True) == []


def test_whom_a_filter_selects_no_more_keeps_its_morning_and_nobody_asks_for_the_rest(
    exchange: EmbeddedExchange, lake: Lake, fund: Fund
) -> None:
    both, one = (replace(UM, symbols=(), chosen=SymbolFilter(match=f"^({names})USDT$")) for names in ("BTC|SOL", "BTC"))
    exchange.set_clock(at(3, 1, 10))
    fund([both], "2025-03-01")
    exchange.set_clock(at(3, 4, 9))

    assert repairs(exchange, lake, DAYS[3], of=both)
    fund([one], "2025-03-01")
    assert repairs(exchange, lake, DAYS[3], of=one) == []


def test_each_older_day_is_looked_at_once_a_week(lake: Lake) -> None:
    stored = [date(2025, 1, 20) + timedelta(days=place) for place in range(40)]
    for day in stored:
        lake.publish(paths_of(FUNDING, day).certificates, b"")
    week = [TODAY + timedelta(days=place) for place in range(7)]

    looked_at = [safety_net.older_funding_days(lake, FUNDING, DAYS[2], today, 4) for today in week]

    assert sorted(day for days in looked_at for day in days) == [DAYS[0], DAYS[1]], "none before the dataset begins"
