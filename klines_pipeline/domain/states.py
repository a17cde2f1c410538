"""The named states of an archive, of a REST slice, and the reasons a certificate may give for a gap."""

from enum import StrEnum


class ArchiveState(StrEnum):
    """What became of one symbol-day in the bucket."""

    OK = "ok"
    NOT_PUBLISHED = "not_published"
    UNAVAILABLE = "unavailable"
    CHECKSUM_ABSENT = "checksum_absent"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    CORRUPT = "corrupt"
    NO_ARCHIVE = "no_archive"
    """The exchange publishes no archives of this market: REST is all there is."""


UNUSABLE = frozenset({ArchiveState.CHECKSUM_ABSENT, ArchiveState.CHECKSUM_MISMATCH, ArchiveState.CORRUPT})
"""Published, fetched, and not to be trusted."""


NEVER_CAME = frozenset({ArchiveState.NOT_PUBLISHED, ArchiveState.NO_ARCHIVE})
"""No archive, so far or at all."""


class SliceState(StrEnum):
    """What became of one REST slice."""

    OK = "ok"
    NO_DATA = "no_data"
    BLOCKED = "blocked"
    BANNED = "banned"
    UNAVAILABLE = "unavailable"


class Life(StrEnum):
    """Where a day lies in a symbol's life, as far as the bucket's listing tells; absent for an ordinary day."""

    NOT_LISTED = "not_listed"
    FIRST_DAY = "first_day"
    LAST_DAY = "last_day"
    DELISTED = "delisted"
    PERHAPS_DELISTED = "perhaps_delisted"


NEVER_ASKED = frozenset({Life.NOT_LISTED, Life.DELISTED})
"""Lives for which the listing alone is evidence enough: REST gets no request."""


BLOCKED_STATUS = frozenset({403, 451})
"""A firewall's answer, and a region that is not served."""

ANSWERED = frozenset({SliceState.OK, SliceState.NO_DATA})
"""REST was reached and said what it has: only these are evidence."""


class Reason(StrEnum):
    """Why open_times are missing. One certificate may carry several, joined by `+`."""

    EXCHANGE_HALT = "exchange_halt"
    NOT_LISTED = "not_listed"
    DELISTED = "delisted"
    NO_DATA = "no_data"
    NOT_PUBLISHED = "not_published"
    CHECKSUM_ABSENT = "checksum_absent"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    CORRUPT = "corrupt"
    REJECTED = "rejected"
    BLOCKED = "blocked"
    UNAVAILABLE = "unavailable"


EXPLAINED = frozenset({Reason.EXCHANGE_HALT, Reason.NOT_LISTED, Reason.DELISTED})
"""Reasons that say the exchange itself never had such a kline, each with evidence."""

RUN_MAY_CLOSE = frozenset({Reason.NOT_PUBLISHED, Reason.BLOCKED, Reason.UNAVAILABLE})
"""Reasons of which another run may find the klines. For the others archives must be rewritten, or REST has answered."""


class ChecksumPolicy(StrEnum):
    """What to do with an archive whose checksum is absent or differs."""

    QUARANTINE = "quarantine"
    CROSS_CHECK = "cross_check"
