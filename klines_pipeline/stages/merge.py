"""Merge one day and certify it: archives and REST rows into the table, evidence into the certificate.

A pure function of what the lake holds. A digest of those inputs stands in the certificates' file, and the seal of both
files: when neither has changed, nothing is made anew, and a day half published by a killed run, or damaged since, is
seen to be so.
"""

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import DamagedFileError
from klines_pipeline.klines.certificate import Evidence, certify
from klines_pipeline.klines.contracts import with_quote_volume
from klines_pipeline.klines.grid import expected_range, present_slots
from klines_pipeline.klines.ledgers import (
    ADDED_LATER,
    CERTIFICATE_SCHEMA,
    REJECTED_SCHEMA,
    SliceEntry,
)
from klines_pipeline.klines.merge import CONFLICT_SCHEMA, disagreeing_symbols, merge_klines
from klines_pipeline.klines.merges import Change
from klines_pipeline.klines.quality import RULES
from klines_pipeline.klines.schema import slot
from klines_pipeline.klines.truths import DayTables, what_is_wrong
from klines_pipeline.stages import asked_again, merges
from klines_pipeline.stages.made_from import digest_of_inputs
from klines_pipeline.stages.results import ArchivedDay, MergedDay, ToppedUpDay
from klines_pipeline.stages.rows import RowSource
from klines_pipeline.stages.seal import BYTES, certified, holds, seal
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline.storage.tables import klines_to_parquet, read_metadata, read_table, to_parquet

_INPUTS = "klines.inputs"
_ROWS = "klines.rows"
_OFF_GRID = "klines.off_grid"
_WRONG = "klines.wrong"
"""Why the day must stay red, in the file of its certificates: a second look at the same inputs finds it again."""


def merge(
    lake: Lake,
    dataset: Dataset,
    archived: ArchivedDay,
    topped_up: ToppedUpDay,
    archives: RowSource,
    sizes: Mapping[str, float],
) -> MergedDay:
    """Publish the day's table, then its certificates. `sizes` are of contracts, where the market counts in them."""
    paths = DayPaths.of(dataset, archived.day)
    expected = expected_range(archived.day, dataset.interval, topped_up.now)
    inputs = digest_of_inputs(dataset, archived.entries, topped_up, expected, sizes)
    if (known := _unchanged(lake, paths, inputs)) is not None:
        return known
    before = _lying(lake, paths, dataset, archives.market.schema)
    configured = list(dataset.symbols)
    rest = topped_up.rows.filter(pl.col("symbol").is_in(configured))
    vouched = _vouched(archives.unverified(), rest, dataset)
    merged = merge_klines(pl.concat([archives.verified(), vouched]).sort("symbol", "open_time"), rest, dataset.interval)
    merged = merged._replace(klines=with_quote_volume(merged.klines, sizes))
    certificates = certify(
        merged,
        _evidence(lake, paths, dataset, archived, topped_up, archives),
        expected,
        interval=dataset.interval,
        checked_at=topped_up.now,
    )
    ours = before.klines.filter(pl.col("symbol").is_in(configured))
    asked_again.leave(lake, paths, ours, merged.klines, at=topped_up.now)
    grid = slot(dataset.interval.microseconds)
    change = Change(ours.with_columns(grid), merged.klines, rest.with_columns(grid), ["symbol", "slot"])
    merges.record(lake, paths, change, archived, topped_up)
    day = _Day(
        _with_others(merged.klines, before.klines, configured),
        _with_others(merged.conflicts, before.conflicts, configured),
        _with_others(certificates, _others_certified(before.certificates, dataset), configured),
    )
    off_grid = day.klines.filter(slot(dataset.interval.microseconds) != pl.col("open_time").to_physical()).height
    return _publish(lake, paths, day, before, inputs=inputs, off_grid=off_grid)


class _Day(NamedTuple):
    """What lies in the lake, or is about to be published."""

    klines: pl.DataFrame
    conflicts: pl.DataFrame
    certificates: pl.DataFrame


def _with_others(new: pl.DataFrame, old: pl.DataFrame, configured: list[str]) -> pl.DataFrame:
    """Symbols no longer in klines.yaml keep what they had: nobody looked at them."""
    others = old.filter(~pl.col("symbol").is_in(configured))
    return pl.concat([new, others]).sort(new.columns[0], "open_time" if "open_time" in new.columns else "symbol")


