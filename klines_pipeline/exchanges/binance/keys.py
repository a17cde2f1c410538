"""How keys of the bucket are spelled."""

from klines_pipeline.domain.interval import Interval

CHECKSUM = ".CHECKSUM"


def symbols_folder(directory: str) -> str:
    """The prefix under which each symbol of a market has its folder."""
    return f"data/{directory}/daily/klines/"


def archive_stem(directory: str, symbol: str, interval: Interval) -> str:
    """An archive's key up to its day; the part before the last slash is the symbol's folder."""
    return f"{symbols_folder(directory)}{symbol}/{interval}/{symbol}-{interval}-"


def folder_of(stem: str) -> str:
    """The prefix under which all days of a symbol and interval lie."""
    return stem.rpartition("/")[0] + "/"
