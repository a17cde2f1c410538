"""A ledger or an archive damaged or gone, and the remedy followed: what was seen stays known, or its loss is told.

Bytes are kept under their own SHA-256 whatever a ledger says, and no number of a version is used twice.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from klines_pipeline import load
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import archive_entry, make_dataset, read_day
from klines_pipeline_tests.faults.archives import body_of, key_of
from klines_pipeline_tests.faults.conftest import Runner, assert_good

DAY = "2025-03-01"
BTC = key_of("BTCUSDT", DAY)
DATASET = make_dataset("BTCUSDT", start=DAY)
START = datetime(2025, 3, 4, 9, tzinfo=UTC)


class Past:
    """A day whose archive is rewritten each hour, and what was known of it then."""

    def __init__(self, exchange: EmbeddedExchange, run: Runner, lake: Lake) -> None:
        self.exchange, self.run, self.lake = exchange, run, lake
        self.known, self.bodies = dict[datetime, pl.DataFrame](), list[bytes]()

    def goes_on(self, change: Callable[[], object] = lambda: None) -> None:
        """An hour, what happens in it, a run, a look."""
        self.exchange.set_clock(self.exchange.now() + timedelta(hours=1))
        change()
        assert_good(self.run(DATASET, DAY))
        self.known[self.exchange.now()] = self.load()
        self.bodies.append(body_of(self.exchange, BTC))

    def revised(self) -> None:
        """The exchange rewrites the archive."""
        self.exchange.revise(BTC)

    def load(self, **choice: object) -> pl.DataFrame:
        """The day."""
        return load("BTCUSDT", "1m", DAY, "2025-03-02", lake=self.lake.root, **choice)  # type: ignore[arg-type]

    def is_remembered(self) -> None:
        """Each moment reads as it did then."""
        for moment, frame in self.known.items():
            assert_frame_equal(self.load(as_of=moment), frame)

    def file(self, table: str) -> Path:
        """The day's file of a table or ledger."""
        return Path(self.lake.base, f"{table}/exchange=binance/market=spot/interval=1m/date={DAY}/part.parquet")

    def versions(self) -> list[tuple[object, ...]]:
        """Number, SHA-256 and differences of each."""
        columns = ["revision", "sha256", "rows_added", "rows_removed", "rows_changed"]
        return read_day(self.lake, "ledger/revisions", DAY).select(columns).rows()

    def kept(self) -> set[bytes]:
        """Every archive of the day that lies in the lake."""
        return {
            path.read_bytes() for path in Path(self.lake.base, "vision").rglob(f"{Path(BTC).name}*") if path.is_file()
        }


@pytest.fixture
def past(exchange: EmbeddedExchange, run: Runner, lake: Lake) -> Past:
    """Two versions, an hour apart."""
    story = Past(exchange, run, lake)
    story.goes_on()
    story.goes_on(story.revised)
    return story


def digests(bodies: list[bytes]) -> list[str]:
    """SHA-256 of each."""
    return [sha256(body).hexdigest() for body in bodies]


def test_without_the_archives_ledger_numbers_and_times_go_on(past: Past) -> None:
    before = past.versions()
    past.file("ledger/archives").unlink()

    past.goes_on()

    entry = archive_entry(past.lake, "BTCUSDT", DAY)
    assert (entry["state"], entry["revision"], entry["first_seen_at"]) == ("ok", 2, START + timedelta(hours=2))
    assert past.versions() == before
    past.is_remembered()


def test_an_archive_rewritten_while_the_ledger_is_gone_is_set_aside_first(past: Past) -> None:
    past.file("ledger/archives").unlink()

    past.goes_on(past.revised)

    assert [row[:2] for row in past.versions()] == list(enumerate(digests(past.bodies), 1))
    assert set(past.bodies) <= past.kept()
    past.is_remembered()


def test_an_archive_that_only_the_revisions_ledger_knows_stays_in_use_when_the_bucket_drops_it(past: Past) -> None:
    past.file("ledger/archives").unlink()

    past.exchange.remove_object(BTC)

    assert_good(past.run(DATASET, DAY))

    entry = archive_entry(past.lake, "BTCUSDT", DAY)
    assert (entry["state"], entry["revision"], entry["rows"]) == ("ok", 2, 1439)
    past.is_remembered()


def test_bytes_in_the_mirror_are_kept_even_if_no_ledger_is_left(past: Past, caplog: pytest.LogCaptureFixture) -> None:
    for table in ("ledger/archives", "ledger/revisions"):
        past.file(table).unlink()

    past.goes_on(past.revised)

    assert set(past.bodies) <= past.kept()
    assert "held bytes that no ledger knows" in caplog.text


