"""What is listed and not held: nothing that was judged already, everything that was not, whatever its state says."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.exchanges.protocols import Listed, PublishedArchive
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, NEWER_VERSION, ArchiveEntry, to_frame
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.stages.verdict import is_current
from klines_pipeline.stages.watching.news import HELD_SCHEMA, held_versions, listed_versions, news, told
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, endpoints_of, make_dataset

DAY = date(2025, 3, 3)
AT = datetime(2025, 3, 4, 2, 30, tzinfo=UTC)
KEY = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-03-03.zip"
LISTED = PublishedArchive(KEY, 100, "one", AT, AT)
OK = ArchiveEntry(
    symbol="BTCUSDT",
    key=KEY,
    state=ArchiveState.OK,
    size=100,
    etag="one",
    sha256_published="ab",
    fetched_at=AT + timedelta(hours=1),
    revision=1,
)


def compare(published: PublishedArchive | None, *entries: ArchiveEntry) -> pl.DataFrame:
    archives = {("BTCUSDT", DAY): published} if published else {}
    held = to_frame(entries, ARCHIVE_SCHEMA).select(pl.lit(DAY).alias("date"), *ARCHIVE_SCHEMA.names())
    return news(listed_versions(Listed(AT, archives, {}, (), 1)), held)


@pytest.mark.parametrize(
    ("known", "published", "what"),
    [
        (OK, LISTED, None),
        (OK, replace(LISTED, etag="two"), "rewritten"),
        (OK, replace(LISTED, size=101), "rewritten"),
        (OK, replace(LISTED, checksum_modified=AT + timedelta(days=1)), None),
        (replace(OK, etag=None), LISTED, "rewritten"),
        (replace(OK, error=f"{NEWER_VERSION}corrupt: not a zip"), replace(LISTED, etag="two"), "rewritten"),
        (replace(OK, state=ArchiveState.NOT_PUBLISHED, etag=None, size=None), LISTED, "published"),
        (replace(OK, state=ArchiveState.UNAVAILABLE), LISTED, "published"),
        (replace(OK, state=ArchiveState.CORRUPT), LISTED, None),
        (replace(OK, state=ArchiveState.CORRUPT), replace(LISTED, etag="two"), "rewritten"),
        (replace(OK, state=ArchiveState.CHECKSUM_MISMATCH), LISTED, None),
        (replace(OK, state=ArchiveState.CHECKSUM_MISMATCH), replace(LISTED, etag="two"), "rewritten"),
        (
            replace(OK, state=ArchiveState.CHECKSUM_MISMATCH),
            replace(LISTED, checksum_modified=AT + timedelta(hours=2)),
            "checksum",
        ),
        (replace(OK, state=ArchiveState.CHECKSUM_ABSENT, sha256_published=None), LISTED, "checksum"),
        (
            replace(OK, state=ArchiveState.CHECKSUM_ABSENT, sha256_published=None),
            replace(LISTED, checksum_modified=None),
            None,
        ),
    ],
)
def test_what_is_new_of_an_entry(known: ArchiveEntry, published: PublishedArchive, what: str | None) -> None:
    assert compare(published, known)["what"].to_list() == ([what] if what else [])
    if known.state is not ArchiveState.CORRUPT:
        assert is_current(known, published) == (what is None), "a run would not do what it was asked for"


def test_of_a_day_without_a_ledger_everything_is_new_and_what_vanished_is_not() -> None:
    assert compare(LISTED)["what"].to_list() == ["published"]
    assert compare(None, OK).is_empty()


def test_the_same_news_are_told_alike_and_another_version_or_checksum_otherwise() -> None:
    texts = {
        told(compare(published))[DAY]
        for published in (
            LISTED,
            replace(LISTED, last_modified=AT + timedelta(hours=1)),
            replace(LISTED, etag="two"),
            replace(LISTED, checksum_modified=None),
        )
    }

    assert len(texts) == 3


def test_a_day_taken_in_has_no_news_until_an_archive_is_rewritten(
    exchange: EmbeddedExchange, lake: Lake, ingest: Run
) -> None:
    dataset = make_dataset("BTCUSDT", "币安人生USDT")
    ingest(dataset, "2025-03-03")
    key = KEY.replace("BTCUSDT", "币安人生USDT")

    def look() -> list[tuple[object, ...]]:
        market = connect("binance", "spot", endpoints_of(exchange))
        listed = market.archive.listed(dataset.symbols, dataset.interval, DAY, DAY, seconds=30)
        market.api.close()
        held = held_versions(lake, dataset, [DAY, date(2025, 3, 2)])
        return news(listed_versions(listed), held).select("date", "symbol", "what").rows()

    assert look() == []
    exchange.revise(key)
    assert look() == [(DAY, "币安人生USDT", "rewritten")]


def test_one_version_among_many_is_found() -> None:
    days = [DAY - timedelta(days=back) for back in range(30)]
    symbols = [f"X{number:04d}USDT" for number in range(500)]
    archives = {(symbol, day): LISTED for symbol in symbols for day in days}
    entries = to_frame([replace(OK, symbol=symbol) for symbol in symbols], ARCHIVE_SCHEMA)
    held = pl.concat([entries.select(pl.lit(day).alias("date"), *ARCHIVE_SCHEMA.names()) for day in days])
    archives["X0007USDT", days[3]] = replace(LISTED, etag="two")

    found = news(listed_versions(Listed(AT, archives, {}, (), 500)), held)

    assert found.select("date", "symbol").rows() == [(days[3], "X0007USDT")]
    assert held.schema == HELD_SCHEMA
