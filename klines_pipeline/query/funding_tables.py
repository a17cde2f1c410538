"""Reading the files of funding: the table, its certificates, its ledgers, by day."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import polars as pl

from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA
from klines_pipeline.storage.funding_layout import funding_file, funding_folder
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import PART, day_of
from klines_pipeline.storage.tables import read_table

TABLE, PROOF = "funding", "ledger/funding_certificates"
_THREADS = 8


def funding_certificates(lake: Lake, exchange: str, market: str, days: Sequence[date]) -> pl.DataFrame:
    """Certificates of these days with their `date`, in no particular order."""
    return read_funding(lake, PROOF, exchange, market, days, CERTIFICATE_SCHEMA, dated=True)


def stored_funding_days(lake: Lake, table: str, exchange: str, market: str) -> list[date]:
    """Days that a funding table or ledger has, in order."""
    names = lake.folders(funding_folder(table, exchange, market), holding=PART)
    return sorted(day for name in names if (day := day_of(name)))


def read_funding(
    lake: Lake,
    table: str,
    exchange: str,
    market: str,
    days: Sequence[date],
    schema: pl.Schema,
    *,
    dated: bool = False,
) -> pl.DataFrame:
    """The days' files, whole: a day of funding has a few rows a symbol. If `dated`, the day is the first column."""

    def of_day(day: date) -> pl.DataFrame:
        frame = read_table(lake, funding_file(table, exchange, market, day), schema)
        return frame.select(pl.lit(day).alias("date"), *schema.names()) if dated else frame

    none = pl.Schema({"date": pl.Date(), **schema} if dated else schema).to_frame()
    with ThreadPoolExecutor(_THREADS, "funding") as pool:
        return pl.concat([none, *pool.map(of_day, days)])
