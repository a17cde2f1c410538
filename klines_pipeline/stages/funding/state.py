"""What the lake holds of a market's funding: ledgers of a day, REST rows, archives' rows out of the mirror."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256

import polars as pl

from klines_pipeline.domain.errors import DamagedFileError, IncompleteError, KlinesError
from klines_pipeline.domain.states import ArchiveState
from klines_pipeline.domain.utc_day import EPOCH
from klines_pipeline.exchanges.funding import FundingArchive, ParsedMonth
from klines_pipeline.funding.expected import Settlement
from klines_pipeline.funding.months import month_after, month_of
from klines_pipeline.funding.schema import (
    CERTIFICATE_SCHEMA,
    FUNDING_SCHEMA,
    REJECTED_SCHEMA,
    SETTLEMENT_SCHEMA,
    UTC_TIME,
    VISION,
    with_provenance,
)
from klines_pipeline.funding.slices import SLICE_SCHEMA, FundingSlice, slice_entries
from klines_pipeline.klines.ledgers import ARCHIVE_SCHEMA, ArchiveEntry, archive_entries
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.results import ArchivedFunding, ToppedUpFunding
from klines_pipeline.stages.results import UNLOOKED
from klines_pipeline.stages.verdict import absent
from klines_pipeline.stages.versions import path_of
from klines_pipeline.storage import layout
from klines_pipeline.storage.funding_layout import FundingPaths, funding_folder
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import PART, day_of
from klines_pipeline.storage.tables import read_table, to_parquet

LOG = logging.getLogger(__name__)
QUARANTINED = (ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH)


def paths_of(dataset: FundingDataset, day: date) -> FundingPaths:
    """The files of one day."""
    return FundingPaths(dataset.exchange, dataset.market, day)


def load_entries(lake: Lake, dataset: FundingDataset, day: date) -> dict[str, ArchiveEntry]:
    """The day's archives ledger, by symbol."""
    return archive_entries(read_table(lake, paths_of(dataset, day).archives, ARCHIVE_SCHEMA))


def load_slices(lake: Lake, dataset: FundingDataset, day: date) -> dict[str, FundingSlice]:
    """The day's slices ledger, by symbol."""
    return slice_entries(read_table(lake, paths_of(dataset, day).slices, SLICE_SCHEMA))


def load_rest(lake: Lake, dataset: FundingDataset, day: date) -> pl.DataFrame:
    """The settlements REST has given for the day."""
    return read_table(lake, paths_of(dataset, day).rest_funding, FUNDING_SCHEMA)


def keep_rejected(lake: Lake, paths: FundingPaths, rows: pl.DataFrame, *, instead_of: pl.Expr | None = None) -> None:
    """Add rows to the day's ledger of rejected ones, each once; `instead_of` says which of the old ones to drop."""
    old = read_table(lake, paths.rejected, REJECTED_SCHEMA)
    kept = old if instead_of is None else old.filter(~instead_of)
    ledger = pl.concat([kept, rows]).unique(maintain_order=True).sort("symbol", "funding_time", maintain_order=True)
    if not ledger.equals(old):
        lake.publish(paths.rejected, to_parquet(ledger), under=paths)


def stored_days(lake: Lake, dataset: FundingDataset, table: str = "funding") -> list[date]:
    """Days a table has, in order."""
    names = lake.folders(funding_folder(table, *dataset.prefix), holding=PART)
    return sorted(day for name in names if (day := day_of(name)))


def certified_days(lake: Lake, dataset: FundingDataset) -> set[date]:
    """Days that somebody has looked at."""
    return set(stored_days(lake, dataset, "ledger/funding_certificates"))


def archived_day(lake: Lake, dataset: FundingDataset, day: date, named: Iterable[str]) -> ArchivedFunding:
    """The archives of the day as the ledger has them; IncompleteError where no symbol named was ever looked for."""
    entries = load_entries(lake, dataset, day)
    wanted = tuple(sorted({*named, *(entries if dataset.has_filters else ())}))
    unlooked = tuple(symbol for symbol in wanted if symbol not in entries)
    if unlooked and len(unlooked) == len(wanted):
        raise IncompleteError(
            f"{day}: {unlooked[0]} has no row in ledger/funding_archives. Materialize vision_funding first, or select "
            "+funding so that it runs too."
        )
    heard = max((entry.fetched_at for entry in entries.values() if entry.fetched_at), default=EPOCH)
    if unlooked:
        LOG.warning(UNLOOKED, dataset, day, ", ".join(unlooked))
    known = tuple(symbol for symbol in wanted if symbol in entries)
    return ArchivedFunding(day, known, entries, heard, unlooked=unlooked)


def asked_day(lake: Lake, dataset: FundingDataset, day: date, named: Iterable[str]) -> ArchivedFunding:
    """A day of a market without archives, as the ledgers have it."""
    asked = load_slices(lake, dataset, day) if dataset.has_filters else {}
    known, wanted = load_entries(lake, dataset, day), tuple(sorted({*named, *asked}))
    return ArchivedFunding(day, wanted, {name: known.get(name) or absent(name, "") for name in wanted}, EPOCH)


