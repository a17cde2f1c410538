"""Finished days of funding that are damaged later: checks see it, and materializing the day again heals it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline.stages.funding.dataset import funding_datasets
from klines_pipeline.stages.funding.examine import examine_funding, latest_funding_days
from klines_pipeline.stages.funding.state import paths_of
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.funding.conftest import Fund

KLINES = make_dataset("BTCUSDT", "ETHUSDT", market="um", interval="1h", start="2025-02-01", funding=True)
[DATASET] = funding_datasets([KLINES])
DAYS = [date(2025, 2, 1), date(2025, 2, 2)]
CERTIFIED = "table_is_what_was_certified"


def found(lake: Lake) -> dict[str, list[str]]:
    """What is worst of every rule that does not hold."""
    return {seen.rule: [*map(str, seen.worst)] for seen in examine_funding(lake, DATASET, DAYS) if seen.breaches}


def edit(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change rows; the file's metadata stay."""
    metadata = {name: text for name, text in pl.read_parquet_metadata(path).items() if name != "ARROW:schema"}
    change(pl.read_parquet(path, hive_partitioning=False)).write_parquet(path, metadata=metadata)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lost", "damage", "example"),
    [
        (
            "funding",
            lambda path: edit(path, lambda rows: rows.with_columns(pl.col("funding_rate") * 1.1)),
            "BTCUSDT: 1",
        ),
        ("funding", lambda path: edit(path, lambda rows: rows.filter(pl.col("symbol") != "ETHUSDT")), "ETHUSDT: 3"),
        ("funding", Path.unlink, "is missing. Materialize the day again."),
        ("certificates", Path.unlink, "is missing. Materialize the day again."),
        ("certificates", lambda path: edit(path, lambda rows: rows.with_columns(expected=9)), "what was certified"),
    ],
    ids=["rates", "a symbol", "the table", "the certificates", "a certificate"],
)
def test_what_was_not_certified_is_seen_and_made_anew(
    fund: Fund, lake: Lake, lost: str, damage: Callable[[Path], None], example: str
) -> None:
    fund([KLINES], "2025-02-01", "2025-02-02")
    assert found(lake) == {}
    table, path = (Path(lake.base, getattr(paths_of(DATASET, DAYS[1]), name)) for name in ("funding", lost))
    good = table.read_bytes()
    damage(path)

    assert example in " ".join(found(lake)[CERTIFIED])
    assert latest_funding_days(lake, DATASET, 30) == DAYS

    fund([KLINES], "2025-02-02")
    assert found(lake) == {}
    assert table.read_bytes() == good


def test_a_file_that_cannot_be_read_breaks_every_rule_on_its_day(fund: Fund, lake: Lake) -> None:
    fund([KLINES], "2025-02-01", "2025-02-02")
    path = Path(lake.base, paths_of(DATASET, DAYS[0]).funding)
    path.write_bytes(path.read_bytes()[:-60])

    assert all(examples[0].startswith(f"2025-02-01 {path} is damaged") for examples in found(lake).values())
    assert CERTIFIED in found(lake)
