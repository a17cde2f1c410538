"""Merge one day of funding and certify it. A pure function of what the lake holds.

A digest of those inputs stands in the certificates' file: when it has not changed, nothing is read or written.
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b

import polars as pl

from klines_pipeline.domain.states import BLOCKED_STATUS, ArchiveState, SliceState
from klines_pipeline.domain.utc_day import EPOCH, day_end, to_microseconds
from klines_pipeline.funding.certificate import Evidence, certify
from klines_pipeline.funding.expected import HOUR, SETTLING
from klines_pipeline.funding.merge import Merged, disagreeing_symbols, merge_funding
from klines_pipeline.funding.schema import (
    CERTIFICATE_SCHEMA,
    CONFLICT_SCHEMA,
    FUNDING_SCHEMA,
    KEY,
    REJECTED_SCHEMA,
    VISION,
)
from klines_pipeline.funding.slices import FundingSlice
from klines_pipeline.klines.merges import Change
from klines_pipeline.klines.truths import DayTables, what_is_wrong
from klines_pipeline.stages import merges
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.neighbours import neighbours_of
from klines_pipeline.stages.funding.results import ArchivedFunding, MergedFunding, ToppedUpFunding
from klines_pipeline.stages.funding.rules import FUNDING_RULES
from klines_pipeline.stages.funding.state import QUARANTINED, MirrorRows, keep_rejected, paths_of
from klines_pipeline.stages.seal import certified, holds, seal
from klines_pipeline.storage.funding_layout import FundingPaths
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_metadata, read_table, to_parquet

_FORMAT = "2"
"""Raise it when the same inputs would give another table or certificate."""
_INPUTS, _ROWS, _BYTES, _REJECTED = "funding.inputs", "funding.rows", "funding.bytes", "funding.rejected"
_WRONG = "funding.wrong"
"""Why the day must stay red, in the file of its certificates: a second look at the same inputs finds it again."""
_HTTP_OK = 200
_TICK = timedelta(microseconds=1)


def merge(
    lake: Lake, dataset: FundingDataset, archived: ArchivedFunding, topped_up: ToppedUpFunding, mirror: MirrorRows
) -> MergedFunding:
    """Publish the day's table, then its certificates."""
    paths = paths_of(dataset, archived.day)
    inputs = _digest(dataset, archived, topped_up)
    if (known := _unchanged(lake, paths, inputs)) is not None:
        return known
    wanted = list(archived.symbols)
    rest = topped_up.rows.filter(pl.col("symbol").is_in(wanted))
    merged = merge_funding(_archive_rows(dataset, archived, rest, mirror), rest)
    evidence = {symbol: _evidence(symbol, archived, topped_up, mirror) for symbol in wanted}
    certificates = certify(merged.table, merged.conflicts, evidence, archived.day, now=topped_up.now)
    old = read_table(lake, paths.funding, FUNDING_SCHEMA)
    change = Change(old.filter(pl.col("symbol").is_in(wanted)), merged.table, rest, KEY)
    merges.record(lake, paths, change, archived, topped_up)
    whole = Merged(
        _with_others(merged.table, old, wanted),
        _with_others(merged.conflicts, read_table(lake, paths.conflicts, CONFLICT_SCHEMA), wanted),
    )
    stale = (pl.col("source") == VISION) & pl.col("symbol").is_in(wanted)
    keep_rejected(lake, paths, mirror.rejected_of_day(archived), instead_of=stale)
    said = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
    genuine = certified(read_metadata(lake, paths.certificates), said)
    lasting = _keep_check_times(certificates, said) if genuine else certificates
    return _publish(lake, paths, whole, _with_others(lasting, said, wanted), inputs)


def _archive_rows(
    dataset: FundingDataset, archived: ArchivedFunding, rest: pl.DataFrame, mirror: MirrorRows
) -> pl.DataFrame:
    """Verified archives, and by policy those without a valid checksum with which REST agrees in every rate."""
    verified = mirror.of_day(archived, ArchiveState.OK)
    if not dataset.uses_agreeing_archives:
        return verified
    doubtful = mirror.of_day(archived, *QUARANTINED)
    compared = rest.filter(pl.col("symbol").is_in(list(doubtful["symbol"].unique())))
    agreeing = doubtful.filter(~pl.col("symbol").is_in(list(disagreeing_symbols(doubtful, compared))))
    return pl.concat([verified, agreeing]).sort(KEY)


