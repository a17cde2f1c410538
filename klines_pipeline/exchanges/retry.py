"""When to ask again and when to stop: backoff with jitter, `Retry-After`, a breaker for a host that is down."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from klines_pipeline.domain.errors import BannedError, RateLimitedError, TransientError

LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits of 0.25, 0.5, 1, 2 and 4 s, each halved or kept by chance: some 6 s for a hiccup, no siege of an outage."""

    attempts: int = 6
    first_wait: float = 0.25
    longest_wait: float = 15.0
    rate_limit_waits: int = 20
    sleep: Callable[[float], None] = time.sleep

    def wait(self, attempt: int) -> float:
        """Seconds after failed attempt `attempt` (1 = first)."""
        full: float = min(self.first_wait * 2 ** (attempt - 1), self.longest_wait)
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing


BRIEF = RetryPolicy(attempts=2, first_wait=0.1, rate_limit_waits=0)
"""For those who look often: a hiccup is asked again, an outage or a 429 is told at once."""


@dataclass(slots=True)
class Breaker:
    """Counts requests to one host that failed for good in a row; past `limit` the host is taken to be down.

    While it is down one request each `probe_seconds` still goes out, so that a long run notices when it is back. While
    it has banned this address none does.
    """

    host: str
    limit: int = 10
    probe_seconds: float = 30.0
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    last: str = ""
    """What the last failure said."""
    closed_until: float = 0.0
    ban: BannedError | None = None
    lock: Lock = field(default_factory=Lock)

    def check(self) -> None:
        """Raise at once while the host is banned or down."""
        with self.lock:
            waiting = self.clock() < self.closed_until
            if self.ban is not None and waiting:
                raise self.ban.with_traceback(None)
            if self.failures >= self.limit and waiting:
                raise TransientError(
                    f"{self.host} failed {self.failures} requests in a row and is taken to be down; run again later. "
                    f"The last: {self.last}"
                )
            if self.failures >= self.limit:
                self.closed_until = self.clock() + self.probe_seconds
            self.ban = None

    def succeeded(self) -> None:
        """The host answers."""
        with self.lock:
            self.failures = 0

    def failed(self, error: TransientError) -> None:
        """A request failed for good."""
        with self.lock:
            self.failures += 1
            self.last = str(error)
            if isinstance(error, BannedError):
                self.ban, self.closed_until = error, self.clock() + error.seconds
            elif self.failures >= self.limit:
                self.closed_until = max(self.closed_until, self.clock() + self.probe_seconds)


def ask(call: Callable[[], Answer], policy: RetryPolicy, breaker: Breaker) -> tuple[Answer, int]:
    """Call until it answers; a TransientError that outlasts the policy carries its number of attempts."""
    attempt = limited = 0
    while True:
        breaker.check()
        attempt += 1
        try:
            answer = call()
        except RateLimitedError as error:
            limited += 1
            if limited > policy.rate_limit_waits:
                raise _final(error, attempt, breaker) from None
            LOG.info("%s Waiting.", error)
            policy.sleep(error.retry_after)
        except TransientError as error:
            if isinstance(error, BannedError) or attempt - limited >= policy.attempts:
                raise _final(error, attempt, breaker) from None
            LOG.debug("%s Attempt %d.", error, attempt)
            policy.sleep(policy.wait(attempt - limited))
        else:
            breaker.succeeded()
            return answer, attempt


def _final(error: TransientError, attempts: int, breaker: Breaker) -> TransientError:
    error.attempts = attempts
    breaker.failed(error)
    return error
