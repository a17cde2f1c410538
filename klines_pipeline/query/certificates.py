"""Certificates and the state of the lake, as frames for people and programs."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_TABLE = "ledger/certificates"


def certificates(
    lake: Lake,
    dataset: Dataset,
    *,
    first: date | None = None,
    last: date | None = None,
    symbols: Sequence[str] = (),
) -> pl.DataFrame:
    """Certificates of a dataset with their `date`, by day and symbol; all stored days by default."""
    where = (dataset.exchange, dataset.market, str(dataset.interval))
    stored = stored_days(lake, _TABLE, *where)
    days = [day for day in stored if (first is None or day >= first) and (last is None or day <= last)]
    if not days:
        held = f"it has {stored[0]} to {stored[-1]}" if stored else "it has none at all"
        raise ConfigurationError(f"The lake {lake.root} has no certificate of {dataset} for these days: {held}.")
    frame = scan_days(lake, _TABLE, *where, days=days, schema=CERTIFICATE_SCHEMA)
    if symbols:
        frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
    ordered = frame.select("date", *CERTIFICATE_SCHEMA.names()).sort("date", "symbol")
    return collect_days(ordered, lake, _TABLE, where, days=days, schema=CERTIFICATE_SCHEMA)


def is_settled(rows: pl.DataFrame) -> bool:
    """Whether every certificate says complete, or missing for a reason that is the exchange's own."""
    return all(is_explained(reason) for reason in rows["reason"])


def status(lake: Lake, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """One row a dataset: days and symbols stored, klines, completeness, and symbol-days that lack klines by reason."""
    rows = []
    for dataset in datasets:
        where = (dataset.exchange, dataset.market, str(dataset.interval))
        days = stored_days(lake, _TABLE, *where)
        lazy = scan_days(lake, _TABLE, *where, days=days, schema=CERTIFICATE_SCHEMA)
        frame = collect_days(lazy, lake, _TABLE, where, days=days, schema=CERTIFICATE_SCHEMA)
        reasons = (
            frame.filter(pl.col("missing") > 0).group_by("reason").len().sort("len", "reason", descending=[True, False])
        )
        expected, present = int(frame["expected"].sum()), int(frame["present"].sum())
        rows.append({
            "dataset": dataset.name,
            "days": len(days),
            "first": days[0] if days else None,
            "last": days[-1] if days else None,
            "symbols": frame["symbol"].n_unique(),
            "klines": present,
            "completeness_pct": 100 * present / expected if expected else None,
            "incomplete": ", ".join(f"{reason}: {count}" for reason, count in reasons.iter_rows()),
        })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"first": pl.Date, "last": pl.Date, "completeness_pct": pl.Float64})
