"""Finished files that are damaged later: checks see it, readers are refused, materializing the day again heals it."""

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from klines_pipeline import load
from klines_pipeline.domain.errors import DamagedFileError, KlinesError, NotCertifiedError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.klines.schema import MARKET_NAMES
from klines_pipeline.query.completeness import check_certified
from klines_pipeline.stages.checking.examine import examine_days, latest_days
from klines_pipeline.stages.resample import resample_day
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import klines_to_parquet
from klines_pipeline_tests.conftest import Run, make_dataset

DATASET = make_dataset("BTCUSDT", "ETHUSDT", "SOLUSDT", interval="15m", start="2025-03-01")
DAYS = ("2025-03-01", "2025-03-02", "2025-03-03")
DAY = date(2025, 3, 2)
CERTIFIED = "table_is_what_was_certified"
ETH = pl.col("symbol") == "ETHUSDT"


@pytest.fixture
def table(ingest: Run, lake: Lake) -> Path:
    """The table of the middle one of three days."""
    ingest(DATASET, *DAYS)
    return Path(lake.base, DayPaths.of(DATASET, DAY).klines)


def found(lake: Lake, *days: date) -> dict[str, list[str]]:
    """What is worst of every rule that does not hold."""
    asked = days or [date.fromisoformat(day) for day in DAYS]
    return {
        seen.rule: [*map(str, seen.worst)]
        for seen in examine_days(lake, DATASET, asked, timedelta(minutes=5))
        if seen.breaches
    }


def complete(lake: Lake, *symbols: str, **more: object) -> pl.DataFrame:
    return load(
        symbols or DATASET.symbols,
        "15m",
        DAYS[0],
        "2025-03-04",
        lake=lake.base,
        require_complete=True,
        **more,  # type: ignore[arg-type]
    )


