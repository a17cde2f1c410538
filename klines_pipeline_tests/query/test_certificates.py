"""Certificates and the state of the lake, as readers see them."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.klines.ledgers import CERTIFICATE_SCHEMA
from klines_pipeline.query.certificates import certificates, is_settled, status
from klines_pipeline.query.read import load
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import read_table, to_parquet
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.query.conftest import DATASET, HOURS

SECOND = date(2025, 3, 2)


def test_every_symbol_has_a_certificate_each_day_in_order(kept: Lake) -> None:
    rows = certificates(kept, DATASET)

    days = [date(2025, 3, 1), SECOND, date(2025, 3, 4)]
    assert rows.columns == ["date", *CERTIFICATE_SCHEMA]
    assert rows.select("date", "symbol").rows() == [(day, symbol) for day in days for symbol in sorted(DATASET.symbols)]


@pytest.mark.parametrize(
    ("first", "last", "symbols", "count"),
    [(SECOND, SECOND, [], 3), (SECOND, None, [], 6), (None, SECOND, ["BTCUSDT"], 2), (None, None, ["NOBODY"], 0)],
)
def test_days_and_symbols_may_be_chosen(
    kept: Lake, first: date | None, last: date | None, symbols: list[str], count: int
) -> None:
    assert certificates(kept, DATASET, first=first, last=last, symbols=symbols).height == count


@pytest.mark.parametrize(
    ("symbol", "day", "present", "missing", "reason"),
    [
        ("BTCUSDT", date(2025, 3, 1), 1440, 0, None),
        ("BTCUSDT", SECOND, 1392, 48, "exchange_halt"),
        ("LUNAUSDT", SECOND, 0, 1440, "delisted"),
        ("币安人生USDT", date(2025, 3, 4), 0, 540, "blocked"),
    ],
)
def test_a_certificate_says_what_is_there_and_why_something_is_not(
    kept: Lake, symbol: str, day: date, present: int, missing: int, reason: str | None
) -> None:
    row = certificates(kept, DATASET, first=day, last=day, symbols=[symbol]).row(0, named=True)

    assert (row["present"], row["missing"], row["reason"]) == (present, missing, reason)


def test_a_lake_is_settled_until_something_is_missing_without_evidence(kept: Lake) -> None:
    assert is_settled(certificates(kept, DATASET, last=SECOND))
    assert not is_settled(certificates(kept, DATASET))


def test_days_without_certificates_are_refused_and_those_there_are_named(kept: Lake) -> None:
    with pytest.raises(ConfigurationError, match=r"no certificate of .*klines_1m .*: it has 2025-03-01 to 2025-03-04"):
        certificates(kept, DATASET, first=date(2025, 4, 1))
    with pytest.raises(ConfigurationError, match="it has none at all"):
        certificates(kept, make_dataset("BTCUSDT", interval="5m"))


def test_status_adds_up_a_dataset_and_shows_one_that_has_nothing_yet(kept: Lake) -> None:
    held, nothing = status(kept, [DATASET, HOURS]).iter_rows(named=True)

    expected, present = 3 * (1440 + 1440 + 540), 2 * (1440 + 1392)
    assert held == {
        "dataset": "binance/spot/klines_1m",
        "days": 3,
        "first": date(2025, 3, 1),
        "last": date(2025, 3, 4),
        "symbols": 3,
        "klines": present,
        "completeness_pct": 100 * present / expected,
        "incomplete": held["incomplete"],
        "missing_days": "2025-03-03",
    }
    assert set(held["incomplete"].split(", ")) == {"exchange_halt: 2", "delisted: 2", "blocked: 3"}
    assert nothing == dict.fromkeys(nothing) | {
        "dataset": "binance/spot/klines_1h",
        "days": 0,
        "symbols": 0,
        "klines": 0,
        "incomplete": "",
        "missing_days": "",
    }


@pytest.mark.parametrize("table", ["certificates", "klines"])
def test_status_names_days_that_have_lost_their_table_or_their_certificates(
    kept: Lake, tmp_path: Path, table: str
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    shutil.copytree(kept.base, lake.base)
    Path(lake.base, getattr(DayPaths.of(DATASET, SECOND), table)).unlink()

    assert status(lake, [DATASET])["missing_days"].to_list() == ["2025-03-02 to 2025-03-03"]


def written_before_it_had(column: str, lake: Lake, dataset: Dataset, day: date) -> None:
    """Take a column out of a day's certificates, as an older version left them."""
    path = DayPaths.of(dataset, day).certificates
    lake.publish(path, to_parquet(read_table(lake, path, CERTIFICATE_SCHEMA).drop(column)))


@pytest.mark.parametrize("old", [date(2025, 3, 1), SECOND])
def test_certificates_from_before_a_column_existed_are_read_beside_newer_ones(
    kept: Lake, tmp_path: Path, old: date
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    shutil.copytree(kept.base, lake.base)
    written_before_it_had("confirmed", lake, DATASET, old)

    rows = certificates(lake, DATASET)

    assert rows.filter(pl.col("confirmed").is_null())["date"].unique().to_list() == [old]
    assert rows.drop("confirmed").equals(certificates(kept, DATASET).drop("confirmed"))
    whole = {"market": "spot", "lake": lake.base, "require_complete": True}
    assert load("BTCUSDT", "1m", "2025-03-01", "2025-03-03", **whole).height == 1440 + 1392


def test_older_certificates_of_an_object_store_are_read_too(s3_lake: Lake) -> None:
    written_before_it_had("confirmed", s3_lake, HOURS, date(2025, 3, 1))

    assert certificates(s3_lake, HOURS)["confirmed"].to_list() == [None, None]


def test_certificates_of_an_object_store_are_read_like_any_other(s3_lake: Lake) -> None:
    rows = certificates(s3_lake, HOURS)

    assert rows.select("symbol", "present", "missing").rows() == [("BTCUSDT", 24, 0), ("币安人生USDT", 24, 0)]
    assert status(s3_lake, [HOURS])["klines"].to_list() == [48]
