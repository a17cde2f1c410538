"""A pool a REST host: all that asks one waits for its turn, and what asks none does not."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
CONFIG = """
datasets:
  - {interval: 1m, start: 2024-01-01, symbols: [BTCUSDT], resample: [1h]}
  - {interval: 1d, start: 2024-01-01, symbols: [BTCUSDT]}
  - {market: um, interval: 1h, start: 2024-01-01, symbols: [BTCUSDT], funding: true}
  - {exchange: okx, market: spot, interval: 1h, start: 2024-01-01, symbols: [BTC-USDT]}
  - {exchange: okx, market: swap, interval: 1h, start: 2024-01-01, symbols: [BTC-USDT-SWAP], funding: true}
"""


@pytest.fixture
def pools(tmp_path: Path) -> dict[str, set[str]]:
    """Assets by the pool of their step."""
    (tmp_path / "klines.yaml").write_text(CONFIG, "utf-8")
    definitions = build_definitions(Settings.from_env({"KLINES_CONFIG": str(tmp_path / "klines.yaml")}))
    found = dict[str, set[str]]()
    for assets in definitions.assets or ():
        assert isinstance(assets, dg.AssetsDefinition)
        keys = {key.to_user_string() for key in assets.keys}
        found.setdefault(str(assets.op.pool), set()).update(keys)
    return found


def test_markets_of_one_host_share_a_pool_with_their_funding_and_symbols(pools: dict[str, set[str]]) -> None:
    assert pools.keys() == {"binance_spot_rest", "binance_um_rest", "okx_rest", "None"}
    assert pools["binance_um_rest"] >= {"binance/um/rest_klines_1h", "binance/um/funding", "binance/um/symbols"}
    assert pools["binance_spot_rest"] >= {"binance/spot/rest_klines_1m", "binance/spot/klines_1d"}
    assert pools["okx_rest"] >= {"okx/spot/klines_1h", "okx/swap/funding", "okx/spot/symbols", "okx/swap/symbols"}


def test_what_asks_nobody_has_no_pool(pools: dict[str, set[str]]) -> None:
    assert pools["None"] == {"binance/spot/resampled_klines_1h"}


def test_a_host_has_one_place_held_by_runs_and_not_by_steps() -> None:
    concurrency = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))["concurrency"]

    assert concurrency["pools"] == {"default_limit": 1, "granularity": "run"}
    assert {"key": "klines/kind", "value": "history", "limit": 1} in concurrency["runs"]["tag_concurrency_limits"]
