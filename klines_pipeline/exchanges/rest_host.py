"""A REST host: one httpx client, its weight budget, and HTTP answers turned into values or named errors.

Here ends what is the same for every exchange; error codes inside a body are that exchange's own. httpx is imported
here and in `webhook`, so its successor is two lines away.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
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
from klines_pipeline.exchanges.silence import LONGEST_BAN, Silence

LOG = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO

_SERVER_ERROR = 500
_DEFAULT_RETRY_AFTER = 60.0
_LONGEST_SILENCE = 300.0


class JsonAnswer(NamedTuple):
    """A parsed body and what asking for it took."""

    body: Any
    url: str
    attempts: int
    http_status: int
    completed_at: datetime | None


@cache
def _trust() -> ssl.SSLContext:
    """The certificates, read once a process: 40 ms and more, and a sensor connects at each tick."""
    return httpx.create_ssl_context()


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
    silence: Silence = field(default_factory=Silence)
    """What other processes of this machine were told; by default nobody tells."""
    breaker: Breaker = field(init=False)
    client: httpx.Client = field(init=False)
    blocked: BlockedError | None = None
    requests: int = 0
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.breaker = Breaker(urlsplit(self.url).netloc)
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=32)
        self.client = httpx.Client(verify=_trust(), timeout=httpx.Timeout(20.0, connect=10.0), limits=limits)

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
        budget, endpoint = lane or self.budget, path if lane else None
        self._admit(weight, budget, endpoint)
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
        try:
            return self._read(response), response
        except (RateLimitedError, BannedError) as error:
            if isinstance(error, RateLimitedError):
                budget.close(error.retry_after)
            self.silence.keep(endpoint, error)
            raise

    def _admit(self, weight: int, budget: Budget, endpoint: str | None) -> None:
        """Wait until `weight` fits and no process of this machine was told to be silent; BannedError during a ban.

        Who does not wait for a 429 does not wait for another process' silence either: RateLimitedError.
        """
        while True:
            budget.take(weight)
            try:
                wait = self.silence.seconds(endpoint)
            except BannedError:
                budget.settle(weight, None)
                raise
            if wait <= 0:
                return
            budget.settle(weight, None)
            if self.policy.rate_limit_waits == 0:
                host = urlsplit(self.url).netloc
                raise RateLimitedError(f"{host} asks for {wait:.0f} s of silence (HTTP 429).", retry_after=wait)
            budget.close(wait)

    def _read(self, response: httpx.Response) -> Any:
        status, url = response.status_code, str(response.url)
        self._refuse(response)
        try:
            body = response.json()
        except (ValueError, RecursionError):
            text = f"{url} answered HTTP {status} with something that is not JSON."
            raise TransientError(text, http_status=status) from None
        try:
            self.check_body(status, body, url)
        except RejectedRequestError as error:
            error.served_at = parse_http_date(response.headers.get("date"))
            raise
        return body

    def _refuse(self, response: httpx.Response) -> None:
        """Raise what the status alone decides."""
        status, host = response.status_code, urlsplit(self.url).netloc
        if status == httpx.codes.TOO_MANY_REQUESTS:
            wait = _retry_after(response, self.default_silence)
            if wait > _LONGEST_SILENCE:
                until = _clock_of(response) + timedelta(seconds=wait)
                text = f"{host} asks for silence until {until:%Y-%m-%d %H:%M:%S} UTC (HTTP 429); run again after it."
                raise BannedError(text, until=until, seconds=wait, http_status=status)
            raise RateLimitedError(f"{host} asks for {wait:.0f} s of silence (HTTP 429).", retry_after=wait)
        if status == httpx.codes.IM_A_TEAPOT:
            seconds = _retry_after(response, _DEFAULT_RETRY_AFTER)
            until = _clock_of(response) + timedelta(seconds=seconds)
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


def _clock_of(response: httpx.Response) -> datetime:
    """The host's time; this machine's where it tells none."""
    return parse_http_date(response.headers.get("date")) or datetime.now(UTC)


def _retry_after(response: httpx.Response, default: float) -> float:
    """Seconds to wait, `default` for what is no plain number; nothing counts as more than three days (a full ban)."""
    text = response.headers.get("retry-after", "")
    is_number = text.isascii() and text.replace(".", "", 1).isdigit()
    return min(float(text), LONGEST_BAN) if is_number else default
