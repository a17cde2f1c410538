"""The life table of a market as an asset: unpartitioned, made anew whenever it is materialized.

The work is `stages.symbols.life_table`.
"""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from klines_pipeline.defs.assets.metadata import Metadata
from klines_pipeline.defs.keys import op_name, rest_pool
from klines_pipeline.defs.operations.lost_runs import sign_run
from klines_pipeline.defs.partitions import RANGE_IS_ONE_RUN
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.stages.symbols.life_table import Refreshed, refresh_symbols

_NAMED = 5


def build_symbols(exchange: str, market: str) -> dg.AssetsDefinition:
    """`binance/spot/symbols`."""
    key = dg.AssetKey([exchange, market, "symbols"])
    archived = words_of(exchange, market).archived
    known = "has ever had archives of, or names today" if archived else "names today, or named before"
    spec = dg.AssetSpec(
        key,
        description=f"Every symbol that {exchange} {market} {known}: first and last day, holes, base, quote, "
        "contract, status. Delisted ones stay, so that a filter means what traded then.",
        group_name=f"{exchange}_{market}",
        kinds={"parquet"},
    )

    @dg.multi_asset(
        name=op_name(exchange, market, "symbols"),
        specs=[spec],
        backfill_policy=RANGE_IS_ONE_RUN,  # so that a range of days can be selected with it
        pool=rest_pool(exchange, market, words_of(exchange, market)),
    )
    def symbols(
        context: dg.AssetExecutionContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        sign_run(context)
        connected = exchanges.connect(exchange, market)
        try:
            refreshed = refresh_symbols(lake.open(), connected, (exchange, market), context.log.info)
        except KlinesError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        finally:
            connected.api.close()
        if refreshed.failed:
            raise _failure(key, refreshed)
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(refreshed))

    return symbols


def _metadata(refreshed: Refreshed) -> Metadata:
    table = refreshed.table
    counts = table.select(
        listed=pl.col("listed").sum(),
        delisted=(~pl.col("listed")).sum(),
        with_holes=(pl.col("holes").list.len() > 0).sum(),
        reused=pl.col("reused").sum(),
        unknown_quote=pl.col("quote").is_null().sum(),
    ).row(0, named=True)
    unknown = table.filter(pl.col("quote").is_null())["symbol"].to_list()
    return {
        "dagster/row_count": table.height,
        "symbols": table.height,
        **counts,
        "symbols_of_unknown_quote": unknown,
        "listing_requests": refreshed.listing_requests,
        "rest_requests": refreshed.rest_requests,
        **({"rest_blocked": refreshed.blocked} if refreshed.blocked else {}),
    }


def _failure(key: dg.AssetKey, refreshed: Refreshed) -> dg.Failure:
    names = sorted(refreshed.failed)
    return dg.Failure(
        f"{key.to_user_string()}: {len(names)} could not be had: {some_of(names, _NAMED)} "
        f"({refreshed.failed[names[0]]}). The others are in the table; materialize it again.",
        metadata={"failed": names, **_metadata(refreshed)},
        allow_retries=False,
    )
