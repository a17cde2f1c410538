"""OKX's names of bars that open on UTC, by our intervals. Months and other steps of a search belong to `rest`."""

from collections.abc import Mapping

BARS: Mapping[str, str] = {
    "1m": "1m",
    "3m": "3m",
    "5m": "5m",
    "15m": "15m",
    "30m": "30m",
    "1h": "1H",
    "2h": "2H",
    "4h": "4H",
    "6h": "6Hutc",
    "12h": "12Hutc",
    "1d": "1Dutc",
}
"""The plain `6H`, `12H` and `1D` open on UTC+8.

Left out: `8h`, which OKX does not have, and `1s`, of which it keeps months at most and which it refused in 2025.
"""