def _evidence(symbol: str, archived: ArchivedFunding, topped_up: ToppedUpFunding, mirror: MirrorRows) -> Evidence:
    entry, asked = archived.entries[symbol], topped_up.slices.get(symbol)
    near = neighbours_of(entry, asked, archived.day, mirror)
    known = Evidence(archive=entry.state, life=entry.life, before=near.before, after=near.after)
    if asked is None:
        return known
    return replace(
        known,
        answered_until=asked.answered_until,
        refused=asked.error is None and asked.http_status not in (None, _HTTP_OK),
        blocked=asked.state is SliceState.BLOCKED or asked.http_status in BLOCKED_STATUS,
        failed=asked.error is not None,
    )


def _with_others(new: pl.DataFrame, old: pl.DataFrame, wanted: list[str]) -> pl.DataFrame:
    """Symbols no longer asked for keep what they had: nobody looked at them."""
    key = [name for name in KEY if name in new.columns]
    return pl.concat([new, old.filter(~pl.col("symbol").is_in(wanted))]).sort(key)


def _digest(dataset: FundingDataset, archived: ArchivedFunding, topped_up: ToppedUpFunding) -> str:
    """Of everything the table and the certificates are made from; attempts and the wording of errors are not."""
    until = min(day_end(archived.day), topped_up.now - SETTLING)
    last_hour = to_microseconds(until - (until - EPOCH - _TICK) % HOUR)
    facts = [
        _FORMAT,
        dataset.uses_agreeing_archives,
        last_hour,
        [
            (name, entry.state, entry.sha256_actual, entry.revision, _time(entry.first_seen_at), entry.life)
            for name, entry in ((symbol, archived.entries[symbol]) for symbol in archived.symbols)
        ],
        [_asked(entry) for _, entry in sorted(topped_up.slices.items())],
        topped_up.rows.write_csv(),
    ]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _asked(entry: FundingSlice) -> tuple[str | int | bool | None, ...]:
    """What was asked, when, and how it ended, as far as a reason or an expectation depends on it."""
    moments = (entry.start, entry.end, entry.requested_at, entry.previous_settlement, entry.following_settlement)
    told = (entry.following_hours, entry.http_status, bool(entry.error))
    return (entry.symbol, entry.state, *(_time(moment) for moment in moments), *told)


def _time(instant: datetime | None) -> int | None:
    return None if instant is None else to_microseconds(instant)


def _unchanged(lake: Lake, paths: FundingPaths, inputs: str) -> MergedFunding | None:
    """The day as it lies in the lake, if it was made from these inputs and neither file was touched since."""
    known = read_metadata(lake, paths.certificates)
    if known.get(_INPUTS) != inputs:
        return None
    certificates = read_table(lake, paths.certificates, CERTIFICATE_SCHEMA)
    if not holds(known, certificates, lake.digest(paths.funding)):
        return None
    return MergedFunding(
        day=paths.day,
        certificates=certificates,
        rows=int(known[_ROWS]),
        bytes=int(known[_BYTES]),
        path=lake.uri(paths.funding),
        changed=False,
        rejected=int(known[_REJECTED]),
        problem=known.get(_WRONG),
    )


def _publish(lake: Lake, paths: FundingPaths, merged: Merged, certificates: pl.DataFrame, inputs: str) -> MergedFunding:
    """Conflicts, table, certificates, in this order: the certificates' digest says that the others are there."""
    if merged.conflicts.height or read_table(lake, paths.conflicts, CONFLICT_SCHEMA).height:
        lake.publish(paths.conflicts, to_parquet(merged.conflicts), under=paths)
    content = to_parquet(merged.table, paths.identity)
    changed = lake.publish(paths.funding, content, under=paths)
    rows, size = merged.table.height, len(content)
    rejected = read_table(lake, paths.rejected, REJECTED_SCHEMA).height
    wrong = what_is_wrong(DayTables(paths.day, merged.table), FUNDING_RULES)
    facts = {_INPUTS: inputs, _ROWS: str(rows), _BYTES: str(size), _REJECTED: str(rejected)}
    metadata = {**paths.identity, **facts, **seal(content, certificates), **({_WRONG: wrong} if wrong else {})}
    lake.publish(paths.certificates, to_parquet(certificates, metadata), under=paths)
    return MergedFunding(
        day=paths.day,
        certificates=certificates,
        rows=rows,
        bytes=size,
        path=lake.uri(paths.funding),
        changed=changed,
        rejected=rejected,
        problem=wrong,
    )


def _keep_check_times(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """A certificate that says what it said before keeps the time it was first said."""
    statement = [name for name in CERTIFICATE_SCHEMA.names() if name not in ("symbol", "checked_at")]
    both = new.join(old, on="symbol", how="inner", suffix="_old")
    same = both.filter(pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"{name}_old")) for name in statement]))
    times = same.select("symbol", pl.col("checked_at_old").alias("before"))
    joined = new.join(times, on="symbol", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("before", "checked_at").alias("checked_at")).select(new.columns)
