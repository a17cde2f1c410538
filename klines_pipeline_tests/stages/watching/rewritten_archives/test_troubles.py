"""How far the comparison got: dark buckets, symbols that cannot be listed, no time, ledgers that cannot be read."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

from klines_pipeline.domain.errors import TransientError
from klines_pipeline.exchanges.protocols import KlineArchive, Listed
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.watching.comparison_cursor import ComparisonCursor
from klines_pipeline.stages.watching.held_versions import read_versions
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.faults.archives import key_of
from klines_pipeline_tests.stages.watching.rewritten_archives.looking import (
    DATASET,
    RECENT,
    Looking,
    days,
)


def test_a_day_whose_ledger_was_never_finished_is_no_day_and_one_that_goes_meanwhile_is_none(looking: Looking) -> None:
    """A full disk, or a kill between the folder and the file, leaves the folder alone."""
    ledgers = Path(looking.lake.base, "ledger/archives/exchange=binance/market=spot/interval=1h")
    Path(ledgers, "date=2025-02-11").mkdir()

    assert looking.tick().words == "2025-02-10 to 2025-02-10: 2 symbols compared."
    held, damaged = read_versions(looking.lake, DATASET, days(RECENT, "2025-02-11"))
    assert (held["date"].unique().to_list(), damaged) == ([*days(RECENT)], {})


def test_a_day_with_a_damaged_ledger_is_named_and_the_others_are_compared(looking: Looking) -> None:
    path = Path(looking.lake.base, DayPaths.of(DATASET, date.fromisoformat(RECENT)).archives)
    shutil.copytree(path.parent, path.parent.with_name("date=2025-02-11"))
    path.write_bytes(b"damaged")

    words = looking.tick().words

    assert words.startswith("2025-02-10 to 2025-02-11: 2 symbols compared.")
    assert f"{path} is damaged" in words


def test_a_dark_bucket_is_said_and_nothing_is_passed_over(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.exchange.add_fault(kind="status", status=403, group="listing")
    dark = looking.tick()
    assert (dark.now, dark.wanted, dark.cursor) == (None, (), None)
    assert "binance does not answer" in dark.words
    looking.exchange.clear_faults()

    [wish] = looking.until_rest()

    assert wish.days == days(RECENT)


class Unlistable:
    """An archive with one symbol that can never be listed; all else is the one it stands before."""

    def __init__(self, archive: KlineArchive, symbol: str) -> None:
        self.archive, self.symbol = archive, symbol

    def __getattr__(self, name: str) -> object:
        return getattr(self.archive, name)

    def listed(self, symbols: Sequence[str], *where: object, **within: float) -> Listed:
        """That symbol failed."""
        listed = self.archive.listed([name for name in symbols if name != self.symbol], *where, **within)  # type: ignore[arg-type]
        error = TransientError("the listing answered HTTP 403.")
        return replace(listed, failed={name: error for name in symbols if name == self.symbol})


def test_a_symbol_that_cannot_be_listed_is_tried_again_and_then_keeps_nobody_waiting(looking: Looking) -> None:
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.stand_in = partial(Unlistable, symbol="BTCUSDT")

    first, second = looking.tick(), looking.tick()

    assert first.words == "2025-02-10 to 2025-02-10: 1 symbols compared, up to none. " + (
        "1 symbols could not be listed: the listing answered HTTP 403."
    )
    assert [wish.reason for wish in first.wanted] == ["ETHUSDT rewritten"]
    assert ComparisonCursor.parse(first.cursor).passed is None
    assert ComparisonCursor.parse(second.cursor).passed == date(2025, 3, 4)


def test_without_time_the_next_tick_begins_where_this_one_stood(looking: Looking) -> None:
    assert looking.tick(seconds=0.0).now is None
    looking.exchange.revise(key_of("ETHUSDT", RECENT, "1h"))
    looking.cursor = str(ComparisonCursor(after="BTCUSDT"))

    tick = looking.tick()

    assert [wish.reason for wish in tick.wanted] == ["ETHUSDT rewritten"]
    assert "1 symbols compared" in tick.words


def test_an_empty_lake_has_nothing_to_compare(exchange: EmbeddedExchange, lake: Lake) -> None:
    looking = Looking(exchange, lake)

    assert looking.until_rest() == []
    assert exchange.requests()["listing"] == 3
