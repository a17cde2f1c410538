"""What a person does in Dagster's UI, done by a browser: a day materialized by clicking, its checks, its pictures."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from klines_pipeline.defs.build import build_definitions
from klines_pipeline.klines.quality import RULES
from klines_pipeline.settings import Settings
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.browser.workshop import CHROMIUM, chromium, furnish, user_interface

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here; scripts/debian_packages.sh installs it as root"),
    pytest.mark.timeout(400),
]
NOW = datetime.now(UTC)
"""Dagster's partitions end with the machine's day, so the exchange has the same one."""
DAY = f"{NOW - timedelta(days=2):%Y-%m-%d}"
CONFIG = f"""
owners: [team:quants]
automation: {{enabled: false}}
datasets:
  - interval: 1m
    start: {NOW - timedelta(days=4):%Y-%m-%d}
    symbols: [BTCUSDT, ETHUSDT, SOLUSDT]
    resample: [1h]
"""
ASSET = "/assets/binance/spot/klines_1m"
PATIENCE = 60_000.0
"""Milliseconds: both cores may be busy with other tests."""


class Visit(NamedTuple):
    """A page on the UI, and what went wrong in it so far."""

    page: Page
    address: str
    complaints: list[str]

    def open(self, path: str, landmark: str) -> None:
        """Go to a page of the UI and wait until it says `landmark`."""
        self.page.goto(self.address + path)
        expect(self.page.get_by_text(landmark).first).to_be_visible()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI of an empty lake."""
    folder = tmp_path_factory.mktemp("ui")
    furnish(folder, CONFIG)
    with EmbeddedExchange(now=NOW, rate=0) as exchange, user_interface(folder, exchange) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as found:
        yield found


@pytest.fixture
def visit(address: str, browser: Browser) -> Iterator[Visit]:
    """A fresh page; afterwards nothing may have gone wrong in it."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    complaints = list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 500 else None)
    yield Visit(page, address, complaints)
    page.close()
    assert complaints == []


@pytest.fixture(scope="module")
def materialized(address: str, browser: Browser) -> str:
    """A day made by clicking through the dialog; the path of its run's page."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}{ASSET}?view=lineage&lineageScope=upstream")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    choose(dialog, DAY)
    dialog.get_by_role("button", name="Launch 1 run").click()
    expect(dialog).to_be_hidden()
    page.goto(f"{address}/runs")
    expect(page.get_by_text(f"partition: {DAY}").first).to_be_visible()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=2 * PATIENCE)
    run = page.get_by_role("link", name="View", exact=True).first.get_attribute("href")
    page.close()
    return str(run)


def choose(dialog: Locator, day: str) -> None:
    """One partition instead of those that the dialog suggests."""
    box = dialog.get_by_role("textbox").first
    box.fill(day)
    box.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True)).to_be_visible()


def test_a_day_is_materialized_by_clicking(visit: Visit, materialized: str) -> None:
    visit.open(materialized, "Success")
    visit.open(f"{ASSET}?view=partitions", "Materialized (1)")

    visit.open(f"{ASSET}?view=overview", DAY)
    for word in ("quants", "layer: table", "interval: 1m", "(symbol, open_time) is unique", "Parquet"):
        expect(visit.page.get_by_text(word).first).to_be_visible()


@pytest.mark.parametrize("name", ["heat_map", "candlestick"])
def test_the_pictures_of_the_day_open(visit: Visit, materialized: str, name: str) -> None:
    visit.open(f"{ASSET}?view=overview", name)

    visit.page.locator("tr", has_text=name).get_by_text("[Show Markdown]").click()

    picture = visit.page.get_by_role("dialog").get_by_role("img").last
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 500


def test_a_check_shows_its_rule_its_result_and_the_remedy(visit: Visit, materialized: str) -> None:
    rule = RULES["key_is_unique_and_sorted"].truth

    visit.open(f"{ASSET}?view=checks&checkDetail={rule.name}", "Latest execution")

    expect(visit.page.get_by_text(rule.description).first).to_be_visible()
    expect(visit.page.get_by_text("Passed", exact=True).first).to_be_visible()
    expect(visit.page.get_by_text("days_examined").first).to_be_visible()
    expect(visit.page.get_by_text(f"{DAY} and 3 symbols looked at: no {rule.breach}.").first).to_be_visible()


def test_the_lineage_of_a_market_is_one_picture(visit: Visit, materialized: str) -> None:
    visit.open("/locations/klines_pipeline.definitions/asset-groups/binance_spot/lineage", "Materialize all")

    for name in ("vision_klines_1m", "rest_klines_1m", "klines_1m", "resampled_klines_1h", "symbols"):
        expect(visit.page.get_by_text(name, exact=True).first).to_be_visible()


def test_the_catalog_says_of_each_asset_what_it_is(visit: Visit) -> None:
    visit.open("/assets", "The table: one 1m kline per symbol")

    expect(visit.page.get_by_text("binance_spot").nth(4)).to_be_visible()


def test_what_runs_by_itself_is_listed(visit: Visit, tmp_path: Path) -> None:
    config = tmp_path / "klines.yaml"
    config.write_text(CONFIG, "utf-8")
    repository = build_definitions(Settings.from_env({"KLINES_CONFIG": str(config)})).get_repository_def()
    names = [found.name for found in (*repository.sensor_defs, *repository.schedule_defs)]

    visit.open("/automation", names[0] if names else "No automations")

    for name in names:
        expect(visit.page.get_by_text(name, exact=True).first).to_be_visible()
