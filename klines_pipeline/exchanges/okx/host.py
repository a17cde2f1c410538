"""OKX as a host: the envelope around every answer, its error codes, its pace. Endpoints are elsewhere."""

from typing import Any

from klines_pipeline.domain.errors import RateLimitedError, RejectedRequestError, TransientError
from klines_pipeline.exchanges.budget import Pace
from klines_pipeline.exchanges.rest_host import RestHost
from klines_pipeline.exchanges.silence import Silence

WINDOW = 2.0
"""Seconds in which OKX counts requests, each endpoint by itself."""
_REQUESTS_ELSEWHERE = 10  # of endpoints whose limit is not documented; half of the strictest of candles
_SILENCE = 2.0  # s after a refusal, which names no time: the window is over then
_FINE = "0"
_TOO_MANY = "50011"
_PASSING = frozenset({"50001", "50004", "50005", "50013", "50026"})  # upgrading, time-out, offline, busy, system error
_HTTP_OK = 200


def build_host(url: str, state: str | None = None) -> RestHost:
    """OKX at `url`, not asked yet; endpoints with a limit of their own bring a lane."""
    budget = Pace(_REQUESTS_ELSEWHERE, window=WINDOW)
    return RestHost(url, budget, None, check_body, default_silence=_SILENCE, silence=Silence(url, state))


def check_body(status: int, body: Any, url: str) -> None:
    """Raise what the envelope says: `{"code": "51001", "msg": "...", "data": []}`, often with HTTP 200.

    RateLimitedError and TransientError are worth asking again; RejectedRequestError, with the code as a number, is not.
    """
    code = body.get("code") if isinstance(body, dict) else None
    if not isinstance(code, str) or not (code.isascii() and code.isdigit()):
        raise TransientError(f"{url} answered HTTP {status} without OKX's envelope.", http_status=status)
    message = f"{url} answered {code}: {body.get('msg')}"
    if code == _TOO_MANY:
        raise RateLimitedError(message, retry_after=_SILENCE)
    if code in _PASSING:
        raise TransientError(message, http_status=status)
    if code != _FINE:
        raise RejectedRequestError(message, code=int(code), http_status=status)
    if status != _HTTP_OK or not isinstance(body.get("data"), list):
        raise TransientError(f"{url} answered HTTP {status} and success without data.", http_status=status)