def topped_up_day(lake: Lake, dataset: FundingDataset, archived: ArchivedFunding) -> ToppedUpFunding:
    """What REST has given for the day so far; IncompleteError where nothing tells the time."""
    slices = load_slices(lake, dataset, archived.day)
    certified = read_table(lake, paths_of(dataset, archived.day).certificates, CERTIFICATE_SCHEMA)["checked_at"]
    asked = [entry.requested_at for entry in slices.values() if entry.requested_at]
    now = max([archived.now, *asked, *certified])
    if now == EPOCH:
        raise IncompleteError(
            f"{archived.day}: nothing has been heard from the exchange yet. Materialize rest_funding first, or select "
            "+funding so that it runs too."
        )
    return ToppedUpFunding(archived.day, slices, load_rest(lake, dataset, archived.day), now)


@dataclass(frozen=True, slots=True)
class MirrorRows:
    """Settlements of archives, each read and parsed once in a run; `archive` is None where a market has none."""

    lake: Lake
    archive: FundingArchive | None
    known: dict[tuple[str, str | None], ParsedMonth] = field(default_factory=dict)
    times: dict[tuple[str, str | None], list[Settlement]] = field(default_factory=dict)

    def note(self, key: str, digest: str | None, month: ParsedMonth) -> None:
        """Rows just parsed from a download."""
        self.known[key, digest] = month

    def of(self, entry: ArchiveEntry, month: date) -> ParsedMonth:
        """The whole of one archive; `month` is the first day of the one it is of."""
        if self.archive is None or entry.state not in (ArchiveState.OK, *QUARANTINED):
            return ParsedMonth(SETTLEMENT_SCHEMA.to_frame(), REJECTED_SCHEMA.to_frame())
        name = (entry.key, entry.sha256_actual)
        if name not in self.known:
            text = self.archive.open(self._bytes(entry), entry.key)
            self.known[name] = self.archive.parse(entry.symbol, text, month)
        return self.known[name]

    def settled(self, entry: ArchiveEntry, month: date) -> list[Settlement]:
        """When one archive says that funding was settled, ascending."""
        name = (entry.key, entry.sha256_actual)
        if name not in self.times:
            rows = self.of(entry, month).rows.select("funding_time", "interval_hours")
            self.times[name] = [Settlement(*row) for row in rows.iter_rows()]
        return self.times[name]

    def of_day(self, archived: ArchivedFunding, *states: ArchiveState) -> pl.DataFrame:
        """The day's settlements of all its archives in one of the states, as rows of the table."""
        wanted = [archived.entries[name] for name in archived.symbols if archived.entries[name].state in states]
        frames = [SETTLEMENT_SCHEMA.to_frame(), *(self.of(entry, month_of(archived.day)).rows for entry in wanted)]
        rows = pl.concat(frames).filter(pl.col("funding_time").dt.date() == archived.day)
        versions = pl.DataFrame(
            [(entry.symbol, entry.revision, entry.first_seen_at) for entry in wanted],
            schema={"symbol": pl.String, "version": pl.Int16, "seen": UTC_TIME},
            orient="row",
        )
        joined = rows.join(versions, on="symbol", how="left", maintain_order="left")
        return with_provenance(joined, VISION, pl.col("version"), pl.col("seen"))

    def rejected_of_day(self, archived: ArchivedFunding) -> pl.DataFrame:
        """Rows of the day that its archives have and that do not count; those of another month, at the nearest day."""
        first = month_of(archived.day)
        months = (self.of(archived.entries[symbol], first).rejected for symbol in archived.symbols)
        nearest = pl.col("funding_time").dt.date().clip(first, month_after(first) - timedelta(days=1))
        return pl.concat([REJECTED_SCHEMA.to_frame(), *months]).filter(nearest == archived.day)

    def damaged(self, archived: ArchivedFunding) -> dict[str, str]:
        """Read the day's archives: symbols with one that is not what was verified, each with what to do."""
        found = dict[str, str]()
        for symbol in archived.symbols:
            try:
                self.of(archived.entries[symbol], month_of(archived.day))
            except KlinesError as error:
                found[symbol] = str(error)
        return found

    def _bytes(self, entry: ArchiveEntry) -> bytes:
        """The version judged: in its place, or set aside since another day of the month met a newer one."""
        digest = entry.sha256_actual or ""
        for path in (path_of(entry), layout.replaced(entry.key, digest)):
            content = self.lake.read(path)
            if content is not None and sha256(content).hexdigest() == digest:
                return content
        raise DamagedFileError(
            f"{self.lake.uri(path_of(entry))} is gone from the lake or not the file that was verified. Delete it if it "
            "is there, then materialize vision_funding of the day again: it is downloaded anew."
        )


def entries_of_month(ledgers: Iterable[Mapping[str, ArchiveEntry]]) -> dict[str, ArchiveEntry]:
    """What is known of each symbol's archive: the newest version that any day's ledger names."""
    newest: dict[str, ArchiveEntry] = {}
    for ledger in ledgers:
        for symbol, entry in ledger.items():
            if symbol not in newest or _age(newest[symbol]) < _age(entry):
                newest[symbol] = entry
    return newest


def _age(entry: ArchiveEntry) -> tuple[int, datetime]:
    return entry.revision, entry.fetched_at or EPOCH
