"""Request weight per address and minute: 429 above the limit, 418 for those who go on.

Time is the clock's `limit_seconds`; what a request weighs stands in `markets`.
"""

import math
import threading
from dataclasses import dataclass

from klines_pipeline.simulator.clock import SimulatedClock

_FIRST_BAN = 120.0
_LONGEST_BAN = 3 * 86_400.0
_PATIENCE = 10
"""Requests over the limit that are answered 429 before the ban."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The verdict on one request: 200, 429 or 418; waiting times in seconds."""

    status: int
    used: int
    retry_after: int = 0
    """Real seconds, whole."""
    simulated_wait: float = 0.0


class WeightLimit:
    """The counter of one market's interface, or of its funding requests. All clients of a loopback server are one."""

    def __init__(self, clock: SimulatedClock, *, weight_limit: int, window_seconds: float = 60.0) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self.weight_limit = weight_limit
        self.window_seconds = window_seconds
        self.ban_seconds = _FIRST_BAN
        self._used = self._refused = self._bans = 0
        self._window_end = self._banned_until = 0.0

    def configure(
        self, *, weight_limit: int | None = None, window_seconds: float | None = None, ban_seconds: float | None = None
    ) -> None:
        """Change the limit, its window, or the first ban's length (seconds); counters and bans are forgotten."""
        given = {"weight_limit": weight_limit, "window_seconds": window_seconds, "ban_seconds": ban_seconds}
        for name, value in given.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value}.")
        with self._lock:
            self.weight_limit = weight_limit or self.weight_limit
            self.window_seconds = window_seconds or self.window_seconds
            self.ban_seconds = ban_seconds or self.ban_seconds
            self._forget()

    def charge(self, weight: int) -> Charge:
        """Count one request and judge it."""
        with self._lock:
            now = self._clock.limit_seconds()
            if now < self._banned_until:
                return self._refusal(418, self._banned_until - now)
            self._enter_window(now)
            self._used += weight
            if self._used <= self.weight_limit:
                return Charge(200, self._used)
            self._refused += 1
            if self._refused <= _PATIENCE:
                return self._refusal(429, self._window_end - now)
            self._bans += 1
            self._banned_until = now + min(self.ban_seconds * 2 ** (self._bans - 1), _LONGEST_BAN)
            return self._refusal(418, self._banned_until - now)

    def _enter_window(self, now: float) -> None:
        if now >= self._window_end:
            self._window_end = now + self.window_seconds
            self._used = self._refused = 0

    def _refusal(self, status: int, wait: float) -> Charge:
        return Charge(status, self._used, max(1, math.ceil(wait / self._clock.limit_rate)), wait)

    def _forget(self) -> None:
        self._used = self._refused = self._bans = 0
        self._window_end = self._banned_until = 0.0
