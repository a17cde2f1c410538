"""Binance's funding rates: REST's pages and the monthly archives, scripted, embedded and real."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import CorruptArchiveError, RejectedRequestError, TransientError
from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.exchanges.binance.connect import connect
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA, with_intervals
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.conftest import endpoints_of
from klines_pipeline_tests.exchanges.script import Answer, ScriptedServer

START = datetime(2025, 3, 1, tzinfo=UTC)
HEADER = "calc_time,funding_interval_hours,last_funding_rate\n"


Connect = Callable[[str, dict[str, str]], FundingSource]


@pytest.fixture
def funding_of() -> Iterator[Connect]:
    """A market's funding, asked once only; connections are given back at the end."""
    with ExitStack() as stack:

        def connected(name: str, endpoints: dict[str, str]) -> FundingSource:
            market = connect(name, endpoints)
            market.api.host.policy = RetryPolicy(attempts=1)  # type: ignore[attr-defined]
            stack.callback(market.api.close)
            assert market.funding is not None
            return market.funding

        yield connected


@pytest.fixture
def scripted(server: ScriptedServer, funding_of: Connect) -> FundingSource:
    """USD-M funding at the scripted server."""
    return funding_of("um", {"binance_um_url": server.url})


@pytest.fixture
def um(exchange: EmbeddedExchange, funding_of: Connect) -> FundingSource:
    """USD-M funding of the embedded exchange."""
    return funding_of("um", endpoints_of(exchange))


def settlement(hour: int, **fields: object) -> dict[str, object]:
    """A row of REST, 3 ms late."""
    time = int((START + timedelta(hours=hour)).timestamp()) * 1000 + 3
    return {"symbol": "BTCUSDT", "fundingTime": time, "fundingRate": "-0.00003449", "markPrice": "84000.5", **fields}


def answer(*rows: dict[str, object]) -> Answer:
    return Answer(body=json.dumps(rows).encode())


def test_spot_has_no_funding() -> None:
    assert connect("spot", {}).funding is None


@pytest.mark.parametrize("symbol", ["BTCUSDT_250328", "BTCUSD_250328"])
def test_delivery_contracts_have_no_funding(symbol: str, um: FundingSource) -> None:
    assert not um.settles(symbol)
    assert um.settles("BTCUSD_PERP")
    assert um.settles("ICPUSDT_SETTLED")


def test_rows_keep_their_jitter_and_an_empty_mark_price_is_none(
    scripted: FundingSource, server: ScriptedServer
) -> None:
    server.script = [answer(settlement(0, markPrice=""), settlement(8, rateType="Regular"))]

    found = scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))

    assert found.rows.schema == SETTLEMENT_SCHEMA
    late = timedelta(milliseconds=3)
    assert found.rows.rows() == [
        ("BTCUSDT", START, START + late, None, -0.00003449, None),
        ("BTCUSDT", START + timedelta(hours=8), START + timedelta(hours=8) + late, None, -0.00003449, 84000.5),
    ]
    assert server.paths == [
        "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=1740787200000&endTime=1740873599999&limit=1000"
    ]


