"""Which dataset and which days a command means: those of klines.yaml, by name or because there is only one."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TypeVar

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError
from klines_pipeline.exchanges.registry import check_dataset
from klines_pipeline.settings import Settings

Known = TypeVar("Known")


def configured(settings: Settings) -> tuple[Dataset, ...]:
    """The paragraphs of klines.yaml, checked; ConfigurationError where there is none."""
    if not settings.datasets:
        raise ConfigurationError(
            "No dataset is configured. Write a klines.yaml here that names one, or set KLINES_CONFIG to another."
        )
    for dataset in settings.datasets:
        check_dataset(dataset, where=f"klines.yaml: {dataset}")
    return settings.datasets


def choose(datasets: Sequence[Dataset], known: Mapping[str, Known], name: str | None) -> Known:
    """What is known by the name; without one, what the only paragraph is known as."""
    if name is None and len(datasets) == 1:
        return known[datasets[0].name]
    if name is None:
        raise ConfigurationError(f"Say which dataset: --dataset {' or --dataset '.join(known)}.")
    if name not in known:
        raise UnknownNameError("dataset", name, known)
    return known[name]


def first_and_last(day: date | None, start: date | None, end: date | None) -> tuple[date | None, date | None]:
    """--day, or [--start, --end), as the first and the last day meant."""
    if day and (start or end):
        raise ConfigurationError("--day is one day, --start and --end are a range: give one or the other.")
    if start and end and start >= end:
        raise ConfigurationError(f"--start {start} is not before --end {end}; the range is [start, end).")
    return day or start, day or (end - timedelta(days=1) if end else None)
