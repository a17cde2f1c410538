"""OKX's funding rates from REST: newest first, both bounds exclusive, three months back and no further.

`realizedRate` is what was charged; `fundingRate` was only predicted and is not kept. There are no archives here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.funding import FundingAnswer
from klines_pipeline.exchanges.rest_host import JsonAnswer, RestHost
from klines_pipeline.funding.schema import REST, SETTLEMENT_SCHEMA, UTC_TIME, WIRE_SCHEMA
from klines_pipeline.funding.sieve import sieve

_PATH = "/api/v5/public/funding-rate-history"
_LIMIT = 100
"""Older deployments give no more; today's would give 400."""
_UNKNOWN_INSTRUMENT = 51001
_NAMED_NOTHING = 400
"""Reported for an unknown instrument, which OKX answers with HTTP 200."""
_SENT = {"instId": pl.String, "fundingTime": pl.Int64, "realizedRate": pl.Float64}


@dataclass(slots=True)
class OkxFunding:
    """Funding of the swaps. The lane is kept for all instruments together, though OKX counts each by itself."""

    host: RestHost
    clock: Callable[[], datetime]
    """The server's time, UTC."""
    lane: WeightBudget = field(default_factory=lambda: WeightBudget(10, window=2.0))

    @property
    def requests(self) -> int:
        """Requests sent to the host so far, retries included."""
        return self.host.requests

    def now(self) -> datetime:
        """The server's time, to the millisecond."""
        return self.clock()

    def settlements(self, symbol: str, start: datetime, end: datetime) -> FundingAnswer:
        """All pages of `[start, end)`, backwards; none for an unknown instrument, with HTTP status 400."""
        before, after = to_milliseconds(start) - 1, to_milliseconds(end)
        pages, attempts = [WIRE_SCHEMA.to_frame()], 0
        while True:
            params: dict[str, str | int] = {"instId": symbol, "before": before, "after": after, "limit": _LIMIT}
            try:
                answer = self.host.get(_PATH, params, weight=1, lane=self.lane)
            except RejectedRequestError as error:
                if error.code != _UNKNOWN_INSTRUMENT:
                    raise
                url = str(error).partition(" ")[0]
                return FundingAnswer(SETTLEMENT_SCHEMA.to_frame(), url, 1, _NAMED_NOTHING, self.now())
            page = _rows(symbol, answer)
            pages.append(page)
            attempts += answer.attempts
            if page.height < _LIMIT:
                break
            oldest = int(page["calc_time"].dt.epoch("ms").min())  # type: ignore[arg-type]
            if oldest >= after:
                raise TransientError(f"{answer.url} answered a full page that begins after the time asked to.")
            after = oldest
            if after <= before + 1:
                break
        inside = pl.concat(pages).filter(pl.col("calc_time").is_between(start, end, closed="left"))
        rows, rejected, _ = sieve(inside, REST)
        served = answer.completed_at or self.now()
        return FundingAnswer(rows, answer.url, attempts, answer.http_status, served, rejected)


def _rows(symbol: str, answer: JsonAnswer) -> pl.DataFrame:
    """One page in WIRE_SCHEMA; TransientError where it is not the instrument's settlements."""
    try:
        frame = _parse(answer.body["data"])
    except (pl.exceptions.PolarsError, LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise TransientError(f"{answer.url} answered something that is not funding rates ({error}).") from None
    sound = (pl.col("symbol") == symbol) & pl.col("funding_rate").is_finite() & (pl.col("calc_time").dt.epoch() > 0)
    if not frame.select(sound.fill_null(value=False).all()).item():
        raise TransientError(f"{answer.url} answered rows that are not settlements of {symbol}.")
    return frame


def _parse(objects: list[Any]) -> pl.DataFrame:
    texts = {name: [None if found.get(name) is None else str(found[name]) for found in objects] for name in _SENT}
    sent = pl.DataFrame(texts, schema=dict.fromkeys(_SENT, pl.String)).cast(_SENT)  # type: ignore[arg-type]
    return sent.select(
        pl.col("instId").alias("symbol"),
        (pl.col("fundingTime") * 1000).cast(UTC_TIME).alias("calc_time"),
        pl.lit(None, pl.Int16).alias("interval_hours"),
        pl.col("realizedRate").alias("funding_rate"),
        pl.lit(None, pl.Float64).alias("mark_price"),
    ).select(WIRE_SCHEMA.names())
