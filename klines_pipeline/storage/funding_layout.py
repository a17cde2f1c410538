"""Every path of funding rates in the lake, relative to its root; the rest stands in `layout`. No I/O."""

from dataclasses import dataclass
from datetime import date

from klines_pipeline.storage.layout import PART


@dataclass(frozen=True, slots=True)
class FundingPaths:
    """The files of one market's funding rates and day."""

    exchange: str
    market: str
    day: date

    def _part(self, table: str) -> str:
        return funding_file(table, self.exchange, self.market, self.day)

    @property
    def identity(self) -> dict[str, str]:
        """What the folders say, for a file that is taken out of them."""
        return {"exchange": self.exchange, "market": self.market, "date": self.day.isoformat()}

    @property
    def funding(self) -> str:
        """The table."""
        return self._part("funding")

    @property
    def rest_funding(self) -> str:
        """Rows as REST gave them."""
        return self._part("rest_funding")

    @property
    def archives(self) -> str:
        """Ledger, one row a symbol: the archive of the day's month."""
        return self._part("ledger/funding_archives")

    @property
    def slices(self) -> str:
        """Ledger, one row a symbol that REST was asked for."""
        return self._part("ledger/funding_slices")

    @property
    def certificates(self) -> str:
        """Ledger, one row a symbol."""
        return self._part("ledger/funding_certificates")

    @property
    def revisions(self) -> str:
        """Ledger of a month, one row a version of an archive; it lies at the month's first day."""
        return FundingPaths(self.exchange, self.market, self.day.replace(day=1))._part("ledger/funding_revisions")

    @property
    def quarantine(self) -> str:
        """Ledger of a month likewise, one row a version that was not verified when it was seen."""
        return FundingPaths(self.exchange, self.market, self.day.replace(day=1))._part("ledger/funding_quarantine")

    @property
    def merges(self) -> str:
        """Ledger, one row each time another version of a symbol's archive came into the table."""
        return self._part("ledger/funding_merges")

    @property
    def rejected(self) -> str:
        """Rows that are not in the table although a source had them; those of another month, at the nearest day."""
        return self._part("ledger/funding_rejected")

    @property
    def conflicts(self) -> str:
        """Rates on which archive and REST disagree."""
        return self._part("ledger/funding_conflicts")

    @property
    def lock(self) -> str:
        """Held by whoever writes a day of this month: its days share an archive."""
        return f".locks/{self.exchange}-{self.market}-funding-{self.day:%Y-%m}.lock"


def funding_folder(table: str, exchange: str, market: str) -> str:
    """The folder that holds a funding table's day folders."""
    return f"{table}/exchange={exchange}/market={market}"


def funding_file(table: str, exchange: str, market: str, day: date) -> str:
    """The file of one day of a funding table."""
    return f"{funding_folder(table, exchange, market)}/date={day}/{PART}"
