"""Where everything of the lake lies, and that nothing ever lies outside of it."""

from datetime import date
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klines_pipeline.domain.errors import ConfigurationError
from klines_pipeline.storage import layout
from klines_pipeline.storage.layout import DayPaths
from klines_pipeline_tests.conftest import make_dataset

KEY = "data/spot/daily/klines/币安人生USDT/1m/币安人生USDT-1m-2025-03-01.zip"
FOLDERS = "exchange=binance/market=spot/interval=1m/date=2025-03-01"
TABLES = {
    "klines": "klines",
    "rest_klines": "rest_klines",
    "archives": "ledger/archives",
    "slices": "ledger/slices",
    "certificates": "ledger/certificates",
    "revisions": "ledger/revisions",
    "quarantine": "ledger/quarantine",
    "merges": "ledger/merges",
    "rejected": "ledger/rejected",
    "conflicts": "ledger/conflicts",
}


@pytest.mark.parametrize(("name", "folder"), TABLES.items())
def test_a_days_tables_lie_in_hive_folders(name: str, folder: str) -> None:
    paths = DayPaths.of(make_dataset("BTCUSDT"), date(2025, 3, 1))

    assert getattr(paths, name) == f"{folder}/{FOLDERS}/part.parquet"
    assert "/".join(f"{key}={value}" for key, value in paths.identity.items()) == FOLDERS


def test_archives_lie_under_the_exchanges_own_keys() -> None:
    assert layout.mirror(KEY) == f"vision/{KEY}"
    assert layout.mirror_checksum(KEY) == f"vision/{KEY}.CHECKSUM"
    assert layout.replaced(KEY, "0123456789abcdef") == f"vision/revisions/{KEY}@0123456789ab"
    assert layout.quarantined(KEY, "0123456789abcdef") == f"vision/quarantine/{KEY}@0123456789ab"


def test_what_is_not_data_has_names_that_readers_pass_over() -> None:
    paths = DayPaths.of(make_dataset("BTCUSDT"), date(2025, 3, 1))

    assert paths.lock.startswith(".")
    assert PurePosixPath(layout.INCOMING).name.startswith(".")


def place(key: str) -> list[str]:
    """Everywhere a key could lead."""
    return [
        layout.mirror(key),
        layout.mirror_checksum(key),
        layout.replaced(key, "0" * 64),
        layout.quarantined(key, "0" * 64),
    ]


@pytest.mark.parametrize(
    "key",
    [
        "..",
        "../x.zip",
        "data/../../x.zip",
        "/etc/passwd",
        "data//x.zip",
        "data/./x.zip",
        "data/x.zip/",
        "a\0b",
        "",
    ],
)
def test_a_key_that_would_leave_the_lake_is_refused(key: str) -> None:
    for lead in (layout.mirror, layout.mirror_checksum, lambda known: layout.replaced(known, "0" * 64)):
        with pytest.raises(ConfigurationError, match="would lie outside of the lake"):
            lead(key)


@given(
    st.lists(st.sampled_from(["..", ".", "", "data", "币", "a b", "x.zip", "\0"]), min_size=2, max_size=6).map("/".join)
)
def test_an_accepted_key_stays_under_vision(key: str) -> None:
    try:
        places = place(key)
    except ConfigurationError:
        return
    for path in places:
        assert PurePosixPath(path).parts[0] == "vision"
        assert ".." not in PurePosixPath(path).parts
        assert str(PurePosixPath(path)) == path


@pytest.mark.parametrize(
    ("folder", "day"),
    [
        ("date=2024-02-29", date(2024, 2, 29)),
        ("klines/interval=1m/date=2024-02-29/", date(2024, 2, 29)),
        ("date=2024-02-30", None),
        ("date=", None),
        ("month=2024-02", None),
        ("2024-02-29", None),
        (".date=2024-02-29", None),
    ],
)
def test_only_a_date_folder_is_a_day(folder: str, day: date | None) -> None:
    assert layout.day_of(folder) == day
