"""What a stranger reads in the UI: words, owners, tags, places and columns of everything."""

import re
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from klines_pipeline.defs.assets.columns import LINEAGE, SCHEMA
from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings

CONFIG = """
lake: s3://bucket/lake
owners: [team:quants, ann@example.com]
datasets:
  - {interval: 1m, start: 2024-01-01, symbols: [BTCUSDT], resample: [1h]}
  - {market: um, interval: 1h, start: 2024-01-01, symbols: [BTCUSDT], funding: true}
  - {market: cm, interval: 1h, start: 2024-01-01, symbols: [BTCUSD_PERP]}
  - {exchange: okx, market: swap, interval: 1m, start: 2024-01-01, symbols: [BTC-USDT-SWAP], funding: true}
"""


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    config = tmp_path_factory.mktemp("catalog") / "klines.yaml"
    config.write_text(CONFIG, "utf-8")
    return build_definitions(Settings.from_env({"KLINES_CONFIG": str(config)}))


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def described(definitions: dg.Definitions) -> Iterator[tuple[str, str | None]]:
    """Name and description of everything the UI lists, Dagster's own sensor for conditions excepted."""
    repository = definitions.get_repository_def()
    yield from ((spec.key.to_user_string(), spec.description) for spec in definitions.resolve_all_asset_specs())
    for key in repository.asset_graph.asset_check_keys:
        yield key.to_user_string(), repository.asset_graph.get_check_spec(key).description
    for found in (*repository.sensor_defs, *repository.schedule_defs):
        yield found.name, found.description
    for name, resource in repository.get_top_level_resources().items():
        yield name, resource.description


def test_everything_says_in_a_plain_first_sentence_what_it_is(definitions: dg.Definitions) -> None:
    ours = {name: text for name, text in described(definitions) if name != "default_automation_condition_sensor"}

    assert [name for name, text in ours.items() if not text] == []
    first = {name: re.split(r"\.\s", str(text))[0] for name, text in ours.items() if not name.startswith("io_manager")}
    assert [name for name, sentence in first.items() if any(mark in sentence for mark in "`*#[]")] == []


def test_every_asset_has_the_owners_of_klines_yaml(specs: dict[str, dg.AssetSpec]) -> None:
    assert {tuple(spec.owners) for spec in specs.values()} == {("team:quants", "ann@example.com")}


@pytest.mark.parametrize(
    ("name", "tags", "place"),
    [
        ("binance/spot/vision_klines_1m", ("archive", "1m"), "vision"),
        ("binance/spot/rest_klines_1m", ("rest", "1m"), "rest_klines/exchange=binance/market=spot/interval=1m"),
        ("binance/spot/klines_1m", ("table", "1m"), "klines/exchange=binance/market=spot/interval=1m"),
        (
            "binance/spot/resampled_klines_1h",
            ("derived", "1h"),
            "resampled_klines/exchange=binance/market=spot/interval=1h",
        ),
        ("binance/spot/symbols", ("reference", None), "ledger/symbols/exchange=binance/market=spot"),
        ("okx/swap/funding", ("table", None), "funding/exchange=okx/market=swap"),
    ],
)
def test_an_asset_tells_its_layer_and_where_it_lies(
    specs: dict[str, dg.AssetSpec], name: str, tags: tuple[str, str | None], place: str
) -> None:
    spec = specs[name]

    assert (spec.tags["layer"], spec.tags.get("interval")) == tags
    assert (spec.tags["exchange"], spec.tags["market"]) == tuple(spec.key.path[:2])
    assert spec.metadata["dagster/uri"] == f"s3://bucket/lake/{place}"


def column(spec: dg.AssetSpec, name: str) -> Any:
    return next(found for found in spec.metadata[SCHEMA].columns if found.name == name)


def test_columns_say_what_is_the_key_and_what_may_be_null(specs: dict[str, dg.AssetSpec]) -> None:
    table = specs["binance/cm/klines_1h"]

    assert table.metadata[SCHEMA].constraints.other == [
        "(symbol, open_time) is unique",
        "sorted by (symbol, open_time)",
    ]
    assert column(table, "open_time").constraints.other == ["key"]
    assert column(table, "open_time").type == "Datetime(µs, UTC)"
    assert not column(table, "close").constraints.nullable
    assert column(table, "quote_volume").constraints.nullable
    assert column(table, "contracts").description == "`cm` only: contracts traded"


def test_a_column_comes_from_those_of_its_name_in_the_assets_before_it(specs: dict[str, dg.AssetSpec]) -> None:
    def sources(asset: str, name: str) -> set[str]:
        deps = specs[asset].metadata[LINEAGE].deps_by_column[name]
        return {f"{dep.asset_key.path[-1]}.{dep.column_name}" for dep in deps}

    assert sources("binance/spot/klines_1m", "close") == {"vision_klines_1m.close", "rest_klines_1m.close"}
    assert sources("binance/spot/klines_1m", "source") == {"rest_klines_1m.source"}
    assert sources("binance/spot/resampled_klines_1h", "close") == {"klines_1m.close"}
