"""Symbols that a filter means since it was made wider, and that days of the lake were never asked for. No network.

Who was alive, the life table tells; which filter a day was last asked for, its archives ledger. Both must speak for it,
so that a day is asked for once a change, whatever comes of it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Self

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.life import SYMBOL_SCHEMA, Row, facts_of, was_alive
from klines_pipeline.stages.archive import asked_filter
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths, SymbolsPaths
from klines_pipeline.storage.tables import read_table


@dataclass(frozen=True, slots=True)
class NewlyMeant:
    """The rows of the life table that a dataset's filter selects; none where klines.yaml names the symbols."""

    lake: Lake
    dataset: Dataset
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, lake: Lake, dataset: Dataset) -> Self:
        """As the life table is now; of a damaged one the asset that makes it tells."""
        chosen = dataset.chosen
        if chosen is None:
            return cls(lake, dataset, ())
        try:
            rows = read_table(lake, SymbolsPaths(*dataset.prefix).symbols, SYMBOL_SCHEMA).iter_rows(named=True)
        except DamagedFileError:
            return cls(lake, dataset, ())
        return cls(lake, dataset, tuple(row for row in rows if chosen.selects(facts_of(row))))

    def on(self, day: date, certified: Collection[str]) -> int:
        """How many of them traded on a day that was made for another filter, and have no certificate."""
        unknown = [row for row in self.rows if row["symbol"] not in certified and was_alive(row, day)]
        if not unknown or asked_filter(self.lake, DayPaths.of(self.dataset, day)) == str(self.dataset.chosen):
            return 0
        return len(unknown)
