"""Binance's funding rates from REST: settlements over a window, both bounds inclusive, oldest first, 1,000 a page.

Requests for funding have a limit of their own, 500 in five minutes for each address, and count nowhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from klines_pipeline.domain.errors import RejectedRequestError, TransientError
from klines_pipeline.domain.utc_day import to_milliseconds
from klines_pipeline.exchanges.binance.rest import NOT_TRADING, BinanceRest
from klines_pipeline.exchanges.budget import WeightBudget
from klines_pipeline.exchanges.funding import FundingAnswer
from klines_pipeline.exchanges.rest_host import JsonAnswer
from klines_pipeline.funding.schema import REST, SETTLEMENT_SCHEMA, UTC_TIME, WIRE_SCHEMA
from klines_pipeline.funding.sieve import sieve

_LIMIT = 1000
_SENT = {"symbol": pl.String, "fundingTime": pl.Int64, "fundingRate": pl.String, "markPrice": pl.String}
_OLDEST = 1
"""ms: startTime=0 would give the latest settlement instead of the first."""
_DELIVERY = re.compile(r"_[0-9]{6}$")


def is_perpetual(symbol: str) -> bool:
    """Whether a contract may have funding: one that is delivered on a date (`BTCUSDT_250328`) has none."""
    return _DELIVERY.search(symbol) is None


@dataclass(slots=True)
class BinanceFunding:
    """One market's funding at REST."""

    rest: BinanceRest
    lane: WeightBudget = field(default_factory=lambda: WeightBudget(500, window=300.0))

    @property
    def requests(self) -> int:
        """Requests sent to the host so far, retries included."""
        return self.rest.requests

    def now(self) -> datetime:
        """Server time, to the millisecond."""
        return self.rest.now()

    def settlements(self, symbol: str, start: datetime, end: datetime) -> FundingAnswer:
        """All pages of `[start, end)`; a symbol that is not traded here gives no rows."""
        since, until = max(to_milliseconds(start), _OLDEST), to_milliseconds(end) - 1
        pages, attempts = list[pl.DataFrame](), 0
        while True:
            params: dict[str, str | int] = {"symbol": symbol, "startTime": since, "endTime": until}
            try:
                answer = self._page(params)
            except RejectedRequestError as error:
                if error.code not in NOT_TRADING:
                    raise
                url = str(error).partition(" ")[0]
                return FundingAnswer(SETTLEMENT_SCHEMA.to_frame(), url, 1, error.http_status, self.now())
            pages.append(_rows(symbol, answer))
            attempts += answer.attempts
            if pages[-1].height < _LIMIT:
                break
            newest = int(pages[-1]["calc_time"].dt.epoch("ms").max())  # type: ignore[arg-type]
            if newest < since:
                raise TransientError(f"{answer.url} answered a full page that ends before the time asked from.")
            since = newest + 1
            if since > until:
                break
        served = answer.completed_at or self.now()
        rows, rejected, _ = sieve(pl.concat(pages), REST)
        return FundingAnswer(rows, answer.url, attempts, answer.http_status, served, rejected)

    def _page(self, params: Mapping[str, str | int]) -> JsonAnswer:
        return self.rest.host.get(
            f"{self.rest.market.rest_prefix}/fundingRate", {**params, "limit": _LIMIT}, weight=1, lane=self.lane
        )


def _rows(symbol: str, answer: JsonAnswer) -> pl.DataFrame:
    """REST's objects to WIRE_SCHEMA. An empty mark price is one not given; the interval is not told."""
    trouble = f"{answer.url} answered something that is not a list of {symbol}'s funding rates"
    if not isinstance(answer.body, list):
        raise TransientError(f"{trouble}.")
    try:
        frame = _parse(answer.body)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise TransientError(f"{trouble} ({error}).") from None
    sound = (pl.col("symbol") == symbol) & pl.col("funding_rate").is_finite() & (pl.col("calc_time").dt.epoch() > 0)
    if not frame.select(sound.fill_null(value=False).all()).item():
        raise TransientError(f"{trouble}.")
    return frame


def _parse(objects: list[Any]) -> pl.DataFrame:
    sent = pl.DataFrame({name: [found.get(name) for found in objects] for name in _SENT}, schema=_SENT)
    price = pl.col("markPrice").replace("", None).cast(pl.Float64)
    return sent.select(
        "symbol",
        (pl.col("fundingTime") * 1000).cast(UTC_TIME).alias("calc_time"),
        pl.lit(None, pl.Int16).alias("interval_hours"),
        pl.col("fundingRate").cast(pl.Float64).alias("funding_rate"),
        pl.when(price.is_finite()).then(price).alias("mark_price"),
    ).select(WIRE_SCHEMA.names())
