"""The sensor that looks back: archives that were rewritten, or came late, become runs."""

import dagster as dg

from klines_pipeline.defs.automation.ticks import answered, sensor
from klines_pipeline.defs.keys import chain, op_name
from klines_pipeline.defs.resources import ExchangesResource, LakeResource
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.protocols import MarketWords
from klines_pipeline.stages.watching.rewritten_archives import compare_slice

_SECONDS = 600


def build_rewritten_archives(dataset: Dataset, words: MarketWords, automation: Automation) -> dg.SensorDefinition:
    """`binance__spot__klines_1m__rewritten_archives`."""
    keys = chain(dataset, words)

    def rewritten_archives(
        context: dg.SensorEvaluationContext, lake: LakeResource, exchanges: ExchangesResource
    ) -> dg.SensorResult:
        tick = compare_slice(lake.open(), exchanges.market(dataset), dataset, automation, context.cursor)
        return answered(context.instance, dataset, keys, automation, tick)

    return sensor(
        op_name(*dataset.prefix, f"klines_{dataset.interval}", "rewritten_archives"),
        _SECONDS,
        rewritten_archives,
        keys,
        automation,
        f"Finds archives that the exchange has rewritten: those held of {dataset} are compared with what the bucket "
        f"lists, the last {automation.revisit_days} days once a day, all history once a week, a slice of it in each "
        "tick. A day with a rewritten archive, or with one that came when nobody waited any more, is requested; the "
        "old bytes are kept, and `klines revisions` shows what changed.",
    )
