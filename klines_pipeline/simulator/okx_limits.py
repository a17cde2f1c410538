"""How often OKX may be asked: so many requests in any two seconds, per endpoint, some per instrument too.

Time is the clock's `limit_seconds`. All clients of a loopback server are one address. Time and instruments are free:
no limit of theirs is on record.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Mapping

from klines_pipeline.simulator.clock import SimulatedClock

CANDLES, HISTORY_CANDLES, FUNDING = "market/candles", "market/history-candles", "public/funding-rate-history"
_REQUESTS = {CANDLES: 40, HISTORY_CANDLES: 20, FUNDING: 10}
_PER_INSTRUMENT = frozenset({FUNDING})
_WINDOW = 2.0


class OkxLimits:
    """Admitted requests of the last window; refused ones do not count."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._admitted: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self.requests = dict(_REQUESTS)
        self.window_seconds = _WINDOW

    def configure(self, *, requests: Mapping[str, int], window_seconds: float) -> None:
        """Change limits by endpoint and the window (seconds); what was admitted is forgotten."""
        for endpoint, most in requests.items():
            if endpoint not in _REQUESTS:
                raise ValueError(f"{endpoint!r} has no limit. Use one of {', '.join(_REQUESTS)}.")
            if not most > 0:
                raise ValueError(f"requests of {endpoint} must be above 0, not {most}.")
        if not window_seconds > 0:
            raise ValueError(f"window_seconds must be above 0, not {window_seconds}.")
        with self._lock:
            self.requests.update(requests)
            self.window_seconds = window_seconds
            self._admitted.clear()

    def admits(self, endpoint: str, instrument: str) -> bool:
        """Whether one more request is served now; it counts if so."""
        most = self.requests.get(endpoint)
        if most is None:
            return True
        with self._lock:
            now = self._clock.limit_seconds()
            times = self._admitted[endpoint, instrument if endpoint in _PER_INSTRUMENT else ""]
            while times and times[0] <= now - self.window_seconds:
                times.popleft()
            if len(times) >= most:
                return False
            times.append(now)
            return True