def test_the_beginning_of_time_is_never_asked_for(scripted: FundingSource, server: ScriptedServer) -> None:
    server.script = [answer()]

    scripted.api.settlements("BTCUSDT", datetime(1970, 1, 1, tzinfo=UTC), START)

    assert "startTime=1&" in server.paths[0]


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": []}',
        b'["x"]',
        json.dumps([settlement(0, fundingTime="soon")]).encode(),
        json.dumps([settlement(0, fundingTime=None)]).encode(),
        json.dumps([settlement(0, fundingRate="NaN")]).encode(),
        json.dumps([settlement(0, fundingRate=None)]).encode(),
        json.dumps([settlement(0, symbol="ETHUSDT")]).encode(),
    ],
    ids=["no list", "no rows", "no time", "null time", "no number", "null rate", "another symbol"],
)
def test_an_answer_that_is_not_funding_is_worth_asking_again(
    scripted: FundingSource, server: ScriptedServer, body: bytes
) -> None:
    server.script = [Answer(body=body)]

    with pytest.raises(TransientError, match="fundingRate"):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_a_refusal_that_is_not_about_the_symbol_is_an_error(scripted: FundingSource, server: ScriptedServer) -> None:
    server.script = [Answer(400, b'{"code": -1130, "msg": "Data sent for parameter is not valid."}')]

    with pytest.raises(RejectedRequestError):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_more_than_a_page_is_asked_on_from_the_last_settlement(um: FundingSource, exchange: EmbeddedExchange) -> None:
    start = datetime(2021, 1, 1, tzinfo=UTC)

    found = um.api.settlements("BTCUSDT", start, START)

    expected = (START - start) // timedelta(hours=8)
    assert found.rows.height == expected == found.rows["funding_time"].n_unique()
    assert exchange.requests()["funding"] == -(-expected // 1000) == um.api.requests


def test_full_pages_that_do_not_advance_are_no_answer(scripted: FundingSource, server: ScriptedServer) -> None:
    page = answer(*(settlement(0, fundingTime=1740787200000 + late) for late in range(1000)))
    server.script = [page, page]

    with pytest.raises(TransientError, match="ends before the time asked from"):
        scripted.api.settlements("BTCUSDT", START, START + timedelta(days=1))


def test_a_full_page_that_reaches_the_end_is_the_last(scripted: FundingSource, server: ScriptedServer) -> None:
    end = START + timedelta(milliseconds=1000)
    server.script = [answer(*(settlement(0, fundingTime=1740787200000 + late) for late in range(1000)))]

    scripted.api.settlements("BTCUSDT", START, end)

    assert len(server.paths) == 1


def test_bounds_are_half_open(um: FundingSource) -> None:
    whole = um.api.settlements("BTCUSDT", START, START + timedelta(days=1)).rows["calc_time"]

    found = um.api.settlements("BTCUSDT", whole[0], whole[2]).rows

    assert found["calc_time"].to_list() == whole[:2].to_list()


@pytest.mark.parametrize(("market", "symbol"), [("um", "NOSUCHUSDT"), ("cm", "NOSUCHUSD_PERP")])
def test_an_unknown_symbol_gives_no_rows_and_says_so(
    exchange: EmbeddedExchange, funding_of: Connect, market: str, symbol: str
) -> None:
    found = funding_of(market, endpoints_of(exchange)).api.settlements(symbol, START, START + timedelta(days=1))

    assert (found.rows.height, found.http_status) == (0, 400)


def test_funding_does_not_cost_weight_and_klines_do_not_cost_funding(exchange: EmbeddedExchange) -> None:
    market = connect("um", endpoints_of(exchange))
    assert market.funding is not None

    for _ in range(3):
        market.funding.api.settlements("BTCUSDT", START, START + timedelta(days=1))
    market.api.close()

    assert market.api.host.budget.used == 0  # type: ignore[attr-defined]
    assert market.funding.api.lane.used == 3  # type: ignore[attr-defined]
    assert (market.funding.api.lane.limit, market.funding.api.lane.window) == (500, 300.0)  # type: ignore[attr-defined]


# ---- archives


def parsed(um: FundingSource, text: str) -> tuple[list[object], str | None]:
    assert um.archive is not None
    found = um.archive.parse("BTCUSDT", text.encode(), date(2025, 3, 1))
    return found.rows["funding_time"].to_list(), found.remark


@pytest.mark.parametrize("header", [HEADER, "", HEADER.replace("\n", "\r\n")])
def test_an_archive_may_have_its_header_or_not(um: FundingSource, header: str) -> None:
    assert parsed(um, f"{header}1740787200003,8,0.00010000\n") == ([START], None)


@pytest.mark.parametrize("text", ["", HEADER])
def test_an_archive_may_be_empty(um: FundingSource, text: str) -> None:
    assert parsed(um, text) == ([], None)


def test_rows_of_another_month_and_doubled_keys_are_left_out_and_said(um: FundingSource) -> None:
    lines = ["1740783600000,8,0.1", "1740787200000,8,0.1", "1740787200005,8,0.2", "1743465600000,8,0.1"]

    assert um.archive is not None
    text = (HEADER + "\n".join(lines)).encode()
    rejected = um.archive.parse("BTCUSDT", text, date(2025, 3, 1)).rejected
    assert rejected.select("source", "reason", "funding_rate").rows() == [
        ("vision", "outside_month", 0.1),
        ("vision", "outside_month", 0.1),
        ("vision", "duplicate", 0.1),
    ]
    times, remark = parsed(um, text.decode())

    assert times == [START]
    assert remark == "2 rows lie outside of the month and 1 rows repeat a key; they are left out."


def test_a_settlement_stamped_just_before_midnight_is_of_the_month_it_opens(um: FundingSource) -> None:
    assert parsed(um, f"{HEADER}1740787199998,8,0.1\n") == ([START], None)
    assert parsed(um, f"{HEADER}1743465599998,8,0.1\n")[0] == []


@pytest.mark.parametrize("hours", ["0", "-8", "24", "3", ""])
def test_an_interval_that_no_venue_uses_is_none(um: FundingSource, hours: str) -> None:
    assert um.archive is not None

    found = um.archive.parse("BTCUSDT", f"{HEADER}1740787200003,{hours},0.1\n".encode(), date(2025, 3, 1))

    assert found.rows["interval_hours"].to_list() == [None]


@pytest.mark.parametrize(
    "text",
    [
        "<html>busy</html>",
        f"{HEADER}1740787200003,8,NaN\n",
        f"{HEADER}1740787200003,8,\n",
        f"{HEADER}1740787200003,8,0.1,9\n",
        f"{HEADER}soon,8,0.1\n",
        f"{HEADER}-5,8,0.1\n",
        f"{HEADER}99999999999999999,8,0.1\n",
        "время,8,0.1\n",
    ],
)
def test_a_text_that_is_not_funding_is_corrupt(um: FundingSource, text: str) -> None:
    with pytest.raises(CorruptArchiveError, match="its text"):
        parsed(um, text)


@pytest.fixture
def real_archive(real_root: Path) -> Path:
    path = real_root / "futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-04.zip"
    if not path.is_file():
        pytest.skip("the real funding archive is not beside the project")
    return path


def test_the_real_archive_reads_as_it_was_published(um: FundingSource, real_archive: Path) -> None:
    assert um.archive is not None
    key = um.archive.key("BTCUSDT", date(2026, 4, 1))
    assert key.endswith("/".join(real_archive.parts[-6:]))

    found = um.archive.parse("BTCUSDT", um.archive.open(real_archive.read_bytes(), key), date(2026, 4, 1))

    rows = found.rows
    assert (rows.height, found.remark, rows["interval_hours"].unique().to_list()) == (90, None, [8])
    assert rows["funding_rate"].sum() == pytest.approx(-0.00177227, abs=1e-12)
    assert (rows["calc_time"] != rows["funding_time"]).sum() == 49
    assert rows["funding_time"].dt.hour().unique().sort().to_list() == [0, 8, 16]
    assert with_intervals(
        rows.with_columns(interval_hours=None).cast({"interval_hours": SETTLEMENT_SCHEMA["interval_hours"]})
    )["interval_hours"][1:].unique().to_list() == [8]


def test_the_real_answer_of_rest_is_understood(
    scripted: FundingSource, server: ScriptedServer, real_root: Path
) -> None:
    path = real_root / "rest/um/fundingRate/binance_funding_rate.json"
    if not path.is_file():
        pytest.skip("the real answer is not beside the project")
    server.script = [Answer(body=path.read_bytes())]

    rows = scripted.api.settlements("BTCUSDT", START, datetime(2026, 9, 1, tzinfo=UTC)).rows

    assert rows["funding_rate"].to_list() == [0.0001, 0.000125]
    assert rows["mark_price"].to_list() == [77221.90043478, 78309.0]
    assert (rows["calc_time"] - rows["funding_time"]).to_list() == [timedelta(milliseconds=1), timedelta()]


# ---- listing


@pytest.fixture
def cm(exchange: EmbeddedExchange, funding_of: Connect) -> FundingSource:
    """COIN-M funding of the embedded exchange."""
    return funding_of("cm", endpoints_of(exchange))


def test_a_symbol_that_lives_on_costs_one_listing_request(um: FundingSource, exchange: EmbeddedExchange) -> None:
    assert um.archive is not None

    survey = um.archive.survey(["BTCUSDT", "SOLUSDT"], [date(2025, 2, 1), date(2025, 3, 1)])

    assert exchange.requests()["listing"] == 2
    assert set(survey.published) == {("BTCUSDT", date(2025, 2, 1)), ("SOLUSDT", date(2025, 2, 1))}
    assert set(survey.lives.values()) == {()}


def test_while_the_last_months_archive_is_awaited_a_listing_request_is_enough(
    um: FundingSource, exchange: EmbeddedExchange
) -> None:
    exchange.set_clock(datetime(2025, 3, 1, 7, tzinfo=UTC))
    assert um.archive is not None

    um.archive.survey(["BTCUSDT", "SOLUSDT"], [date(2025, 3, 1)])

    assert exchange.requests()["listing"] == 2


def test_a_second_listing_request_tells_what_is_published_and_where_lives_end(
    um: FundingSource, exchange: EmbeddedExchange
) -> None:
    assert um.archive is not None
    months = [
        date(2021, 6, 1),
        date(2021, 7, 1),
        date(2021, 8, 1),
        date(2022, 11, 1),
        date(2022, 12, 1),
        date(2025, 3, 1),
    ]

    survey = um.archive.survey(["BTCUSDT", "RAYUSDT"], months)

    assert exchange.requests()["listing"] == 1 + 2
    assert survey.now == exchange.now()
    assert [month for symbol, month in sorted(survey.published) if symbol == "BTCUSDT"] == months[:-1]
    assert [survey.lives["RAYUSDT", month] for month in months] == [
        (Life.NOT_LISTED,),
        (Life.FIRST_DAY,),
        (Life.FIRST_DAY,),
        (Life.LAST_DAY,),
        (Life.DELISTED,),
        (Life.PERHAPS_DELISTED,),
    ]


def test_the_bellwether_is_asked_besides_where_it_is_not_among_the_symbols(
    cm: FundingSource, exchange: EmbeddedExchange
) -> None:
    assert cm.archive is not None

    survey = cm.archive.survey(["XMRUSD_PERP"], [date(2024, 3, 1)])

    assert exchange.requests()["listing"] == 2
    assert survey.lives["XMRUSD_PERP", date(2024, 3, 1)] == (Life.DELISTED,)


def test_an_archive_is_fetched_with_its_checksum(cm: FundingSource, tmp_path: Path) -> None:
    assert cm.archive is not None
    key = cm.archive.key("BTCUSD_PERP", date(2025, 2, 1))

    got = cm.archive.fetch(key, lambda: tmp_path / "x.zip")

    assert (got.state, got.sha256_published) == (ArchiveState.OK, got.sha256_actual)
    assert got.text is not None
    assert cm.archive.parse("BTCUSD_PERP", got.text, date(2025, 2, 1)).rows.height == 84
