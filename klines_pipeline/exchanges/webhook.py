"""Posting to an address that a person chose, Slack's and the like. The only thing the project ever tells the outside.

Such an address is a secret from its path on: errors name the host, and the transport logs no URL.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from klines_pipeline.domain.errors import RejectedRequestError, TransientError

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)  # a sensor's tick has 60 s
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})


def post(url: str, payload: Mapping[str, Any]) -> None:
    """POST as JSON. TransientError where it may be tried again, RejectedRequestError where the receiver will not."""
    host = urlsplit(url).hostname
    try:
        status = httpx.post(url, json=dict(payload), timeout=_TIMEOUT).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"{host} could not be reached ({type(error).__name__}).") from None
    if httpx.codes.is_server_error(status) or status in _PASSING:
        raise TransientError(f"{host} answered HTTP {status}.", http_status=status)
    if not httpx.codes.is_success(status):
        text = f"{host} refused a message (HTTP {status}). Look whether KLINES_ALERT_URL is still valid."
        raise RejectedRequestError(text, code=status, http_status=status)
