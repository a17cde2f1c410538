"""What Dagster is told of a range that does not end well."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from klines_pipeline.defs.assets.reporting import DayReport, report
from klines_pipeline.defs.partitions import day_partitions

ASSET = dg.AssetKey(["binance", "spot", "klines_1m"])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_days_that_are_done_stay_done_when_the_run_is_cut_short(interruption: type[BaseException]) -> None:
    @dg.multi_asset(
        specs=[dg.AssetSpec(ASSET)],
        partitions_def=day_partitions(date(2025, 3, 1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def ingest(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        def days() -> Iterator[DayReport]:
            yield DayReport("2025-03-01", {ASSET: {"rows": 1}}, {})
            raise interruption

        yield from report(context, [ASSET], days())

    tags = {
        "dagster/asset_partition_range_start": "2025-03-01",
        "dagster/asset_partition_range_end": "2025-03-03",
    }
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            done = dg.materialize([ingest], instance=instance, tags=tags, raise_on_error=False).success
        except KeyboardInterrupt:
            done = False

        assert not done
        assert instance.get_materialized_partitions(ASSET) == {"2025-03-01"}