def edit(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    path.write_bytes(klines_to_parquet(change(pl.read_parquet(path, hive_partitioning=False)), {}))


def of_the_same_size(path: Path) -> None:
    """One close of ETHUSDT changed, in a file as long as before."""
    size, frame = path.stat().st_size, pl.read_parquet(path, hive_partitioning=False)
    metadata = {name: text for name, text in pl.read_parquet_metadata(path).items() if name != "ARROW:schema"}
    for row in range(96, 192):
        for step in (0.01, -0.01, 0.02, -0.02, 0.03, -0.03):
            close = pl.when(pl.int_range(pl.len()) == row).then(pl.col("close") + step).otherwise("close")
            content = klines_to_parquet(frame.with_columns(close.alias("close")), metadata)
            if len(content) == size:
                path.write_bytes(content)
                return
    raise AssertionError("no row whose change keeps the size")


@pytest.mark.parametrize(
    ("damage", "example"),
    [
        (of_the_same_size, "2025-03-02 ETHUSDT: 1"),
        (lambda path: edit(path, lambda rows: rows.filter(~ETH)), "2025-03-02 ETHUSDT: 94"),
        (lambda path: edit(path, lambda rows: rows.filter(~ETH | (pl.col("open_time").dt.hour() < 20))), "ETHUSDT: 16"),
        (lambda path: edit(path, lambda rows: rows.with_columns(pl.col("volume") * 1.0001)), "SOLUSDT: 1"),
    ],
    ids=["one close, the same size", "a symbol lost", "rows lost", "volumes"],
)
def test_rows_that_were_not_certified_are_seen_refused_and_made_anew(
    ingest: Run, lake: Lake, table: Path, damage: Callable[[Path], None], example: str
) -> None:
    good, rows = table.read_bytes(), complete(lake)
    damage(table)

    assert example in " ".join(found(lake)[CERTIFIED])
    assert "2025-03-02" in " ".join(found(lake, DAY)[CERTIFIED])
    with pytest.raises(NotCertifiedError, match=r"certified: 2025-03-02 .*Materialize these days again"):
        complete(lake, columns=["open_time", "close"])
    assert load(DATASET.symbols, "15m", DAYS[0], "2025-03-04", lake=lake.base).height > 0
    with pytest.raises(DamagedFileError, match=r"Materialize .* 2025-03-02 again"):
        resample_day(lake, DATASET, Interval.parse("1h"), DAY)

    [healed] = ingest(DATASET, str(DAY))

    assert healed.failures == {}
    assert table.read_bytes() == good
    assert found(lake) == {}
    assert complete(lake).equals(rows)


def test_what_is_damaged_of_another_symbol_or_day_does_not_concern_a_reader(lake: Lake, table: Path) -> None:
    edit(table, lambda rows: rows.with_columns(pl.when(ETH).then(0.5).otherwise("close").alias("close")))

    assert complete(lake, "BTCUSDT").height == 3 * 96 - 2
    assert load("ETHUSDT", "15m", DAYS[0], DAYS[1], lake=lake.base, require_complete=True).height == 96
    with pytest.raises(NotCertifiedError, match=r"2025-03-02 ETHUSDT\. "):
        load("ETHUSDT", "15m", "2025-03-02T12:00", "2025-03-02T13:00", lake=lake.base, require_complete=True)


def test_provenance_that_was_falsified_is_seen_in_the_file_although_the_market_values_are_right(
    ingest: Run, lake: Lake, table: Path
) -> None:
    edit(table, lambda rows: rows.with_columns(pl.lit("rest").alias("source"), pl.lit(0, pl.Int16).alias("revision")))

    assert found(lake) == {
        CERTIFIED: [f"2025-03-02 {table} is not the file that was certified. Materialize the day again."]
    }
    ingest(DATASET, str(DAY))
    assert found(lake) == {}


@pytest.mark.parametrize("lost", ["klines", "certificates"])
def test_a_file_that_is_gone_is_a_breach_of_its_day_and_comes_back(
    ingest: Run, lake: Lake, table: Path, lost: str
) -> None:
    path = Path(lake.base, getattr(DayPaths.of(DATASET, DAY), lost))
    path.unlink()

    first, *symbols = found(lake)[CERTIFIED]
    assert first == f"2025-03-02 {path} is missing. Materialize the day again."
    assert len(symbols) == 3
    with pytest.raises(KlinesError, match="Materialize"):
        complete(lake)
    if lost == "certificates":
        with pytest.raises(DamagedFileError, match=r"part\.parquet is missing\. Materialize the day again\."):
            load("BTCUSDT", "15m", DAYS[0], "2025-03-04", lake=lake.base)

    ingest(DATASET, str(DAY))

    assert found(lake) == {}
    assert table.exists()


def test_a_day_of_which_nothing_is_left_is_a_breach_where_it_is_asked_for(lake: Lake, table: Path) -> None:
    table.unlink()
    Path(lake.base, DayPaths.of(DATASET, DAY).certificates).unlink()

    assert latest_days(lake, DATASET, 2) == [DAY, date(2025, 3, 3)], "the archives ledger knows of it"
    assert list(found(lake)) == [CERTIFIED]
    assert "are missing. Materialize the day again." in found(lake)[CERTIFIED][0]


@pytest.mark.parametrize("which", ["klines", "certificates", "archives"])
def test_a_file_that_cannot_be_read_breaks_every_rule_on_its_day_and_the_other_days_are_examined(
    lake: Lake, table: Path, which: str
) -> None:
    path = Path(lake.base, getattr(DayPaths.of(DATASET, DAY), which))
    path.write_bytes(path.read_bytes()[:-60])
    third = table.parents[1] / "date=2025-03-03/part.parquet"
    edit(third, lambda rows: rows.filter(~ETH))

    seen = found(lake)

    assert all(examples[0].startswith(f"2025-03-02 {path} is damaged") for examples in seen.values())
    assert "price_continues_across_days" in seen
    assert seen[CERTIFIED][-1] == "2025-03-03 ETHUSDT: 96"


def test_a_table_that_cannot_be_read_is_made_anew_unless_another_symbols_rows_would_be_lost(
    ingest: Run, lake: Lake, table: Path
) -> None:
    good = table.read_bytes()
    table.write_bytes(good[:-60])

    [refused] = ingest(make_dataset("BTCUSDT", interval="15m"), str(DAY))
    assert "is damaged" in refused.failures["klines"]
    [healed] = ingest(DATASET, str(DAY))

    assert healed.failures == {}
    assert table.read_bytes() == good


def test_rows_of_a_symbol_taken_out_of_klines_yaml_stay_and_are_vouched_for(
    ingest: Run, lake: Lake, table: Path
) -> None:
    good = table.read_bytes()

    ingest(make_dataset("BTCUSDT", interval="15m"), str(DAY))

    assert table.read_bytes() == good
    assert found(lake) == {}


def test_no_flipped_bit_of_a_table_is_served_as_complete_or_passes_its_checks(lake: Lake, table: Path) -> None:
    good, outcomes = table.read_bytes(), Counter[str]()
    rows = load(DATASET.symbols, "15m", str(DAY), "2025-03-03", lake=lake.base)
    for number, place in enumerate(range(3, len(good), len(good) // 60)):
        table.write_bytes(good[:place] + bytes([good[place] ^ 1 << number % 8]) + good[place + 1 :])
        assert CERTIFIED in found(lake, DAY), place
        try:
            check_certified(lake, ("binance", "spot", "15m"), [DAY], DATASET.symbols)
            served = load(DATASET.symbols, "15m", str(DAY), "2025-03-03", lake=lake.base)
        except (KlinesError, pl.exceptions.PolarsError) as error:
            outcomes[type(error).__name__] += 1
            continue
        assert served.select(MARKET_NAMES).equals(rows.select(MARKET_NAMES)), place

    assert outcomes["NotCertifiedError"], outcomes
