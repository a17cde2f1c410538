"""Binance's monthly funding archives: their texts, embedded and real, and what the bucket lists of them."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from klines_pipeline.domain.errors import CorruptArchiveError
from klines_pipeline.domain.states import ArchiveState, Life
from klines_pipeline.exchanges.funding import FundingSource
from klines_pipeline.funding.schema import SETTLEMENT_SCHEMA, with_intervals
from klines_pipeline.simulator.server import EmbeddedExchange
from klines_pipeline_tests.exchanges.binance.conftest import START

HEADER = "calc_time,funding_interval_hours,last_funding_rate\n"


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
