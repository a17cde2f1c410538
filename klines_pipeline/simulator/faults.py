"""Faults that can be switched on: which requests they meet, how often, and nothing about how they are carried out.

`fault_answers` carries them out.
"""

import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from klines_pipeline.simulator.hashing import uniform
from klines_pipeline.simulator.keyspace import CHECKSUM

GROUPS = ("listing", "archives", "checksums", "rest")
_CHECKSUM_KINDS = frozenset({"checksum", "drop_checksum"})
KINDS = ("status", "blocked", "html", "delay", "reset", "truncate", "corrupt", "checksum", "drop_checksum")


@dataclass(slots=True)
class Fault:
    """One rule. It fires on paths that match, `times` times in all (or per path), with a probability."""

    kind: str
    match: str = "*"
    """A glob on the decoded path (the bucket's own prefix left out), or `re:` and a regular expression."""
    group: str | None = None
    status: int = 503
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 1.0
    times: int | None = None
    per_key: bool = False
    probability: float = 1.0
    declared: bool = True
    """For truncate: whether Content-Length still tells the whole length."""
    when: str = "body"
    """For reset: in the middle of the `body`, or before the `headers`."""
    met: Counter[str] = field(default_factory=Counter, init=False)
    fired: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        complaints = {
            f"match is {self.match!r}. Use a glob, or 're:' and a regular expression.": not isinstance(self.match, str),
            f"headers are {self.headers!r}. Use an object of names and values.": not isinstance(self.headers, Mapping),
            f"body is {self.body!r}. Use text.": not isinstance(self.body, str | None),
            f"unknown kind of fault {self.kind!r}. Use one of {', '.join(KINDS)}.": self.kind not in KINDS,
            f"unknown group {self.group!r}. Use one of {', '.join(GROUPS)}.": self.group not in {None, *GROUPS},
            f"when is {self.when!r}. Use 'body' or 'headers'.": self.when not in {"body", "headers"},
            f"status {self.status} is not within 200..599.": not 200 <= self.status <= 599,
            f"probability {self.probability} is not within 0..1.": not 0 <= self.probability <= 1,
            f"seconds {self.seconds} is not within 0..3600.": not 0 <= self.seconds <= 3600,
        }
        for complaint, holds in complaints.items():
            if holds:
                raise ValueError(complaint)
        if self.match.startswith("re:"):
            try:
                re.compile(self.match[3:])
            except re.error as error:
                raise ValueError(f"{self.match!r} is no regular expression: {error}.") from None

    def covers(self, path: str, group: str) -> bool:
        """Whether a request's path belongs to this rule, spent or not."""
        if self.group not in {None, group}:
            return False
        if self.kind not in _CHECKSUM_KINDS:
            return self._matches(path)
        return path.endswith(CHECKSUM) and (self._matches(path) or self._matches(path.removesuffix(CHECKSUM)))

    def fires(self, path: str, seed: int, number: int) -> bool:
        """Whether it strikes this time; counts it."""
        attempt = self.met[path]
        self.met[path] += 1
        spent = self.fired[path] if self.per_key else self.fired.total()
        if self.times is not None and spent >= self.times:
            return False
        if self.probability < 1 and uniform(seed, "fault", number, path, attempt) >= self.probability:
            return False
        self.fired[path] += 1
        return True

    def _matches(self, path: str) -> bool:
        if self.match.startswith("re:"):
            return re.search(self.match[3:], path) is not None
        return fnmatchcase(path, self.match)

    def described(self) -> dict[str, Any]:
        """For the control endpoint."""
        return {"kind": self.kind, "match": self.match, "group": self.group, "fired": self.fired.total()}


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self, *, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._rules: tuple[Fault, ...] = ()

    def add(self, **fault: Any) -> None:
        """Add a rule; see `Fault` for its fields."""
        unknown = fault.keys() - {field.name for field in fields(Fault) if field.init}
        if unknown:
            raise ValueError(f"unknown field of a fault: {', '.join(sorted(unknown))}.")
        if "kind" not in fault:
            raise ValueError(f"a fault needs a kind: one of {', '.join(KINDS)}.")
        self._rules = (*self._rules, Fault(**fault))

    def clear(self) -> None:
        """Remove all rules."""
        self._rules = ()

    def described(self) -> list[dict[str, Any]]:
        """The rules and how often each fired."""
        return [fault.described() for fault in self._rules]

    def striking(self, path: str, group: str) -> list[Fault]:
        """The rules that strike a request, in order."""
        if not self._rules:
            return []
        with self._lock:
            covering = [(number, fault) for number, fault in enumerate(self._rules) if fault.covers(path, group)]
            return [fault for number, fault in covering if fault.fires(path, self._seed, number)]

    def hides(self, key: str) -> bool:
        """Whether a key must not be listed."""
        return any(fault.kind == "drop_checksum" and fault.covers(f"/{key}", "checksums") for fault in self._rules)
