"""What must hold when the story is over. Each verdict is one function that yields what is wrong; nothing is right."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import dagster as dg

from klines_pipeline.defs.automation.run_requests import DATASET, FIRST, KIND, LAST, NEWS
from klines_pipeline.defs.keys import chain
from klines_pipeline.domain.wanted import Kind
from klines_pipeline.exchanges.registry import words_of
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.unattended.story import Outcome
from klines_pipeline_tests.unattended.truth import Truth, key_of

_MOST_IN_FLIGHT = 32
"""Sixteen downloads at once, and as many waiting to be kept."""

Verdict = Callable[[EmbeddedExchange, Outcome], Iterator[str]]


def every_day_of_every_asset_is_materialized(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """As Dagster shows it: green, and the last run of it did not fail."""
    [dataset] = outcome.settings.datasets
    days = [str(day) for day in outcome.scale.all_days()]
    graph = outcome.definitions.resolve_asset_graph()
    for key in chain(dataset, words_of(*dataset.prefix)):
        partitions = graph.get(key).partitions_def
        statuses = outcome.instance.get_status_by_partition(key, days, partitions) or {}
        for day in days:
            if statuses.get(day) is not dg.AssetPartitionStatus.MATERIALIZED:
                yield f"{key.to_user_string()} {day}: {statuses.get(day)}"


def certificates_equal_the_truth(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """Of every symbol-day, delisted and unlisted ones included."""
    truth = Truth(exchange, outcome.named, outcome.rewritten)
    yield from truth.wrong_certificates(outcome.settings.lake, outcome.scale.all_days())


def rows_equal_the_truth(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """Price for price and volume for volume."""
    truth = Truth(exchange, outcome.named, outcome.rewritten)
    yield from truth.wrong_rows(outcome.settings.lake, outcome.scale.all_days())


def each_archive_was_fetched_once_a_version(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """All that were published; what a killed run had in flight may come a second time."""
    downloads, again = exchange.requests()["downloads"], list[str]()
    truth = Truth(exchange, outcome.named, outcome.rewritten)
    for day in outcome.scale.all_days():
        for symbol in outcome.named.symbols:
            key = key_of(symbol, day)
            expected, times = truth.versions(symbol, day), downloads.get(f"/{key}", 0)
            if times == expected + 1 and key in outcome.not_kept_when_killed:
                again.append(key)
            elif times != expected:
                yield f"{key}: {times} downloads of {expected} version(s)"
    if len(again) > _MOST_IN_FLIGHT:
        yield f"{len(again)} archives were fetched again because of one killed run"


def no_run_request_was_made_twice(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """Neither by its key, nor the same news again after a run that succeeded."""
    yield from (f"run key asked for again: {key}" for key in outcome.daemon.repeated_keys)
    settled = Counter(
        tuple(run.tags[name] for name in (DATASET, KIND, FIRST, LAST, NEWS))
        for run in outcome.instance.get_runs()
        if NEWS in run.tags and run.is_success
    )
    yield from (f"settled {times} times: {what}" for what, times in settled.items() if times > 1)


def every_rewrite_has_its_run(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """A run because of it, of its day."""
    asked = {
        (run.tags[FIRST], run.tags[LAST])
        for run in outcome.instance.get_runs()
        if run.tags.get(KIND) == Kind.REWRITTEN and run.is_success
    }
    for rewrite in outcome.plan.rewrites:
        happened = rewrite.key in outcome.rewritten
        if happened and not any(first <= str(rewrite.day) <= last for first, last in asked):
            yield f"{rewrite.key}: no run for its rewriting"


def no_run_is_left_unfinished(exchange: EmbeddedExchange, outcome: Outcome) -> Iterator[str]:
    """Nothing hangs."""
    yield from (f"{run.run_id}: {run.status}" for run in outcome.instance.get_runs() if not run.is_finished)


VERDICTS: tuple[Verdict, ...] = (
    every_day_of_every_asset_is_materialized,
    certificates_equal_the_truth,
    rows_equal_the_truth,
    each_archive_was_fetched_once_a_version,
    no_run_request_was_made_twice,
    every_rewrite_has_its_run,
    no_run_is_left_unfinished,
)


def judged(exchange: EmbeddedExchange, outcome: Outcome) -> Mapping[str, list[str]]:
    """Every verdict by its name, with all that is wrong."""
    return {verdict.__name__: list(verdict(exchange, outcome)) for verdict in VERDICTS}
