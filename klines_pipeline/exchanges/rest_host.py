"""A REST host: one httpx client, its weight budget, and HTTP answers turned into values or named errors.

Here ends what is the same for every exchange; error codes inside a body are that exchange's own. httpx is imported
here and in `webhook`, so its successor is two lines away.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from klines_pipeline.domain.errors import (
    BannedError,
    BlockedError,
    RateLimitedError,
    RejectedRequestError,
    TransientError,
)
from klines_pipeline.domain.states import BLOCKED_STATUS
from klines_pipeline.exchanges.budget import Budget
from klines_pipeline.exchanges.http_date import parse_http_date
from klines_pipeline.exchanges.retry import Breaker, RetryPolicy, ask

LOG = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO

_SERVER_ERROR = 500
_DEFAULT_RETRY_AFTER = 60.0
_LONGEST_BAN = 3 * 86_400.0
_LONGEST_SILENCE = 300.0


class JsonAnswer(NamedTuple):
    """A parsed body and what asking for it took."""

    body: Any
    url: str
    attempts: int
    http_status: int
    completed_at: datetime | None


@dataclass(slots=True)
class RestHost:
    """Asks one host, politely: within its weight, silent when told so, never past a ban."""

    url: str
    budget: Budget
    weight_header: str | None
    """Header in which the host says what it counted; None for a host that says nothing."""
    check_body: Callable[[int, Any, str], None]
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    default_silence: float = _DEFAULT_RETRY_AFTER
    """Seconds to wait after a 429 that names none."""
    breaker: Breaker = field(init=False)
    client: httpx.Client = field(init=False)
    blocked: BlockedError | None = None
    requests: int = 0
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.breaker = Breaker(urlsplit(self.url).netloc)
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        self.client = httpx.Client(timeout=httpx.Timeout(20.0, connect=10.0), limits=limits)

    def get(self, path: str, params: Mapping[str, str | int], weight: int, *, lane: Budget | None = None) -> JsonAnswer:
        """GET and parse JSON. BlockedError and BannedError end all further asking of this host.

        A `lane` is the budget of an endpoint that the host counts apart from all others.
        """
        if self.blocked is not None:
            raise self.blocked.with_traceback(None)
        try:
            (body, response), attempts = ask(lambda: self._once(path, params, weight, lane), self.policy, self.breaker)
        except BlockedError as error:
            if self.blocked is None:
                LOG.warning("%s", error)
            self.blocked = error
            raise
        served_at = parse_http_date(response.headers.get("date"))
        return JsonAnswer(body, str(response.url), attempts, response.status_code, served_at)

    def _once(
        self, path: str, params: Mapping[str, str | int], weight: int, lane: Budget | None
    ) -> tuple[Any, httpx.Response]:
        budget = lane or self.budget
        budget.take(weight)
        seen: str | None = None
        try:
            with self.lock:
                self.requests += 1
            response = self.client.get(self.url + path, params=dict(params))
            seen = response.headers.get(self.weight_header) if self.weight_header and lane is None else None
        except httpx.HTTPError as error:
            raise TransientError(f"{self.url}{path}: {error or type(error).__name__}.") from None
        finally:
            budget.settle(weight, int(seen) if seen and seen.isascii() and seen.isdigit() else None)
        return self._read(response, budget), response

    def _read(self, response: httpx.Response, budget: Budget) -> Any:
        status, url = response.status_code, str(response.url)
        self._refuse(response, budget)
        try:
            body = response.json()
        except (ValueError, RecursionError):
            text = f"{url} answered HTTP {status} with something that is not JSON."
            raise TransientError(text, http_status=status) from None
        try:
            self.check_body(status, body, url)
        except RateLimitedError as error:
            budget.close(error.retry_after)
            raise
        except RejectedRequestError as error:
            error.served_at = parse_http_date(response.headers.get("date"))
            raise
        return body

    def _refuse(self, response: httpx.Response, budget: Budget) -> None:
        """Raise what the status alone decides."""
        status, host = response.status_code, urlsplit(self.url).netloc
        if status == httpx.codes.TOO_MANY_REQUESTS:
            wait = _retry_after(response, self.default_silence)
            if wait > _LONGEST_SILENCE:
                text = f"{host} asks for {wait:.0f} s of silence (HTTP 429); run again after it."
                raise TransientError(text, http_status=status)
            budget.close(wait)
            raise RateLimitedError(f"{host} asks for {wait:.0f} s of silence (HTTP 429).", retry_after=wait)
        if status == httpx.codes.IM_A_TEAPOT:
            seconds = _retry_after(response, _DEFAULT_RETRY_AFTER)
            until = (parse_http_date(response.headers.get("date")) or datetime.now(UTC)) + timedelta(seconds=seconds)
            text = f"{host} has banned this address until {until:%Y-%m-%d %H:%M:%S} UTC; nothing more is asked of it."
            raise BannedError(text, until=until, seconds=seconds)
        if status in BLOCKED_STATUS:
            raise BlockedError(
                f"{host} does not serve this address (HTTP {status}); what archives there are still arrives. Run from "
                "another region, or point the REST URL at a host that serves you.",
                http_status=status,
                served_at=parse_http_date(response.headers.get("date")),
            )
        if status >= _SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
            raise TransientError(f"{response.url} answered HTTP {status}.", http_status=status)


def _retry_after(response: httpx.Response, default: float) -> float:
    """Seconds to wait, `default` for what is no plain number; nothing counts as more than three days (a full ban)."""
    text = response.headers.get("retry-after", "")
    is_number = text.isascii() and text.replace(".", "", 1).isdigit()
    return min(float(text), _LONGEST_BAN) if is_number else default
