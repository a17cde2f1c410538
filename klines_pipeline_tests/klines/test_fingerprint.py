"""Fingerprints depend on the numbers and on nothing else."""

import struct
from hashlib import blake2b
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.utc_day import to_microseconds
from klines_pipeline.klines.fingerprint import fingerprints
from klines_pipeline.klines.schema import MARKET_NAMES, REST
from klines_pipeline_tests.klines.frames import at, klines


@given(st.sets(st.integers(0, 1439), min_size=1, max_size=50), st.randoms(use_true_random=False), st.integers(1, 9))
def test_order_chunks_source_and_neighbours_do_not_matter(minutes: set[int], random: Random, pieces: int) -> None:
    rows = klines("BTCUSDT", sorted(minutes))
    shuffled = klines("BTCUSDT", random.sample(sorted(minutes), len(minutes)), source=REST, revision=7)
    size = -(-len(minutes) // pieces)
    chunks = [shuffled.slice(start, size) for start in range(0, len(minutes), size)]
    scattered = pl.concat([klines("AAA", [1, 2]), *chunks, klines("ZZZ", [3])], rechunk=False)

    assert fingerprints(scattered)["BTCUSDT"] == fingerprints(rows)["BTCUSDT"]


@pytest.mark.parametrize("column", MARKET_NAMES)
def test_any_other_value_or_none_is_another_fingerprint(column: str) -> None:
    rows = klines("A", [1, 2])
    other = rows.with_columns(
        pl.when(pl.col("open_time") == at(2)).then(99).otherwise(column).cast(rows[column].dtype).alias(column)
    )
    none = rows.with_columns(pl.lit(None, rows[column].dtype).alias(column))
    zero = rows.with_columns(pl.lit(0, rows[column].dtype).alias(column))

    assert len({fingerprints(frame)["A"] for frame in (rows, other, none, zero)}) == 4


@pytest.mark.parametrize("rows", [klines("A", [1, 3]), klines("A", [1, 2, 3]), klines("A", [1]), klines("B", [1, 2])])
def test_another_open_time_or_symbol_is_another_fingerprint(rows: pl.DataFrame) -> None:
    assert set(fingerprints(rows).values()).isdisjoint(fingerprints(klines("A", [1, 2])).values())


def test_minus_zero_is_zero() -> None:
    assert fingerprints(klines("A", [1], volume=-0.0)) == fingerprints(klines("A", [1], volume=0.0))


def test_a_fingerprint_published_once_never_changes() -> None:
    rows = klines("BTCUSDT", range(3), quote_volume=50.0)
    words = [struct.pack("<q", to_microseconds(moment)) for moment in rows["open_time"]]
    for name in MARKET_NAMES:
        words += [struct.pack("<q" if name == "trades" else "<d", value) for value in rows[name]]

    assert fingerprints(rows) == {"BTCUSDT": "00977a9f67498d534f2b4ba5536d3db5"}
    assert blake2b(b"BTCUSDT" + b"".join(words), digest_size=16).hexdigest() == "00977a9f67498d534f2b4ba5536d3db5"


def test_no_rows_have_no_fingerprint() -> None:
    assert fingerprints(klines("A", [])) == {}
