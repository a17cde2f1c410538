"""Funding of OKX's swaps: settlements on their grid, the rate that was predicted and the one that was charged.

REST forgets settlements after three months; what is older is only in archives, which are not served here.
"""

from datetime import datetime, timedelta

from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.simulator.hashing import uniform
from klines_pipeline.simulator.okx_instruments import Instrument

KEPT = timedelta(days=93)
"""Three months: on 2026-09-30 the oldest settlement was that of 2026-06-29 08:00."""
_HOUR = 3_600_000
"""ms."""
_SMALLEST, _RANGE = 10**11, 9 * 10**11
"""Rates have twelve significant digits from the fifth decimal on: 1e-5 to 1e-4."""
_TAIL, _FIFTH = 10**8, 10**7
"""What follows the fourth significant digit, and the place of the fifth."""
_NEGATIVE_SHARE = 0.3


def funding_rows(
    instrument: Instrument, *, seed: int, after: int | None, before: int | None, rows: int, now: datetime
) -> list[dict[str, str]]:
    """The newest `rows` settlements strictly earlier than `after` and later than `before` (ms), newest first."""
    step = instrument.funding_hours * _HOUR
    life = instrument.life
    newest = to_milliseconds(min(now, life.end or now))
    if after is not None:
        newest = min(newest, after - 1)
    oldest = to_milliseconds(max(now - KEPT, life.start + timedelta(milliseconds=1)))
    if before is not None:
        oldest = max(oldest, before + 1)
    times = range(newest // step * step, oldest - 1, -step)
    return [_row(instrument, seed, time) for time in times[:rows]]


def _row(instrument: Instrument, seed: int, time: int) -> dict[str, str]:
    predicted, charged = _rates(seed, instrument.name, time)
    return {
        "instType": instrument.type,
        "instId": instrument.name,
        "formulaType": "withRate",
        "fundingTime": str(time),
        "fundingRate": predicted,
        "realizedRate": charged,
        "method": "current_period",
    }


def _rates(seed: int, name: str, time: int) -> tuple[str, str]:
    """Predicted and charged: four significant digits in common, the fifth never."""
    charged = _SMALLEST + int(_RANGE * uniform(seed, "funding", name, time))
    lead, tail = divmod(charged, _TAIL)
    shift = 1 + int(9 * uniform(seed, "predicted", name, time))
    fifth = (tail // _FIFTH + shift) % 10
    rest = int(_FIFTH * uniform(seed, "predicted rest", name, time))
    sign = "-" if uniform(seed, "sign", name, time) < _NEGATIVE_SHARE else ""
    return f"{sign}0.{lead * _TAIL + fifth * _FIFTH + rest:016d}", f"{sign}0.{charged:016d}"
