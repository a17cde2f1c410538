"""Which contracts there are: listed, delivered, settled, removed, relisted, renamed, pending."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.simulator.futures_rest import DAY, MINUTE, ask, code_of, instant, klines, told

PERPETUAL_DELIVERY = 4_133_404_800_000


def symbols(http: httpx.Client, market: str) -> dict[str, dict[str, Any]]:
    return {entry["symbol"]: entry for entry in told(http, market, "exchangeInfo")["symbols"]}


def first_open(http: httpx.Client, symbol: str) -> int:
    return klines(http, "um", symbol, startTime=1, limit=1)[0][0]


def archive_days(bucket: Any, market: str, symbol: str) -> list[str]:
    """Days with a 1d archive, first and last."""
    folder = f"data/futures/{market}/daily/klines/{symbol}/1d/"
    months = [f"{year}-{month:02d}" for year in range(2025, 2018, -1) for month in range(12, 0, -1)]
    pages = (bucket.page(prefix=f"{folder}{symbol}-1d-{month}").keys for month in months)
    last = next(keys for keys in pages if keys)
    return [bucket.page(prefix=folder, max_keys=1).keys[0][-14:-4], last[-2][-14:-4]]


def test_um_entries_have_the_documented_fields(http: httpx.Client) -> None:
    entry = symbols(http, "um")["BTCUSDT"]
    wanted = {
        "symbol": "BTCUSDT",
        "pair": "BTCUSDT",
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY,
        "onboardDate": instant("2019-09-25T08:00"),
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "underlyingType": "COIN",
    }

    assert {name: entry[name] for name in wanted} == wanted
    assert "contractStatus" not in entry
    assert symbols(http, "um")["ETHBTC"]["quoteAsset"] == symbols(http, "um")["ETHBTC"]["marginAsset"] == "BTC"


def test_cm_entries_have_the_documented_fields(http: httpx.Client) -> None:
    found = symbols(http, "cm")
    entry = found["BTCUSD_PERP"]

    assert (entry["contractStatus"], entry["contractSize"], entry["pair"]) == ("TRADING", 100, "BTCUSD")
    assert (entry["baseAsset"], entry["quoteAsset"], entry["marginAsset"]) == ("BTC", "USD", "BTC")
    assert "status" not in entry
    assert found["ETHUSD_PERP"]["contractSize"] == 10
    assert set(found) == {"BTCUSD_PERP", "ETHUSD_PERP", "BTCUSD_250328", "ETHUSD_250328"}
    assert told(http, "cm", "exchangeInfo")["rateLimits"][0]["limit"] == 2400


def test_rest_reaches_further_back_than_archives(http: httpx.Client, bucket: Any) -> None:
    assert first_open(http, "BTCUSDT") == instant("2019-09-08T17:57")
    assert first_open(http, "ETHUSDT") == instant("2019-11-27T07:45")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert archive_days(bucket, "um", symbol) == ["2019-12-31", "2025-03-03"]
        assert bucket.get(bucket.futures_key("um", symbol, "2019-12-30", "1h")).status_code == 404


def test_a_symbol_does_not_exist_before_its_listing(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    assert first_open(http, "NOVAUSDT") == instant("2025-03-03T12:00")
    exchange.set_clock(datetime(2025, 3, 3, 11, 59, tzinfo=UTC))

    assert code_of(ask(http, "um", "klines", symbol="NOVAUSDT", interval="1m")) == -1121
    assert "NOVAUSDT" not in symbols(http, "um")


def test_a_removed_perpetual_leaves_its_archives_only(
    exchange: EmbeddedExchange, http: httpx.Client, bucket: Any
) -> None:
    answer = ask(http, "um", "klines", symbol="RAYUSDT", interval="1m", startTime=instant("2022-01-01"), limit=1)
    listed = "RAYUSDT" in symbols(http, "um")
    exchange.set_clock(datetime(2022, 11, 20, 8, tzinfo=UTC))
    while_trading = klines(http, "um", "RAYUSDT", limit=1)

    assert (answer.status_code, answer.json()) == (400, {"code": -1122, "msg": "Invalid symbol status."})
    assert not listed
    assert symbols(http, "um")["RAYUSDT"]["status"] == "TRADING"
    assert while_trading[0][0] == instant("2022-11-20T08:00")
    exchange.set_clock(datetime(2025, 3, 4, 9, tzinfo=UTC))
    assert archive_days(bucket, "um", "RAYUSDT") == ["2021-08-24", "2022-11-20"]
    assert len(bucket.rows(bucket.futures_key("um", "RAYUSDT", "2022-11-20"))) == 1 + 9 * 60


def test_a_settled_perpetual_has_flat_klines_for_sixty_days(
    exchange: EmbeddedExchange, http: httpx.Client, bucket: Any
) -> None:
    settled = instant("2022-11-17T10:00")
    before = klines(http, "um", "FTTUSDT", startTime=settled - MINUTE, limit=1)[0]
    after = klines(http, "um", "FTTUSDT", "1h", startTime=settled, limit=1500)
    last = klines(http, "um", "FTTUSDT", endTime=instant("2025-01-01"), limit=1)[0]
    archived = bucket.rows(bucket.futures_key("um", "FTTUSDT", "2022-12-24", "1h"))[1:]
    entry = symbols(http, "um")["FTTUSDT"]

    assert before[8] > 0
    assert len(after) == 60 * 24
    assert {cell for row in after for cell in row[1:5]} == {before[4]}
    assert {(float(row[5]), float(row[7]), row[8]) for row in after} == {(0, 0, 0)}
    assert last[0] == settled + 60 * DAY - MINUTE
    assert {cell for row in archived for cell in row[1:5]} == {before[4]}
    assert archive_days(bucket, "um", "FTTUSDT")[1] == "2023-01-16"
    assert (entry["status"], entry["deliveryDate"]) == ("SETTLING", settled)
    exchange.set_clock(datetime(2022, 11, 17, 9, tzinfo=UTC))
    assert symbols(http, "um")["FTTUSDT"]["status"] == "TRADING"


def test_a_relisted_perpetual_has_a_hole_of_months(exchange: EmbeddedExchange, http: httpx.Client, bucket: Any) -> None:
    days = bucket.page(prefix="data/futures/um/daily/klines/TLMUSDT/1d/TLMUSDT-1d-202").keys
    months = sorted({key[-14:-7] for key in days if key.endswith(".zip")})
    hole = klines(http, "um", "TLMUSDT", "1d", startTime=instant("2022-06-09"), endTime=instant("2023-03-28"))

    assert ("2022-06" in months, "2022-07" in months, "2023-02" in months, "2023-03" in months) == (
        True,
        False,
        False,
        True,
    )
    assert [row[0] for row in hole] == [
        instant(day) for day in ("2022-06-09", "2022-06-10", "2023-03-27", "2023-03-28")
    ]
    exchange.set_clock(datetime(2022, 12, 1, tzinfo=UTC))
    assert "TLMUSDT" not in symbols(http, "um")
    assert code_of(ask(http, "um", "klines", symbol="TLMUSDT", interval="1m")) == -1122


@pytest.mark.parametrize("symbol", ["CVCUSDTSETTLED", "ICPUSDT_SETTLED"])
def test_a_renamed_leftover_is_an_archive_folder_only(http: httpx.Client, bucket: Any, symbol: str) -> None:
    first, last = archive_days(bucket, "um", symbol)

    assert len(bucket.rows(bucket.futures_key("um", symbol, last))) > 60
    assert first < last < "2023"
    assert symbol not in symbols(http, "um")
    assert code_of(ask(http, "um", "klines", symbol=symbol, interval="1m")) == -1121


@pytest.mark.parametrize(
    ("market", "symbol", "code"), [("um", "BTCUSDT_241227", -1122), ("cm", "BTCUSD_241227", -1121)]
)
def test_a_delivered_contract_ends_at_eight(
    exchange: EmbeddedExchange, http: httpx.Client, bucket: Any, market: str, symbol: str, code: int
) -> None:
    rows = bucket.rows(bucket.futures_key(market, symbol, "2024-12-27"))

    assert symbol not in symbols(http, market)
    assert code_of(ask(http, market, "klines", symbol=symbol, interval="1m")) == code
    assert int(rows[-1][0]) == instant("2024-12-27T07:59")
    assert archive_days(bucket, market, symbol)[1] == "2024-12-27"
    exchange.set_clock(datetime(2024, 12, 27, 7, 59, tzinfo=UTC))
    assert symbols(http, market)[symbol]["deliveryDate"] == instant("2024-12-27T08:00")
    assert klines(http, market, symbol, limit=1)[0][0] == instant("2024-12-27T07:59")


def test_quarters_move_up_when_one_is_delivered(exchange: EmbeddedExchange, http: httpx.Client) -> None:
    def types() -> dict[str, str]:
        found = symbols(http, "um").items()
        return {symbol: entry["contractType"] for symbol, entry in found if symbol.startswith("BTCUSDT_")}

    now = types()
    exchange.set_clock(datetime(2025, 3, 28, 8, tzinfo=UTC))

    assert now == {"BTCUSDT_250328": "CURRENT_QUARTER", "BTCUSDT_250627": "NEXT_QUARTER"}
    assert types() == {"BTCUSDT_250627": "CURRENT_QUARTER"}
    assert symbols(http, "um")["BTCUSDT_250627"]["pair"] == "BTCUSDT"


def test_a_coin_perpetual_simply_ends(http: httpx.Client, bucket: Any) -> None:
    assert archive_days(bucket, "cm", "XMRUSD_PERP")[1] == "2024-02-16"
    assert code_of(ask(http, "cm", "klines", symbol="XMRUSD_PERP", interval="1m")) == -1121


def test_a_pending_symbol_is_told_and_has_no_kline(http: httpx.Client, bucket: Any) -> None:
    assert symbols(http, "um")["AURAUSDT"]["status"] == "PENDING_TRADING"
    assert klines(http, "um", "AURAUSDT") == []
    assert bucket.page(prefix="data/futures/um/daily/klines/AURAUSDT/").keys == []


def test_a_non_ascii_perpetual_is_served(http: httpx.Client, bucket: Any) -> None:
    assert first_open(http, "币安人生USDT") == instant("2025-01-08T13:45")
    assert len(bucket.rows(bucket.futures_key("um", "币安人生USDT", "2025-03-01"))) == 1441


def test_extra_symbols_come_to_um_too_and_each_20th_is_gone() -> None:
    with EmbeddedExchange(rate=0, extra_symbols=41) as exchange, httpx.Client(base_url=exchange.url) as client:
        found = symbols(client, "um")
        gone = ask(client, "um", "klines", symbol="X0040USDT", interval="1m")
        key = "data/futures/um/daily/klines/X0020USDT/1d/X0020USDT-1d-2024-06-{}.zip"
        statuses = [client.get("/" + key.format(day)).status_code for day in (17, 18)]
        spot = client.get("/api/v3/klines", params={"symbol": "X0020USDT", "interval": "1m", "limit": 1})

    assert {name for name in found if name.startswith("X0")} == {
        f"X{number:04d}USDT" for number in range(1, 42) if number not in {20, 40}
    }
    assert code_of(gone) == -1122
    assert statuses == [200, 404]
    assert len(spot.json()) == 1


def test_leveraged_tokens_are_had_on_spot_when_wished_for() -> None:
    with (
        EmbeddedExchange(rate=0, leveraged_tokens=True) as exchange,
        httpx.Client(base_url=exchange.url) as client,
    ):

        def names(**query: str) -> dict[str, Any]:
            entries = client.get("/api/v3/exchangeInfo", params=query).json()["symbols"]
            return {entry["symbol"]: entry for entry in entries}

        every, leveraged, tradable = names(), names(permissions="LEVERAGED"), names(permissions='["SPOT","MARGIN"]')
        refused = client.get("/api/v3/exchangeInfo", params={"permissions": "[1]"})

    assert set(leveraged) == {"BTCUPUSDT", "BTCDOWNUSDT"}
    assert set(every) == set(leveraged) | set(tradable)
    assert len(tradable) == 13
    assert leveraged["BTCUPUSDT"]["status"] == "BREAK"
    assert leveraged["BTCUPUSDT"]["permissionSets"] == [["LEVERAGED"]]
    assert refused.json()["code"] == -1130


def test_lives_of_a_market_are_told(http: httpx.Client) -> None:
    lives = http.request("GET", "/control/symbols", json={"market": "um"}).json()["symbols"]

    assert len(lives["TLMUSDT"]) == 2
    assert lives["BTCUSDT_250328"][0]["end"] == "2025-03-28T08:00:00+00:00"
    assert "ADAUSDT" not in lives
