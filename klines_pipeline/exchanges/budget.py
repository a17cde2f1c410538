"""One host's request weight, shared by every thread that talks to it and corrected by what the host says it counted."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol


class Budget(Protocol):
    """What a request has to fit into."""

    def take(self, weight: int) -> None:
        """Wait until `weight` fits, then count it."""

    def settle(self, weight: int, seen: int | None) -> None:
        """A request ended; `seen` is the weight the host says it has counted, where it says so."""

    def close(self, seconds: float) -> None:
        """The host asked for silence: nobody asks for `seconds`."""


@dataclass(slots=True)
class Pace:
    """At most `limit` requests within any `window` seconds: for hosts that count so and say nothing of it.

    The host counts a request when it arrives, some time between its sending and its answer. So a request stays in the
    window until `window` seconds after its answer, and no slow road there can press two windows into one.
    """

    limit: int
    window: float
    share: float = 0.9
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    in_flight: int = 0
    answered: deque[float] = field(default_factory=deque)
    closed_until: float = field(default=-1e9)
    lock: Lock = field(default_factory=Lock)

    def take(self, weight: int) -> None:
        """Wait until `weight` requests fit into the window; each needs its `settle`."""
        while (wait := self._try(weight)) > 0:
            self.sleep(wait)

    def _try(self, weight: int) -> float:
        with self.lock:
            now = self.clock()
            if now < self.closed_until:
                return self.closed_until - now
            answered = self.answered
            while answered and answered[0] + self.window <= now:  # the same sum as below: rounding lets nobody pass
                answered.popleft()
            counted = len(answered) + self.in_flight
            if counted and counted + weight > self.limit * self.share:
                return answered[0] + self.window - now if answered else self.window / 100
            self.in_flight += weight
            return 0.0

    def settle(self, weight: int, seen: int | None) -> None:
        """A request was answered, or will never be."""
        with self.lock:
            self.in_flight -= weight
            self.answered.extend([self.clock()] * weight)

    def close(self, seconds: float) -> None:
        """Nobody asks for `seconds`."""
        with self.lock:
            self.closed_until = max(self.closed_until, self.clock() + seconds)


@dataclass(slots=True)
class WeightBudget:
    """Keeps the weight of a minute under `share` of the host's limit; other programs on this address count too."""

    limit: int
    share: float = 0.9
    window: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    used: int = 0
    in_flight: int = 0
    window_started: float = field(default=-1e9)
    closed_until: float = field(default=-1e9)
    last_seen: int = 0
    lock: Lock = field(default_factory=Lock)

    def take(self, weight: int) -> None:
        """Wait until `weight` fits into the minute, then count it."""
        while (wait := self._try(weight)) > 0:
            self.sleep(wait)

    def _try(self, weight: int) -> float:
        with self.lock:
            now = self.clock()
            if now < self.closed_until:
                return self.closed_until - now
            if now - self.window_started >= self.window:
                self.window_started, self.used = now, self.in_flight
            if self.used + weight > self.limit * self.share and self.used > 0:
                return self.window_started + self.window - now
            self.used += weight
            self.in_flight += weight
            return 0.0

    def settle(self, weight: int, seen: int | None) -> None:
        """A request ended; `seen` is the weight the host counts in its own minute, where it said so."""
        with self.lock:
            self.in_flight -= weight
            if seen is None:
                return
            if seen < self.last_seen:
                self.window_started = self.clock()
            self.last_seen = seen
            self.used = seen + self.in_flight

    def close(self, seconds: float) -> None:
        """The host asked for silence: nobody asks for `seconds`."""
        with self.lock:
            self.closed_until = max(self.closed_until, self.clock() + seconds)
