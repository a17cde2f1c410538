"""Certificates and the state of the lake, as frames for people and programs: of klines and of funding."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.domain.utc_day import days_between
from klines_pipeline.klines.certificate import is_explained
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.query.funding_tables import PROOF, funding_certificates, stored_funding_days
from klines_pipeline.query.tables import collect_days, scan_days
from klines_pipeline.stages.funding.dataset import FundingDataset, funding_datasets
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import stored_days

_TABLE = "ledger/certificates"

Certified = Dataset | FundingDataset
"""What has certificates: a paragraph's klines, or the funding of a market."""


def certified(datasets: Sequence[Dataset]) -> dict[str, Certified]:
    """Everything the paragraphs keep that has certificates, by name, such as binance/um/funding."""
    klines: dict[str, Certified] = {dataset.name: dataset for dataset in datasets}
    return klines | {str(found): found for found in funding_datasets(datasets)}


def symbols_of(dataset: Certified) -> set[str]:
    """Symbols that klines.yaml names."""
    return {symbol for paragraph in _paragraphs(dataset) for symbol in paragraph.symbols}


def _paragraphs(dataset: Certified) -> Sequence[Dataset]:
    return dataset.paragraphs if isinstance(dataset, FundingDataset) else (dataset,)


def certificates(
    lake: Lake,
    dataset: Certified,
    *,
    first: date | None = None,
    last: date | None = None,
    symbols: Sequence[str] = (),
) -> pl.DataFrame:
    """Certificates of a dataset with their `date`, by day and symbol; all stored days by default.

    Those of funding count settlements and have no column for flat klines.
    """
    stored = _stored(lake, dataset)
    days = [day for day in stored if (first is None or day >= first) and (last is None or day <= last)]
    if not days:
        held = f"it has {stored[0]} to {stored[-1]}" if stored else "it has none at all"
        raise ConfigurationError(f"The lake {lake.root} has no certificate of {dataset} for these days: {held}.")
    return _read(lake, dataset, days, symbols).sort("date", "symbol")


def check_symbols(lake: Lake, dataset: Certified, symbols: Sequence[str]) -> None:
    """UnknownNameError for one that neither klines.yaml names nor any day of the lake has a certificate of."""
    known = symbols_of(dataset)
    if set(symbols) <= known:
        return
    known |= set(_read(lake, dataset, _stored(lake, dataset))["symbol"])
    for symbol in symbols:
        if symbol not in known:
            raise UnknownNameError("symbol", symbol, known, where=str(dataset))


def uncertified(
    lake: Lake,
    dataset: Certified,
    rows: pl.DataFrame,
    *,
    first: date | None,
    last: date | None,
    symbols: Sequence[str],
) -> list[str]:
    """What nobody has looked at, in words: days between `first` and `last`, by default those stored, without
    certificates, and symbols of klines.yaml without one on a day that has others. `rows` are the certificates found.
    """
    stored = _stored(lake, dataset)
    asked = days_between(first or stored[0], last or max(stored[-1], first or stored[-1]))
    days = [day for day in asked if day not in set(stored)]
    texts = [f"{ranges_of(days)} not in the lake. Materialize {dataset} for {_pronoun(days)}."] if days else []
    held = [day for day in stored if (first or day) <= day <= (last or day)]
    for symbol in sorted(symbols_of(dataset).intersection(symbols or symbols_of(dataset))):
        there = set(rows.filter(pl.col("symbol") == symbol)["date"])
        since = min(paragraph.start for paragraph in _paragraphs(dataset) if symbol in paragraph.symbols)
        if lacking := [day for day in held if day >= since and day not in there]:
            texts.append(f"{symbol} has no certificate of {ranges_of(lacking)}. Materialize {_pronoun(lacking)} again.")
    return texts


def ranges_of(days: Sequence[date]) -> str:
    """`2025-03-01, 2025-03-04 to 2025-03-09`."""
    texts, start = list[str](), 0
    for place, day in enumerate(days, 1):
        if place == len(days) or days[place] != day + timedelta(days=1):
            texts.append(f"{days[start]}" if days[start] == day else f"{days[start]} to {day}")
            start = place
    return ", ".join(texts)


def _pronoun(days: Sequence[date]) -> str:
    return "that day" if len(days) == 1 else "these days"


def _stored(lake: Lake, dataset: Certified) -> list[date]:
    """Days with certificates."""
    if isinstance(dataset, FundingDataset):
        return stored_funding_days(lake, PROOF, *dataset.prefix)
    return stored_days(lake, _TABLE, *dataset.prefix, str(dataset.interval))


def _read(lake: Lake, dataset: Certified, days: Sequence[date], symbols: Sequence[str] = ()) -> pl.DataFrame:
    """Certificates of these days with their `date`, of all symbols or of some."""
    wanted = pl.col("symbol").is_in(list(symbols)) if symbols else pl.lit(value=True)
    if isinstance(dataset, FundingDataset):
        return funding_certificates(lake, *dataset.prefix, days).filter(wanted)
    where = (*dataset.prefix, str(dataset.interval))
    frame = scan_days(lake, _TABLE, *where, days=days, schema=CERTIFICATE_SCHEMA).filter(wanted)
    ordered = frame.select("date", *CERTIFICATE_SCHEMA.names())
    return collect_days(ordered, lake, _TABLE, where, days=days, schema=CERTIFICATE_SCHEMA)


def is_settled(rows: pl.DataFrame) -> bool:
    """Whether every certificate says complete, or missing for a reason that is the exchange's own."""
    return all(is_explained(reason) for reason in rows["reason"])


def status(lake: Lake, datasets: Sequence[Dataset]) -> pl.DataFrame:
    """One row a dataset, those of funding last: days and symbols stored, klines or settlements, completeness, and
    symbol-days that lack some, by reason. `missing_days` lie between the first and the last, and have no certificates
    or no table.
    """
    rows = []
    for name, dataset in certified(datasets).items():
        days = _stored(lake, dataset)
        frame = _read(lake, dataset, days)
        reasons = (
            frame.filter(pl.col("missing") > 0).group_by("reason").len().sort("len", "reason", descending=[True, False])
        )
        expected, present = int(frame["expected"].sum()), int(frame["present"].sum())
        rows.append({
            "dataset": name,
            "days": len(days),
            "first": days[0] if days else None,
            "last": days[-1] if days else None,
            "symbols": frame["symbol"].n_unique(),
            "klines": present,
            "completeness_pct": 100 * present / expected if expected else None,
            "incomplete": ", ".join(f"{reason}: {count}" for reason, count in reasons.iter_rows()),
            "missing_days": ranges_of(_holes(lake, dataset, days)),
        })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"first": pl.Date, "last": pl.Date, "completeness_pct": pl.Float64})


def _holes(lake: Lake, dataset: Certified, certified_days: Sequence[date]) -> list[date]:
    """Days between the first and the last that lack certificates or a table."""
    if isinstance(dataset, FundingDataset):
        tables = stored_funding_days(lake, "funding", *dataset.prefix)
    else:
        tables = stored_days(lake, "klines", *dataset.prefix, str(dataset.interval))
    either = {*tables, *certified_days}
    whole = {*tables}.intersection(certified_days)
    return [day for day in days_between(min(either), max(either)) if day not in whole] if either else []
