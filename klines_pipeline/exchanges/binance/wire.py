"""Binance's wire format: CSV texts of archives and JSON rows of REST to WIRE_SCHEMA. Nobody else knows a wire column.

Header or none is decided per file; ms or µs per value: spot archives went to µs on 2025-01-01, REST stays in ms. COIN-M
has contracts where the others have base volume, and base volume under the header `quote_volume`.
"""

import codecs
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from klines_pipeline.exchanges.protocols import Parsed
from klines_pipeline.klines.schema import UTC_TIME, WIRE_SCHEMA, with_contracts

_FIELDS = {
    "open_time": pl.Int64,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "close_time": pl.Int64,
    "quote_volume": pl.Float64,
    "trades": pl.Int64,
    "taker_buy_volume": pl.Float64,
    "taker_buy_quote_volume": pl.Float64,
    "ignore": pl.Float64,
}


def _whole(name: str) -> pl.Expr:
    """A count; a part of a contract is none, nor is NaN or more than an integer holds: those are null."""
    number = pl.col(name)
    return pl.when(number == number.round()).then(number).cast(pl.Int64, strict=False)


_OF_CONTRACTS = {
    "contracts": _whole("volume"),
    "taker_buy_contracts": _whole("taker_buy_volume"),
    "volume": pl.col("quote_volume"),
    "taker_buy_volume": pl.col("taker_buy_quote_volume"),
    "quote_volume": pl.lit(None, pl.Float64),
    "taker_buy_quote_volume": pl.lit(None, pl.Float64),
}
_MICROSECONDS_FROM = 10**14  # 16 digits are µs (1e14 µs is 1973); 13 digits are ms (1e14 ms is the year 5138)
_LAST_MICROSECOND = 253_402_300_799_999_999  # of the year 9999; what lies beyond is no time and is rejected
_BATCH_BYTES = 32 * 2**20
_BATCH_FILES = 64  # one parser call for 10 to 200 files takes half the CPU of one call each


def parse_texts(texts: Mapping[str, bytes], *, contracts: bool = False) -> Parsed:
    """CSV texts by symbol to rows; texts that are not 12-column klines come back as corrupt, with the reason."""
    frames, corrupt = [], dict[str, str]()
    for batch in _batches(texts):
        try:
            frames.append(_parse(batch, contracts=contracts))
        except (pl.exceptions.PolarsError, ValueError):
            for symbol, text in batch:
                try:
                    frames.append(_parse([(symbol, text)], contracts=contracts))
                except (pl.exceptions.PolarsError, ValueError) as error:
                    corrupt[symbol] = f"its text is not klines: {str(error).splitlines()[0]}"
    return Parsed(pl.concat([_schema(contracts=contracts).to_frame(), *frames]), corrupt)


def _batches(texts: Mapping[str, bytes]) -> Iterator[list[tuple[str, bytes]]]:
    batch, size = list[tuple[str, bytes]](), 0
    for symbol, text in sorted(texts.items()):
        if batch and (len(batch) == _BATCH_FILES or size + len(text) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((symbol, text))
        size += len(text)
    if batch:
        yield batch


def _body(text: bytes) -> bytes:
    """Data lines only, each ended. A header begins with a letter; anything else is left for the parser to refuse."""
    text = text.removeprefix(codecs.BOM_UTF8)
    if text[:1].isalpha():
        text = text.partition(b"\n")[2]
    return text if not text or text.endswith(b"\n") else text + b"\n"


def _schema(*, contracts: bool) -> pl.Schema:
    return with_contracts(WIRE_SCHEMA) if contracts else WIRE_SCHEMA


def _parse(batch: Sequence[tuple[str, bytes]], *, contracts: bool) -> pl.DataFrame:
    bodies = [_body(text) for _, text in batch]
    counts = [body.count(b"\n") for body in bodies]
    if not any(counts):
        return _schema(contracts=contracts).to_frame()
    frame = pl.read_csv(b"".join(bodies), has_header=False, schema=_FIELDS, quote_char=None)
    if frame.height != sum(counts):
        raise ValueError(f"{sum(counts)} lines gave {frame.height} rows.")
    lengths = pl.DataFrame({"symbol": [symbol for symbol, _ in batch], "rows": counts})
    symbols = lengths.select(pl.col("symbol").repeat_by("rows").explode(empty_as_null=False))["symbol"]
    return _to_wire_schema(frame.with_columns(symbols), contracts=contracts)


def parse_rows(symbol: str, rows: Sequence[Sequence[Any]], *, contracts: bool = False) -> pl.DataFrame:
    """REST's arrays to rows."""
    as_sent = {name: pl.Int64 if dtype is pl.Int64 else pl.String for name, dtype in _FIELDS.items()}
    frame = pl.DataFrame([list(row) for row in rows], schema=as_sent, orient="row")
    named = frame.cast(_FIELDS).with_columns(pl.lit(symbol).alias("symbol"))  # type: ignore[arg-type]
    return _to_wire_schema(named, contracts=contracts)


def _to_wire_schema(frame: pl.DataFrame, *, contracts: bool) -> pl.DataFrame:
    time = pl.col("open_time")
    microseconds = (
        pl.when(time.is_between(0, _MICROSECONDS_FROM, closed="left"))
        .then(time * 1000)
        .when(time.is_between(_MICROSECONDS_FROM, _LAST_MICROSECOND))
        .then(time)
    )
    timed = frame.with_columns(microseconds.cast(UTC_TIME).alias("open_time"))
    renamed = timed.with_columns(**_OF_CONTRACTS) if contracts else timed
    return renamed.select(_schema(contracts=contracts).names())
