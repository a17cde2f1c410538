"""Takes the pictures of the UI that the README shows, anew: `make screenshots`. Real pages, on an embedded exchange.

Some days are spoilt on purpose, so that there is something to see.
"""

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.browser.workshop import (
    CHROMIUM,
    PROJECT,
    chromium,
    furnish,
    materialize,
    user_interface,
)

FOLDER = PROJECT / "docs"
NOW = datetime.now(UTC).replace(hour=14, minute=0)
SYMBOLS = "BTCUSDT, ETHUSDT, SOLUSDT, BNBUSDT, XRPUSDT, LUNAUSDT, X0001USDT, X0002USDT, X0003USDT, X0004USDT, X0005USDT"
CONFIG = """\
owners: [team:quants]
automation: {{enabled: false}}
datasets:
  - {{interval: 1m, start: {start}, symbols: [{symbols}], resample: [1h, 1d]}}
"""
ASSET = "/assets/binance/spot/klines_1m"
_SIZE = {"width": 1280, "height": 860}
_COLOURS = 128
_PATIENCE = 60_000.0


def day(back: int) -> str:
    """A day that many days ago."""
    return f"{NOW - timedelta(days=back):%Y-%m-%d}"


def fill(folder: Path, exchange: EmbeddedExchange) -> None:
    """A month. For some days of it REST is blocked and checksums are wrong; one day fails."""
    materialize(folder, exchange, day(29), day(15))
    exchange.add_fault(kind="blocked", group="rest")
    for symbol, back in (("SOLUSDT", 14), ("SOLUSDT", 13), ("SOLUSDT", 12), ("X0002USDT", 13), ("XRPUSDT", 11)):
        exchange.add_fault(kind="checksum", match=f"*{symbol}-1m-{day(back)}.zip")
    materialize(folder, exchange, day(14), day(11))
    exchange.clear_faults()
    exchange.add_fault(kind="status", status=503, match=f"*ETHUSDT-1m-{day(5)}.zip")
    materialize(folder, exchange, day(10), day(5))
    exchange.clear_faults()
    materialize(folder, exchange, day(4), day(0))


def main() -> None:
    """Write docs/*.png."""
    if CHROMIUM is None:
        sys.exit("There is no chromium. As root: scripts/debian_packages.sh")
    FOLDER.mkdir(exist_ok=True)
    expect.set_options(timeout=_PATIENCE)
    with (
        tempfile.TemporaryDirectory(prefix="klines-") as name,
        EmbeddedExchange(now=NOW, rate=0, extra_symbols=5) as exchange,
    ):
        folder = Path(name)
        furnish(folder, CONFIG.format(start=day(29), symbols=SYMBOLS))
        fill(folder, exchange)
        with user_interface(folder, exchange) as address, chromium() as browser:
            for title, visit in VISITS.items():
                _take(browser, address, title, visit)


def _take(browser: Browser, address: str, title: str, visit: Callable[[Page, str], None]) -> None:
    page = browser.new_page(viewport=_SIZE, device_scale_factor=1)  # type: ignore[arg-type]
    page.set_default_timeout(_PATIENCE)
    visit(page, address)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # lines and bars glide to their places
    packed = BytesIO()
    with Image.open(BytesIO(page.screenshot())) as image:
        image.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE).save(packed, format="PNG", optimize=True)
    (FOLDER / f"ui-{title}.png").write_bytes(packed.getvalue())
    sys.stdout.write(f"docs/ui-{title}.png: {len(packed.getvalue()) // 1024} kB\n")
    page.close()


def _catalog(page: Page, address: str) -> None:
    page.goto(f"{address}/assets")
    expect(page.get_by_text("The table: one 1m kline").first).to_be_visible()


def _lineage(page: Page, address: str) -> None:
    page.goto(f"{address}/locations/klines_pipeline.definitions/asset-groups/binance_spot/lineage")
    expect(page.get_by_text("Passed").first).to_be_visible()


def _asset(page: Page, address: str) -> None:
    page.goto(f"{address}{ASSET}?view=overview")
    expect(page.get_by_text("heat_map").first).to_be_visible()


def _plots(page: Page, address: str) -> None:
    _asset(page, address)
    page.get_by_role("button", name="Plots").click()
    expect(page.get_by_text("rest_share_pct").first).to_be_visible()
    page.get_by_text("Metadata", exact=True).first.evaluate("title => title.scrollIntoView()")


def _checks(page: Page, address: str) -> None:
    """Run by itself it looks at the whole month."""
    path = f"{address}{ASSET}?view=checks&checkDetail=klines_are_complete_or_explained"
    page.goto(path)
    page.get_by_text("Execute", exact=True).first.click()
    expect(page.get_by_text("days bad").first).to_be_visible(timeout=2 * _PATIENCE)
    page.goto(path)
    expect(page.get_by_text("days bad").first).to_be_visible()


def _heat_map(page: Page, address: str) -> None:
    _asset(page, address)
    page.locator("tr", has_text="heat_map").get_by_text("[Show Markdown]").click()
    expect(page.get_by_role("dialog").get_by_role("img").last).to_be_visible()


def _partitions(page: Page, address: str) -> None:
    page.goto(f"{address}{ASSET}?view=partitions")
    page.get_by_text(day(2), exact=True).first.click()
    expect(page.get_by_text("completeness_pct").first).to_be_visible()


def _automation(page: Page, address: str) -> None:
    page.goto(f"{address}/automation")
    expect(page.get_by_text("published_days").first).to_be_visible()


VISITS = {
    "catalog": _catalog,
    "lineage": _lineage,
    "asset": _asset,
    "plots": _plots,
    "checks": _checks,
    "heat-map": _heat_map,
    "partitions": _partitions,
    "automation": _automation,
}


if __name__ == "__main__":
    main()
