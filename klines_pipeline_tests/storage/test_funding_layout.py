"""Where funding lies: folders by exchange, market and day; days of a month share a lock as they share an archive."""

from datetime import date

from klines_pipeline.storage.funding_layout import FundingPaths

FOLDER = "exchange=binance/market=um/date=2025-03-02/part.parquet"


def test_every_table_lies_under_its_day() -> None:
    paths = FundingPaths("binance", "um", date(2025, 3, 2))

    assert paths.funding == f"funding/{FOLDER}"
    assert paths.rest_funding == f"rest_funding/{FOLDER}"
    ledgers = [paths.archives, paths.slices, paths.certificates, paths.conflicts, paths.rejected, paths.merges]
    names = [f"funding_{name}" for name in ("archives", "slices", "certificates", "conflicts", "rejected", "merges")]
    assert ledgers == [f"ledger/{name}/{FOLDER}" for name in names]
    assert paths.identity == {"exchange": "binance", "market": "um", "date": "2025-03-02"}


def test_a_month_has_one_ledger_of_revisions() -> None:
    ledgers = {FundingPaths("binance", "um", date(2025, 3, day)).revisions for day in (1, 2, 31)}

    assert ledgers == {"ledger/funding_revisions/exchange=binance/market=um/date=2025-03-01/part.parquet"}
    held = {FundingPaths("binance", "um", date(2025, 3, day)).quarantine for day in (1, 31)}
    assert held == {"ledger/funding_quarantine/exchange=binance/market=um/date=2025-03-01/part.parquet"}


def test_days_of_a_month_share_a_lock_and_months_do_not() -> None:
    locks = {FundingPaths("binance", "um", date(2025, 3, day)).lock for day in (1, 31)}

    assert locks == {".locks/binance-um-funding-2025-03.lock"}
    assert FundingPaths("binance", "um", date(2025, 4, 1)).lock not in locks
