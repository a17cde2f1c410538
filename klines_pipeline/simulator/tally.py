"""What was asked of the exchange: counts per kind of request, status and path. Control requests are not counted."""

import threading
from collections import Counter
from typing import Any

_FUNDING = ("fundingRate", "fundingInfo")


class Tally:
    """Counters since the start or the last reset; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._groups: Counter[str] = Counter()
            self._endpoints: Counter[str] = Counter()
            self._statuses: Counter[str] = Counter()
            self._methods: Counter[str] = Counter()
            self._paths: Counter[str] = Counter()
            self._downloads: Counter[str] = Counter()
            self._markets: dict[str, Counter[str]] = {}

    def count(self, *, group: str, endpoint: str, method: str, path: str, status: str, market: str = "") -> None:
        """One request was answered (`status` is a number or `reset`)."""
        with self._lock:
            self._groups[group] += 1
            self._methods[method] += 1
            self._statuses[status] += 1
            self._paths[path] += 1
            if group == "rest":
                self._endpoints[endpoint] += 1
            if market:
                self._markets.setdefault(market, Counter())[endpoint if group == "rest" else group] += 1
            if group == "archives" and (method, status) == ("GET", "200"):
                self._downloads[path] += 1

    def counts(self) -> dict[str, Any]:
        """Everything, as plain values.

        `downloads` counts how often each archive was sent whole, `duplicate_downloads` holds those sent more than once,
        `funding` counts REST requests for funding, and `by_market` has the endpoints, archives and checksums of each
        market asked.
        """
        with self._lock:
            return {
                **{name: self._groups[name] for name in ("listing", "archives", "checksums", "other")},
                "rest": dict(self._endpoints),
                "rest_total": self._endpoints.total(),
                "funding": sum(self._endpoints[name] for name in _FUNDING),
                "by_market": {market: dict(counts) for market, counts in self._markets.items()},
                "total": self._groups.total(),
                "by_status": dict(self._statuses),
                "by_method": dict(self._methods),
                "by_path": dict(self._paths),
                "downloads": dict(self._downloads),
                "duplicate_downloads": {path: times for path, times in self._downloads.items() if times > 1},
            }
