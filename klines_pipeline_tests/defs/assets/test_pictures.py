"""Pictures in metadata: on a run's last day alone, small, never of a run that comes every few minutes, never fatal."""

import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline.defs.assets.pictures import pictures_of, with_pictures
from klines_pipeline.defs.assets.reporting import DayReport
from klines_pipeline.defs.automation.run_requests import FIRST, KIND, LAST
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import Run, make_dataset
from klines_pipeline_tests.defs.assets.test_klines import CONFIG, KLINES, metadata_of
from klines_pipeline_tests.defs.conftest import built

_LARGEST = 20_000
DATASET = make_dataset("BTCUSDT", "币安人生USDT", interval="1h", start="2025-02-27")


@pytest.fixture
def definitions(exchange: EmbeddedExchange, tmp_path: Path) -> dg.Definitions:
    return built(exchange, tmp_path, CONFIG)


def pictured(definitions: dg.Definitions, instance: dg.DagsterInstance, **tags: str) -> dict[str, set[str]]:
    """Names of the pictures of each day, after a run over two days."""
    job = definitions.resolve_implicit_global_asset_job_def()
    days = {FIRST: "2025-03-01", LAST: "2025-03-02"}
    selection = [dg.AssetKey([*KLINES.path[:2], f"{stage}_1m"]) for stage in ("vision_klines", "rest_klines", "klines")]
    job.execute_in_process(instance=instance, asset_selection=selection, tags={**days, **tags}, raise_on_error=False)
    shown = metadata_of(instance, KLINES)
    return {day: {"heat_map", "candlestick"} & {*values} for day, values in shown.items()}


def test_the_last_day_of_a_run_has_the_pictures(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    assert pictured(definitions, instance) == {"2025-03-01": set(), "2025-03-02": {"heat_map", "candlestick"}}


def test_where_the_last_day_failed_the_last_good_one_has_them(
    definitions: dg.Definitions, instance: dg.DagsterInstance, exchange: EmbeddedExchange
) -> None:
    exchange.add_fault(kind="status", status=404, match="*USDT-1m-2025-03-02.zip*")
    exchange.add_fault(kind="status", status=418, group="rest", headers={"Retry-After": "1"})

    assert pictured(definitions, instance) == {"2025-03-01": {"heat_map", "candlestick"}}


def test_a_good_day_waits_for_the_next_one_and_is_not_lost_with_it(lake: Lake) -> None:
    def days() -> Iterator[DayReport]:
        yield DayReport("2025-03-01", {KLINES: {"rows": 1}}, {})
        raise KeyboardInterrupt

    told = list[DayReport]()
    with pytest.raises(KeyboardInterrupt):
        told.extend(with_pictures(days(), lake, make_dataset("BTCUSDT")))

    assert [day.partition for day in told] == ["2025-03-01"]


def test_a_run_that_comes_every_few_minutes_draws_nothing(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert pictured(definitions, instance, **{KIND: "freshness"}) == {"2025-03-01": set(), "2025-03-02": set()}


def test_a_picture_is_a_small_png_with_a_caption(ingest: Run, lake: Lake) -> None:
    ingest(DATASET, "2025-03-01", "2025-03-02", "2025-03-03")

    pictures = pictures_of(lake, DATASET, date(2025, 3, 3))

    assert {name: found.value.partition("\n")[0] for name, found in pictures.items()} == {
        "heat_map": "Completeness by day: 2 symbols.",
        "candlestick": "BTCUSDT, the symbol most traded on 2025-03-03.",
    }
    for found in pictures.values():
        encoded = found.value.partition("data:image/png;base64,")[2].removesuffix(")")
        assert b64decode(encoded).startswith(b"\x89PNG")
        assert len(encoded) < _LARGEST


def test_without_the_extra_there_are_no_pictures_and_no_error() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from klines_pipeline.defs.assets.pictures import pictures_of\n"
        "print(pictures_of(None, None, None))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (done.stdout, done.stderr) == ("{}\n", "")


def test_a_lake_that_cannot_be_drawn_is_a_warning(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    assert pictures_of(lake, DATASET, date(2025, 3, 3)) == {}

    assert "no pictures of 2025-03-03 could be drawn" in caplog.text
