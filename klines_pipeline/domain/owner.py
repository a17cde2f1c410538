"""Who answers for the data, as klines.yaml names them and Dagster shows them: a team or an address."""

import re

from klines_pipeline.domain.errors import ConfigurationError

_TEAM = re.compile(r"team:\S(.*\S)?")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def check_owner(text: str) -> str:
    """The owner as it is; ConfigurationError unless it is `team:NAME` or an e-mail address."""
    if not (_TEAM.fullmatch(text) or _ADDRESS.fullmatch(text)):
        raise ConfigurationError(f"{text!r} is no owner. Write team:NAME, or an e-mail address.")
    return text
