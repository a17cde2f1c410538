"""A new exchange is a folder and a line in the registry: assets, checks and reading are then there by themselves."""

from pathlib import Path

import dagster as dg
import pytest

from klines_pipeline import load
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.domain.errors import UnknownNameError
from klines_pipeline.exchanges.registry import EXCHANGES, Exchange
from klines_pipeline.klines.quality import RULES
from klines_pipeline.settings import Settings
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.conftest import certificate
from klines_pipeline_tests.makebelieve import connect as makebelieve

CONFIG = """
lake: ./lake
datasets:
  - {exchange: makebelieve, market: moon, interval: 1h, start: 2024-04-30, symbols: [CHEESE-MOON, ROCK-MOON]}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The registry line, and a klines.yaml that names the exchange."""
    monkeypatch.setitem(EXCHANGES, "makebelieve", Exchange(makebelieve.WORDS, makebelieve.URLS, makebelieve.connect))
    (tmp_path / "klines.yaml").write_text(CONFIG, "utf-8")
    path = str(tmp_path / "klines.yaml")
    return Settings.from_env({"KLINES_CONFIG": path, "KLINES_MAKEBELIEVE_URL": "http://127.0.0.1:1/moon"})


def materialized(settings: Settings, first: str, last: str) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def test_its_assets_and_checks_are_there(settings: Settings) -> None:
    graph = build_definitions(settings).resolve_asset_graph()

    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert names >= {"makebelieve/moon/rest_klines_1h", "makebelieve/moon/klines_1h"}
    assert "makebelieve/moon/vision_klines_1h" not in names
    checks = {key.name for key in graph.asset_check_keys if key.asset_key.path[-1] == "klines_1h"}
    assert checks == set(RULES)


def test_its_days_are_ingested_certified_checked_and_read(settings: Settings) -> None:
    done = materialized(settings, "2024-04-30", "2024-05-03")

    assert done.success
    lake, venue = Lake(settings.lake), "makebelieve/moon"
    first = certificate(lake, "CHEESE-MOON", "2024-05-01", interval="1h", venue=venue)
    assert (first["present"], first["reason"]) == (18, "not_listed")
    halted = certificate(lake, "CHEESE-MOON", "2024-05-02", interval="1h", venue=venue)
    assert (halted["present"], halted["missing"], halted["reason"]) == (22, 2, "no_data")
    begun = certificate(lake, "ROCK-MOON", "2024-05-03", interval="1h", venue=venue)
    assert (begun["expected"], begun["present"], begun["from_rest"]) == (12, 12, 12)
    assert {check.check_name for check in done.get_asset_check_evaluations() if not check.passed} == {
        "klines_are_complete_or_explained",
        "price_continues_across_days",  # it begins at 1 every midnight
    }
    where = {"market": "moon", "exchange": "makebelieve", "lake": settings.lake}
    rows = load(["CHEESE-MOON", "ROCK-MOON"], "1h", "2024-04-30", "2024-05-04", **where)
    assert rows.group_by("symbol").len().sort("symbol")["len"].to_list() == [18 + 22 + 12, 3 * 24 + 12]
    assert set(rows["source"]) == {"rest"}


def test_its_words_are_checked_like_all_others(settings: Settings, tmp_path: Path) -> None:
    for wrong, sentence in (
        ("market: moon", "market of makebelieve 'mooon'"),
        ("interval: 1h", "interval of makebelieve moon '1m'"),
    ):
        right, bad = wrong.split(": ")
        text = CONFIG.replace(wrong, f"{right}: {'mooon' if right == 'market' else '1m'}")
        assert bad in CONFIG
        (tmp_path / "klines.yaml").write_text(text, "utf-8")
        with pytest.raises(UnknownNameError, match=sentence):
            build_definitions(Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml")}))


def test_a_symbol_it_never_had_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "klines.yaml").write_text(CONFIG.replace("ROCK-MOON", "ROCK-MOOM"), "utf-8")
    done = materialized(Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml")}), "2024-05-01", "2024-05-01")

    assert not done.success
    [failure] = [event for event in done.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "unknown symbol 'ROCK-MOOM'. The nearest valid one is 'ROCK-MOON'" in str(failure.event_specific_data)
