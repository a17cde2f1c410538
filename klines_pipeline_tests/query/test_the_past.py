"""Whatever happens to archives, checksums, REST and the policy, a moment reads ever after as it did then."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import make_dataset
from klines_pipeline_tests.query.stories import (
    FUNDING_HAPPENINGS,
    HAPPENINGS,
    SHORT,
    FundingStory,
    Story,
    tell,
    tell_of_funding,
)

FEW = settings(max_examples=2, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=40, derandomize=False)
KLINES = st.lists(st.sampled_from(sorted(HAPPENINGS)), min_size=3, max_size=7)
FUNDING = st.lists(st.sampled_from(sorted(FUNDING_HAPPENINGS)), min_size=3, max_size=7)


def klines(happenings: Sequence[str]) -> None:
    """A story of quarters of an hour, from an empty lake on."""
    with EmbeddedExchange(rate=0) as exchange, TemporaryDirectory() as folder:
        dataset = make_dataset("BTCUSDT", "SOLUSDT", interval="15m", start=SHORT)
        tell(Story(exchange, Lake(str(Path(folder, "lake"))), dataset), happenings)


def funding(happenings: Sequence[str]) -> None:
    """Of funding."""
    with EmbeddedExchange(rate=0) as exchange, TemporaryDirectory() as folder:
        tell_of_funding(FundingStory(exchange, Lake(str(Path(folder, "lake")))), happenings)


def test_all_that_can_happen_to_vouched_archives_leaves_the_past_of_klines_alone() -> None:
    klines(["the other policy", "checksum lost", *sorted(set(HAPPENINGS) - {"the other policy"})])


def test_all_that_can_happen_to_vouched_archives_leaves_the_past_of_funding_alone() -> None:
    funding(["the other policy", "checksum lost", *sorted(set(FUNDING_HAPPENINGS) - {"the other policy"})])


@given(KLINES)
@FEW
def test_klines_of_the_past_stay_as_they_were(happenings: Sequence[str]) -> None:
    klines(happenings)


@given(FUNDING)
@FEW
def test_funding_of_the_past_stays_as_it_was(happenings: Sequence[str]) -> None:
    funding(happenings)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(KLINES)
@MANY
def test_klines_of_the_past_stay_as_they_were_in_many_stories(happenings: Sequence[str]) -> None:
    klines(happenings)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(FUNDING)
@MANY
def test_funding_of_the_past_stays_as_it_was_in_many_stories(happenings: Sequence[str]) -> None:
    funding(happenings)
