"""OKX REST by a script: which pages are asked, in which order, at which endpoint, and what becomes of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.interval import Interval
from klines_pipeline.domain.utc_day import from_milliseconds
from klines_pipeline.exchanges.okx.host import build_host
from klines_pipeline.exchanges.okx.markets import MARKETS
from klines_pipeline.exchanges.okx.rest import OkxRest
from klines_pipeline.exchanges.retry import RetryPolicy
from klines_pipeline_tests.exchanges.okx.bodies import START, candle, candles, envelope, minutes, server_time
from klines_pipeline_tests.exchanges.script import Answer, Clock, ScriptedServer

ONE_MINUTE = Interval.parse("1m")
SERVED = datetime(2025, 3, 4, 9, tzinfo=UTC)
"""The Date of every scripted answer."""
NOTHING = envelope()
UNKNOWN = envelope(code="51001", message="Instrument ID doesn't exist.")


@pytest.fixture
def api(server: ScriptedServer, clock: Clock) -> Iterator[OkxRest]:
    """Spot, its waits free."""
    made = OkxRest(MARKETS["spot"], build_host(server.url))
    made.host.policy = RetryPolicy(sleep=clock.sleep)
    for budget in (made.host.budget, made.candles.lane, made.history.lane):
        budget.clock, budget.sleep = clock, clock.sleep
    yield made
    made.close()


def asked(server: ScriptedServer) -> list[tuple[str, str, datetime | None, datetime]]:
    """Endpoint, bar, first open time that may come (None for any) and the end, exclusive, of each page."""
    pages = []
    for path in server.paths:
        url = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if "bar" in query:
            assert (query["instId"], query["limit"]) == ("BTC-USDT", "300")
            start = from_milliseconds(int(query["before"]) + 1) if "before" in query else None
            end = from_milliseconds(int(query["after"]))
            pages.append((url.path.removeprefix("/api/v5/market/"), query["bar"], start, end))
    return pages


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def test_a_window_is_one_page_between_exclusive_bounds(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [candles(minutes(10, 20))]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(10), at(20))

    assert server.paths == [
        "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&after=1740788400000&limit=300&before=1740787799999"
    ]
    assert answer.frame["open_time"].to_list() == minutes(10, 20)
    assert (answer.weight, answer.attempts, answer.http_status) == (1, 1, 200)
    assert answer.requested_at == answer.completed_at == SERVED


def test_a_server_that_gives_fewer_is_asked_on_from_the_oldest(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [candles(minutes(200, 300)), Answer(503), candles(minutes(100, 200)), candles(minutes(0, 100))]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert asked(server) == [("history-candles", "1m", at(0), at(end)) for end in (300, 200, 200, 100)]
    assert answer.frame["open_time"].to_list() == minutes(0, 300)
    assert (answer.weight, answer.attempts, answer.url) == (3, 4, server.url + server.paths[0])


def test_a_window_that_lacks_its_beginning_is_asked_until_a_page_is_empty(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [candles([*minutes(100, 150), *minutes(160, 300)]), NOTHING]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert answer.frame.height == 190
    assert asked(server)[1:] == [("history-candles", "1m", at(0), at(100))]
    assert answer.weight == 2


def test_a_window_before_the_horizon_has_no_rows_and_was_answered(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [NOTHING]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert (answer.frame.height, answer.http_status, answer.weight) == (0, 200, 1)


def test_a_window_longer_than_the_limit_gives_its_first_klines(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [candles(minutes(0, 300))]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(1440))

    assert asked(server) == [("history-candles", "1m", at(0), at(api.limit))]
    assert answer.frame.height == api.limit


def test_a_forming_candle_does_not_leave_and_ends_the_paging(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [envelope([candle(at(1), confirm="0"), candle(at(0))])]

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(2))

    assert answer.frame["open_time"].to_list() == [at(0)]
    assert api.requests == 1


def test_what_the_newest_bars_hold_is_asked_there(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [server_time(at(1380)), candles(minutes(0, 300))]
    api.now()

    api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert asked(server) == [("candles", "1m", at(0), at(300))]


def test_what_the_newest_bars_no_longer_hold_is_asked_of_the_history(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [server_time(at(1380)), candles(minutes(100, 300)), NOTHING, candles(minutes(0, 100))]
    api.now()

    answer = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert asked(server) == [
        ("candles", "1m", at(0), at(300)),
        ("candles", "1m", at(0), at(100)),
        ("history-candles", "1m", at(0), at(100)),
    ]
    assert answer.frame["open_time"].to_list() == minutes(0, 300)


def test_a_window_near_the_end_of_the_newest_bars_is_asked_of_the_history(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [server_time(at(1381)), candles(minutes(0, 300))]
    api.now()

    api.klines("BTC-USDT", ONE_MINUTE, at(0), at(300))

    assert asked(server) == [("history-candles", "1m", at(0), at(300))]


def test_an_answer_tells_the_time_for_the_next_question(api: OkxRest, server: ScriptedServer) -> None:
    start = SERVED - timedelta(minutes=30)
    server.script = [candles([start])]

    api.klines("BTC-USDT", ONE_MINUTE, start, start + ONE_MINUTE.duration)
    api.klines("BTC-USDT", ONE_MINUTE, start, start + ONE_MINUTE.duration)

    assert [page[0] for page in asked(server)] == ["history-candles", "candles"]


def test_an_unknown_instrument_has_no_rows_and_a_status_that_says_so(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [UNKNOWN]

    answer = api.klines("NO-SUCH", ONE_MINUTE, at(0), at(5))

    assert (answer.frame.height, answer.http_status) == (0, 400)
    assert answer.url == server.url + server.paths[0]
    assert answer.requested_at == answer.completed_at == datetime(2025, 3, 4, 9, tzinfo=UTC)  # the refusal's Date


def test_any_other_refusal_is_an_error(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [envelope(code="51000", message="Parameter bar error")]

    with pytest.raises(RejectedRequestError, match="Parameter bar error"):
        api.klines("BTC-USDT", ONE_MINUTE, at(0), at(5))
    with pytest.raises(RejectedRequestError, match="Parameter bar error"):
        api.first_open_time("BTC-USDT", ONE_MINUTE)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (envelope([["1", "2"]]), "are not candles"),
        (envelope([7]), "are not candles"),
        (candles([at(5)]), "were not asked for, from 2025-03-01 00:05:00"),
    ],
    ids=["columns", "no rows", "at the end"],
)
def test_rows_that_are_no_answer_to_the_question_are_an_error(
    api: OkxRest, server: ScriptedServer, body: Answer, sentence: str
) -> None:
    server.script = [body]

    with pytest.raises(TransientError, match=sentence):
        api.klines("BTC-USDT", ONE_MINUTE, at(0), at(5))


@pytest.mark.parametrize(("endpoint", "within"), [("candles", 36), ("history-candles", 18)])
def test_each_endpoint_of_candles_has_its_own_pace(
    api: OkxRest, server: ScriptedServer, clock: Clock, endpoint: str, within: int
) -> None:
    start = SERVED - timedelta(minutes=30)
    server.script = [candles([start])]

    def ask() -> None:
        api.heard = SERVED if endpoint == "candles" else None
        api.klines("BTC-USDT", ONE_MINUTE, start, start + ONE_MINUTE.duration)

    for _ in range(within):
        ask()
    before = list(clock.slept)
    ask()

    assert (before, clock.slept) == ([], [2.0])
    assert {page[0] for page in asked(server)} == {endpoint}


def test_the_first_candle_is_found_by_month_by_hours_and_by_the_interval(api: OkxRest, server: ScriptedServer) -> None:
    month, hours = START, START + timedelta(hours=8)
    found = hours + timedelta(minutes=7)
    server.script = [
        server_time(SERVED),
        envelope([candle(month, confirm="0")]),
        candles([hours, hours + timedelta(hours=4)]),
        candles([found, found + timedelta(minutes=1)]),
    ]

    assert api.first_open_time("BTC-USDT", ONE_MINUTE) == found
    assert asked(server) == [
        ("history-candles", "1Mutc", None, SERVED),
        ("history-candles", "4H", month, month + timedelta(days=31)),
        ("history-candles", "1m", hours, hours + timedelta(hours=4)),
    ]


def test_the_first_bar_of_a_long_interval_opens_before_its_first_candle(api: OkxRest, server: ScriptedServer) -> None:
    api.heard, hours = SERVED, START + timedelta(hours=8)
    server.script = [candles([START]), candles([hours]), candles([START + timedelta(hours=6)])]

    assert api.first_open_time("BTC-USDT", Interval.parse("6h")) == START + timedelta(hours=6)
    assert asked(server)[-1] == ("history-candles", "6Hutc", at(360), at(720))


def test_a_full_page_of_months_may_have_been_cut(api: OkxRest, server: ScriptedServer) -> None:
    api.heard = SERVED
    months = [datetime(2025 - count // 12, 12 - count % 12, 1, tzinfo=UTC) for count in range(10, 117)]
    server.script = [candles(months[:100]), candles(months[100:]), candles(months[-1:])]

    assert api.first_open_time("BTC-USDT", ONE_MINUTE) == months[-1]
    assert [page[1] for page in asked(server)] == ["1Mutc", "1Mutc", "4H", "1m"]
    assert asked(server)[1][-1] == months[99]


def test_where_the_interval_begins_later_than_coarser_bars_theirs_is_told(api: OkxRest, server: ScriptedServer) -> None:
    api.heard = SERVED
    server.script = [candles([START]), NOTHING]

    assert api.first_open_time("BTC-USDT", ONE_MINUTE) == START


@pytest.mark.parametrize("answer", [UNKNOWN, NOTHING], ids=["unknown", "no candles"])
def test_an_instrument_without_candles_has_no_first_one(api: OkxRest, server: ScriptedServer, answer: Answer) -> None:
    api.heard, server.script = SERVED, [answer]

    assert api.first_open_time("BTC-USDT", ONE_MINUTE) is None
    assert api.requests == 1


def test_instruments_are_those_of_the_market(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [envelope([{"instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "state": "live"}])]

    assert {name: facts.status for name, facts in api.symbols().items()} == {"BTC-USDT": "live"}
    assert server.paths == ["/api/v5/public/instruments?instType=SPOT"]


@pytest.mark.parametrize(
    "body", [[None], [{}], [7], [{"instId": "A-B", "state": "live", "listTime": "soon"}]], ids=repr
)
def test_what_are_no_instruments_is_an_error(api: OkxRest, server: ScriptedServer, body: list[object]) -> None:
    server.script = [envelope(body)]

    with pytest.raises(TransientError, match="answered without instruments"):
        api.symbols()


@pytest.mark.parametrize("body", [[], [{}], [{"ts": "noon"}], [{"ts": None}], [{"ts": "9" * 30}]], ids=repr)
def test_what_is_no_time_is_an_error(api: OkxRest, server: ScriptedServer, body: list[object]) -> None:
    server.script = [envelope(body)]

    with pytest.raises(TransientError, match="answered without a ts in milliseconds"):
        api.now()


def test_rows_are_in_the_tables_columns(api: OkxRest, server: ScriptedServer) -> None:
    server.script = [candles(minutes(0, 2))]

    frame = api.klines("BTC-USDT", ONE_MINUTE, at(0), at(2)).frame

    assert frame.select("close", "volume", "quote_volume").rows() == [(60_000.5, 300.0, 3.0), (60_001.5, 300.0, 3.0)]
    assert frame["trades"].dtype == pl.Int64
