"""What earlier runs left for a stage that runs without the one before it: read from the ledgers, no network.

The time is the exchange's, as last heard: the latest moment any ledger row of the day records.
"""

import logging
from dataclasses import replace
from datetime import date, datetime

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import IncompleteError
from klines_pipeline.domain.states import NEVER_ASKED
from klines_pipeline.domain.utc_day import EPOCH, day_end
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA, ArchiveEntry
from klines_pipeline.klines.schema import WIRE_SCHEMA
from klines_pipeline.stages.archive import load_entries
from klines_pipeline.stages.results import UNLOOKED, ArchivedDay, ToppedUpDay
from klines_pipeline.stages.symbols.life_table import remembered_symbols
from klines_pipeline.stages.topup import load_rows, load_slices, standing_slices
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table

LOG = logging.getLogger(__name__)


def archived_day(lake: Lake, dataset: Dataset, day: date) -> ArchivedDay:
    """The archives of the day as the ledger has them; IncompleteError where no symbol was ever looked for."""
    entries = load_entries(lake, dataset, day)
    unlooked = tuple(symbol for symbol in dataset.symbols if symbol not in entries)
    is_new = bool(unlooked) and len(unlooked) == len(dataset.symbols)
    if is_new or lake.size(DayPaths.of(dataset, day).archives) is None:
        raise IncompleteError(
            f"{day}: {unlooked[0] if unlooked else dataset} has no row in ledger/archives. Materialize "
            f"vision_klines_{dataset.interval} first, or select +klines so that it runs too."
        )
    if unlooked:
        LOG.warning(UNLOOKED, dataset, day, ", ".join(unlooked))
    now = _last_heard(entries) if entries else day_end(day)  # of nobody, nothing more is to be heard
    return ArchivedDay(day=day, entries=entries, fetched=WIRE_SCHEMA.to_frame(), now=now, unlooked=unlooked)


def of_day(lake: Lake, market: Market, dataset: Dataset, archived: ArchivedDay) -> Dataset:
    """The dataset with the symbols it had that day: by filter, those the ledger knows that still satisfy it; by name,
    without those nobody has looked for yet.
    """
    if dataset.chosen is None:
        return replace(dataset, symbols=tuple(name for name in dataset.symbols if name not in archived.unlooked))
    facts = remembered_symbols(lake, market, dataset)
    lived = [name for name, entry in archived.entries.items() if entry.life not in NEVER_ASKED]
    chosen = dataset.chosen
    selected = [name for name in lived if chosen.selects(facts.get(name) or market.describe(name))]
    return replace(dataset, symbols=tuple(sorted(selected)))


def _last_heard(entries: dict[str, ArchiveEntry]) -> datetime:
    return max((entry.fetched_at for entry in entries.values() if entry.fetched_at), default=EPOCH)


def topped_up_day(lake: Lake, market: Market, dataset: Dataset, archived: ArchivedDay) -> ToppedUpDay:
    """What REST has given for the day so far."""
    slices, rows = load_slices(lake, dataset, archived.day), load_rows(lake, market, dataset, archived.day)
    if len(standing_slices(slices, rows)) < len(slices):
        raise IncompleteError(
            f"{archived.day}: rest_klines_{dataset.interval} has fewer rows than its ledger counts. Materialize it "
            "again first, or select +klines so that it runs too."
        )
    heard = max((entry.completed_at for entry in slices.values() if entry.completed_at), default=EPOCH)
    certified = read_table(lake, DayPaths.of(dataset, archived.day).certificates, CERTIFICATE_SCHEMA)["checked_at"]
    heard = max([heard, *certified])
    if max(heard, archived.now) == EPOCH:
        raise IncompleteError(
            f"{archived.day}: nothing has been heard from the exchange yet. Materialize rest_klines_{dataset.interval} "
            "first, or select +klines so that it runs too."
        )
    return ToppedUpDay(
        day=archived.day,
        slices=slices,
        rows=rows,
        now=max(heard, archived.now),
    )
