"""Binance's monthly funding archives: which are published, their bytes, their rows. There are no daily ones.

How an archive is fetched and checked is the same as for klines: see `vision`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl

from klines_pipeline.domain.errors import CorruptArchiveError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.exchanges.binance.keys import CHECKSUM, folder_of
from klines_pipeline.exchanges.binance.listed import Seen, listed_by
from klines_pipeline.exchanges.binance.listing import PAGE, ListedObject
from klines_pipeline.exchanges.binance.survey import BucketListing, survey_all
from klines_pipeline.exchanges.binance.vision import VisionArchive
from klines_pipeline.exchanges.funding import FundingSurvey, ParsedMonth
from klines_pipeline.exchanges.protocols import FetchedArchive, Listed, PublishedArchive
from klines_pipeline.funding.months import MonthHistory, month_before
from klines_pipeline.funding.schema import INTERVALS, UTC_TIME, VISION, WIRE_SCHEMA
from klines_pipeline.funding.sieve import sieve

_BOUND = Interval.parse("1d")
"""No month of funding (744 lines of some 35 bytes) is longer than the bound of a day of such klines, 1 MiB."""
_FIELDS = {"calc_time": pl.Int64, "funding_interval_hours": pl.Int16, "last_funding_rate": pl.Float64}
_HEADER = ",".join(_FIELDS)


@dataclass(slots=True)
class BinanceFundingArchive:
    """One market's monthly funding archives."""

    vision: VisionArchive

    def key(self, symbol: str, month: date) -> str:
        """`data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip`."""
        return f"{self._stem(symbol)}{month:%Y-%m}.zip"

    def _stem(self, symbol: str) -> str:
        return f"data/{self.vision.market.directory}/monthly/fundingRate/{symbol}/{symbol}-fundingRate-"

    def survey(self, symbols: Sequence[str], months: Sequence[date]) -> FundingSurvey:
        """One listing a symbol, a second where a life begins or has ended; the bellwether's is the venue's witness."""
        listed, failed = survey_all(symbols, lambda symbol: self._list(symbol, min(months)))
        now = max((found.now for found in listed.values()), default=None)
        venue = self._venue_months(listed, min(months)) if now else frozenset[date]()
        today = now.date() if now else date.min
        return FundingSurvey(
            now=now,
            published={
                (name, month): found.archives[month]
                for name, found in listed.items()
                for month in months
                if month in found.archives
            },
            lives={
                (name, month): MonthHistory(frozenset(found.archives)).life(month, today=today, venue_months=venue)
                for name, found in listed.items()
                for month in months
            },
            failed=failed,
            never_archived=frozenset(name for name, found in listed.items() if not found.archives),
        )

    def listed(self, symbols: Sequence[str], first: date, *, seconds: float) -> Listed:
        """One short listing a symbol, see `listed.listed_by`."""
        return listed_by(
            lambda listing, symbol: self._since(listing, symbol, first), self.vision.list_url, symbols, seconds=seconds
        )

    def _list(self, symbol: str, first: date) -> Seen:
        """From two months before `first`, as the last one may still be awaited; where there is nothing that old, the
        whole life, to find its edges.
        """
        listing = BucketListing(self.vision.list_url, self.vision.policy, self.vision.listing_breaker)
        recent = self._since(listing, symbol, month_before(month_before(first)))
        return recent if any(month < first for month in recent.archives) else self._pages(listing, symbol, "")

    def _since(self, listing: BucketListing, symbol: str, month: date) -> Seen:
        return self._pages(listing, symbol, f"{self._stem(symbol)}{month:%Y-%m}")

    def _pages(self, listing: BucketListing, symbol: str, after: str) -> Seen:
        stem, objects = self._stem(symbol), list[ListedObject]()
        while True:
            page, now = listing.page(folder_of(stem), after, PAGE)
            objects += page.objects
            if not page.truncated or not page.objects:
                return Seen(_pair_up(objects, stem), now)
            after = page.objects[-1].key

    def _venue_months(self, listed: Mapping[str, Seen], first: date) -> frozenset[date]:
        """Months the venue published for its bellwether; none where that cannot be listed."""
        bellwether = self.vision.market.bellwether
        try:
            return frozenset((listed.get(bellwether) or self._list(bellwether, first)).archives)
        except TransientError:
            return frozenset()

    def fetch(self, key: str, new_file: Callable[[], Path]) -> FetchedArchive:
        """See `vision.VisionArchive.fetch`."""
        return self.vision.fetch(key, _BOUND, new_file)

    def open(self, content: bytes, key: str) -> bytes:
        """The CSV text of an archive's bytes."""
        return self.vision.open(content, key, _BOUND)

    def parse(self, symbol: str, text: bytes, month: date) -> ParsedMonth:
        """Settlements of the month; rows of another month and doubled keys are left out and said so."""
        try:
            body = text.decode("ascii").removeprefix(_HEADER).lstrip()
            frame = pl.read_csv(body.encode(), has_header=False, schema=_FIELDS, quote_char=None) if body else None
        except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
            raise CorruptArchiveError(f"its text is not funding rates: {str(error).splitlines()[0]}") from None
        wire = WIRE_SCHEMA.to_frame() if frame is None else _to_wire_schema(symbol, frame)
        sound = pl.col("funding_rate").is_finite() & pl.col("calc_time").is_not_null()
        if not wire.select(sound.fill_null(value=False).all()).item():
            raise CorruptArchiveError("its text has a row that is no settlement.")
        rows, rejected, repeated = sieve(wire, VISION, month=month)
        odd = {"lie outside of the month": wire.height - rows.height - repeated, "repeat a key": repeated}
        said = [f"{count} rows {what}" for what, count in odd.items() if count]
        return ParsedMonth(rows, rejected, f"{' and '.join(said)}; they are left out." if said else None)


def _to_wire_schema(symbol: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Times beyond the year 9999 and intervals that no venue uses become null."""
    hours = pl.col("funding_interval_hours")
    time = pl.when(pl.col("calc_time").is_between(1, 253_402_300_799_999)).then(pl.col("calc_time") * 1000)
    return frame.select(
        pl.lit(symbol).alias("symbol"),
        time.cast(UTC_TIME).alias("calc_time"),
        pl.when(hours.is_in(INTERVALS)).then(hours).alias("interval_hours"),
        pl.col("last_funding_rate").alias("funding_rate"),
        pl.lit(None, pl.Float64).alias("mark_price"),
    ).select(WIRE_SCHEMA.names())


def _pair_up(objects: Sequence[ListedObject], stem: str) -> dict[date, PublishedArchive]:
    """Archives by month, each with the time its checksum was written; junk keys are passed over."""
    pattern = re.compile(re.escape(stem) + r"([0-9]{4}-[0-9]{2})\.zip(\.CHECKSUM)?")
    archives, checksums = dict[date, ListedObject](), dict[date, datetime]()
    for listed in objects:
        match = pattern.fullmatch(listed.key)
        with suppress(ValueError):  # junk such as 2024-13
            if match and match[2] == CHECKSUM:
                checksums[date.fromisoformat(f"{match[1]}-01")] = listed.last_modified
            elif match:
                archives[date.fromisoformat(f"{match[1]}-01")] = listed
    return {
        month: PublishedArchive(found.key, found.size, found.etag, found.last_modified, checksums.get(month))
        for month, found in archives.items()
    }