def _others_certified(known: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Certificates that were there. A filter that leaves a symbol out of a day says that it did not trade: an earlier
    run that knew less may have certified its absence, and that goes."""
    return known if dataset.chosen is None else known.filter(pl.col("present") > 0)


def _lying(lake: Lake, paths: DayPaths, dataset: Dataset, schema: pl.Schema) -> _Day:
    """The day's files as they lie. One that cannot be read counts as none where table or certificates show that no
    other symbol's rows are lost with it; else DamagedFileError.
    """
    schemas = {paths.klines: schema, paths.conflicts: CONFLICT_SCHEMA, paths.certificates: CERTIFICATE_SCHEMA}
    frames, damaged = dict[str, pl.DataFrame](), list[DamagedFileError]()
    for path, columns in schemas.items():
        try:
            frames[path] = read_table(lake, path, columns)
        except DamagedFileError as error:
            damaged.append(error)
    if damaged:
        telling = [path for path in (paths.klines, paths.certificates) if path in frames and lake.size(path)]
        if not telling or any(set(frames[path]["symbol"]).difference(dataset.symbols) for path in telling):
            raise damaged[0]
    return _Day(*(frames.get(path, columns.to_frame()) for path, columns in schemas.items()))


def _vouched(unverified: pl.DataFrame, rest: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Archives without a valid checksum, of the symbols for which REST has the same klines, all of them."""
    names = list(unverified["symbol"].unique())
    bad = disagreeing_symbols(unverified, rest.filter(pl.col("symbol").is_in(names)), dataset.interval)
    return unverified.filter(~pl.col("symbol").is_in(list(bad)))


def _evidence(
    lake: Lake, paths: DayPaths, dataset: Dataset, archived: ArchivedDay, topped_up: ToppedUpDay, archives: RowSource
) -> dict[str, Evidence]:
    """What is known of each configured symbol besides its rows."""
    slices: dict[str, list[SliceEntry]] = {symbol: [] for symbol in archived.entries}
    for entry in topped_up.slices.values():
        slices.setdefault(entry.symbol, []).append(entry)
    quarantined = present_slots(archives.quarantined(), dataset.interval)
    rejected = read_table(lake, paths.rejected, REJECTED_SCHEMA).filter(pl.col("reason") != "outside_day")
    refused = present_slots(rejected.drop_nulls("open_time"), dataset.interval)
    return {
        name: Evidence(archived.entries[name], slices[name], quarantined.get(name), refused.get(name))
        for name in dataset.symbols
    }


def _unchanged(lake: Lake, paths: DayPaths, inputs: str) -> MergedDay | None:
    """The day as it lies in the lake, if it was made from these inputs and neither file was touched since."""
    known = read_metadata(lake, paths.certificates)
    if known.get(_INPUTS) != inputs or str(lake.size(paths.klines)) != known.get(BYTES):
        return None
    try:
        certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
    except DamagedFileError:
        return None
    if not holds(known, certificates, lake.digest(paths.klines)):
        return None
    return MergedDay(
        day=paths.day,
        certificates=certificates,
        rows=int(known[_ROWS]),
        bytes=int(known[BYTES]),
        path=lake.uri(paths.klines),
        changed=False,
        off_grid=int(known[_OFF_GRID]),
        problem=known.get(_WRONG),
    )


def _publish(lake: Lake, paths: DayPaths, day: _Day, before: _Day, *, inputs: str, off_grid: int) -> MergedDay:
    """Conflicts, table, certificates, in this order: the certificates' seal says that the others are there."""
    content = klines_to_parquet(day.klines, paths.identity)
    wrong = what_is_wrong(DayTables(paths.day, day.klines), RULES)
    genuine = certified(read_metadata(lake, paths.certificates), before.certificates)
    lasting = _keep_check_times(day.certificates, before.certificates) if genuine else day.certificates
    metadata = {
        **paths.identity,
        _INPUTS: inputs,
        _ROWS: str(day.klines.height),
        BYTES: str(len(content)),
        _OFF_GRID: str(off_grid),
        **seal(content, lasting),
        **({_WRONG: wrong} if wrong else {}),
    }
    if day.conflicts.height or before.conflicts.height:
        lake.publish(paths.conflicts, to_parquet(day.conflicts), under=paths)
    changed = lake.publish(paths.klines, content, under=paths)
    lake.publish(paths.certificates, to_parquet(lasting, metadata), under=paths)
    return MergedDay(
        day=paths.day,
        certificates=lasting,
        rows=day.klines.height,
        bytes=len(content),
        path=lake.uri(paths.klines),
        changed=changed,
        off_grid=off_grid,
        problem=wrong,
    )


def _keep_check_times(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """A certificate that says what it said before keeps the time it was first said."""
    statement = [name for name in CERTIFICATE_SCHEMA.names() if name not in {"checked_at", *ADDED_LATER}]
    same = new.join(old, on="symbol", how="inner", suffix="_old").filter(
        pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"{name}_old")) for name in statement if name != "symbol"])
    )
    times = same.select("symbol", pl.col("checked_at_old").alias("before"))
    joined = new.join(times, on="symbol", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("before", "checked_at").alias("checked_at")).select(
        CERTIFICATE_SCHEMA.names()
    )