def test_the_revisions_ledger_is_made_again_from_what_is_kept(past: Past, caplog: pytest.LogCaptureFixture) -> None:
    past.goes_on(past.revised)
    before = past.versions()
    past.file("ledger/revisions").unlink()

    with pytest.raises(DamagedFileError, match=r"ledger/revisions/.* revision 3"):
        past.load(as_of=START + timedelta(hours=1))
    past.goes_on()

    assert past.versions() == before
    assert "rows were lost; of BTCUSDT it is not known what was known before 2025-03-04 12:00" in caplog.text
    assert_frame_equal(past.load(as_of=START + timedelta(hours=3)), past.load())
    with pytest.raises(DamagedFileError, match="cannot be told: revisions lost what it had"):
        past.load(as_of=START + timedelta(hours=1))

    past.goes_on(past.revised)
    assert [row[:2] for row in past.versions()][-1] == (4, digests(past.bodies)[-1])


def test_of_a_first_version_nothing_is_lost_with_the_revisions_ledger(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    past = Past(exchange, run, lake)
    past.goes_on()
    before = past.file("ledger/revisions").read_bytes()
    past.file("ledger/revisions").unlink()

    past.goes_on()

    assert past.file("ledger/revisions").read_bytes() == before
    assert not past.file("ledger/losses").exists()
    past.is_remembered()


@pytest.mark.parametrize(
    ("table", "loss"),
    [
        ("ledger/revisions", "when each version of an archive was seen"),
        ("ledger/quarantine", "since when archives that came without a valid checksum are verified"),
        ("rest_klines", "what REST gave and when"),
    ],
)
def test_the_remedy_says_what_deleting_a_damaged_file_loses(
    past: Past, exchange: EmbeddedExchange, table: str, loss: str
) -> None:
    exchange.put_object(BTC, body_of(exchange, BTC)[:-1] + b"x", checksum="none")
    past.file(table).parent.mkdir(parents=True, exist_ok=True)
    past.file(table).write_bytes(b"PAR1 no more")
    exchange.revise(BTC)

    [red] = past.run(DATASET, DAY)

    assert f"Restore it from a backup if you have one. Deleting it loses {loss}" in " ".join(red.failures.values())


def test_when_an_archive_was_verified_is_told_again_or_refused(past: Past, run: Runner) -> None:
    exchange = past.exchange
    past.goes_on(lambda: exchange.revise(BTC, with_checksum=False))
    past.goes_on(lambda: exchange.put_object(BTC, body_of(exchange, BTC)))
    past.is_remembered()
    past.file("ledger/quarantine").unlink()

    assert_good(run(DATASET, DAY))

    released = START + timedelta(hours=4)
    [row] = read_day(past.lake, "ledger/quarantine", DAY).rows(named=True)
    assert (row["revision"], row["verified_at"]) == (3, released)
    assert_frame_equal(past.load(as_of=released), past.load())
    with pytest.raises(DamagedFileError, match="quarantine lost what it had"):
        past.load(as_of=START + timedelta(hours=3))


def test_rows_of_rest_asked_again_say_nothing_of_the_time_before(
    exchange: EmbeddedExchange, run: Runner, lake: Lake
) -> None:
    day = "2025-03-04"
    run(DATASET, day)
    exchange.set_clock(START + timedelta(hours=1))
    Path(lake.base, f"rest_klines/exchange=binance/market=spot/interval=1m/date={day}/part.parquet").unlink()

    assert_good(run(DATASET, day))

    again = load("BTCUSDT", "1m", day, "2025-03-05", lake=lake.root, as_of=START + timedelta(hours=1))
    assert again.height == 600
    with pytest.raises(DamagedFileError, match="rest_klines lost what it had"):
        load("BTCUSDT", "1m", day, "2025-03-05", lake=lake.root, as_of=START)


def test_a_damaged_version_before_makes_no_false_difference(past: Past, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    held = Path(past.lake.base, "vision", BTC)
    damaged = bytearray(held.read_bytes())
    damaged[1000] ^= 1
    held.write_bytes(damaged)

    past.goes_on(past.revised)

    assert past.versions()[-1] == (3, digests(past.bodies)[-1], None, None, None)
    assert "what changed since revision 2 cannot be told; its bytes are not the ones seen" in caplog.text
    assert bytes(damaged) in past.kept()
    with pytest.raises(DamagedFileError, match="Revision 2 of BTCUSDT is gone from the lake"):
        past.load(as_of=START + timedelta(hours=2))


def test_a_version_seen_only_while_its_checksum_lagged_is_recorded_and_kept(past: Past) -> None:
    past.goes_on(lambda: past.exchange.revise(BTC, with_checksum=False))
    past.goes_on()
    assert archive_entry(past.lake, "BTCUSDT", DAY)["revision"] == 2

    past.goes_on(past.revised)

    lagging, final = past.bodies[-2:]
    assert [row[:2] for row in past.versions()[2:]] == [*enumerate(digests([lagging, final]), 3)]
    assert lagging in past.kept()
    [row] = read_day(past.lake, "ledger/quarantine", DAY).rows(named=True)
    assert (row["revision"], row["state"], row["verified_at"]) == (3, "checksum_mismatch", None)
    past.is_remembered()
