"""Every error the project raises on purpose, named by meaning and never by status code.

KlinesError
 ├── ConfigurationError        klines.yaml or the environment says something impossible
 │    └── UnknownNameError     a symbol, market or interval nobody knows; carries the nearest known one
 ├── TransientError            may succeed if asked again: 5xx, resets, time-outs, an outage's 403
 │    ├── RateLimitedError     429; says how long to wait
 │    └── BannedError          418, or a 429 of long silence; says until when nothing may be asked
 ├── NotPublishedError         404 from the bucket: a normal answer
 ├── BlockedError              451 or a firewall's 403 from REST: this address is not served
 ├── RejectedRequestError      the exchange refused the request itself (a -11xx code)
 ├── DamagedFileError          a file of the lake that is not what was written
 │    └── NotCertifiedError    rows that no certificate was issued for
 ├── CorruptArchiveError       bytes that are not the archive they claim to be
 └── IncompleteError           a reader asked for complete data and the lake has none

What is not here: errors of the standard library (a full disk stays an OSError).
"""

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

_ASKED_FOR_SILENCE = frozenset({418, 429})


class KlinesError(Exception):
    """Base of all; its text is a sentence with the remedy."""


class ConfigurationError(KlinesError):
    """The configuration cannot be used as written."""


class UnknownNameError(ConfigurationError):
    """A name that is not among the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "", remedy: str = "") -> None:
        nearest = nearest_name(name, known)
        hint = f" The nearest valid one is {nearest!r}." if nearest else ""
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}unknown {kind} {name!r}.{hint} {remedy}".rstrip())
        self.name = name


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`; letter case counts least."""
    spelled = {candidate.casefold(): candidate for candidate in known}
    nearest = get_close_matches(name.casefold(), list(spelled), n=1, cutoff=0.0)
    return spelled[nearest[0]] if nearest else None


class TransientError(KlinesError):
    """The other side failed in a way that may pass."""

    def __init__(self, message: str, *, http_status: int | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.attempts = 1


class RateLimitedError(TransientError):
    """429: wait `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, http_status=429)
        self.retry_after = retry_after


class BannedError(TransientError):
    """Nothing may be asked of this host before `until` (UTC), `seconds` from now."""

    def __init__(self, message: str, *, until: datetime, seconds: float, http_status: int = 418) -> None:
        super().__init__(message, http_status=http_status)
        self.until = until
        self.seconds = seconds


def may_pass(error: Exception) -> bool:
    """Whether the same question half a minute later may be answered: an outage may be over; bans, silences asked for
    and refusals are not.
    """
    return isinstance(error, TransientError) and error.http_status not in _ASKED_FOR_SILENCE


class NotPublishedError(KlinesError):
    """The bucket has no such key."""


class BlockedError(KlinesError):
    """REST does not serve this address (region or firewall). `served_at`: its clock, by the refusal's Date header."""

    def __init__(self, message: str, *, http_status: int, served_at: datetime | None = None) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.served_at = served_at


class RejectedRequestError(KlinesError):
    """REST understood the request and refused it, with its own code."""

    def __init__(self, message: str, *, code: int, http_status: int) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.served_at: datetime | None = None


class CorruptArchiveError(KlinesError):
    """A truncated, damaged or foreign file in an archive's place."""


class DamagedFileError(KlinesError):
    """A file of the lake cannot be read, or is not what the ledger says it is."""


class NotCertifiedError(DamagedFileError):
    """Rows of the table are not those certified: damaged since, or published at this very moment."""


class IncompleteError(KlinesError):
    """The reader required complete data."""
