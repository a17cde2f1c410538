"""Posting to an address that a person chose, Slack's and the like. The only thing the project ever tells the outside.

Such an address is a secret from its path on: errors name the host, and the transport logs no URL.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from klines_pipeline.domain.errors import RejectedRequestError, TransientError

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)  # a sensor's tick has 60 s
_PASSING = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})


_MOVED = frozenset(
    {httpx.codes.MOVED_PERMANENTLY, httpx.codes.TEMPORARY_REDIRECT, httpx.codes.PERMANENT_REDIRECT}
)  # 302 and 303 lead to pages, such as a login, that would take anything
_MOVES = 3


def post(url: str, payload: Mapping[str, Any]) -> None:
    """POST as JSON, to where the receiver has moved if it says so. TransientError where it may be tried again,
    RejectedRequestError where the receiver will not.
    """
    for _ in range(_MOVES + 1):
        answer = _posted(url, payload)
        if answer.status_code not in _MOVED:
            return _judge(urlsplit(url).hostname, answer.status_code)
        url = _moved_to(url, answer)
    raise _astray(url, answer.status_code)


def _posted(url: str, payload: Mapping[str, Any]) -> httpx.Response:
    """The answer, whatever it is. httpx itself would follow with a GET, and the message would be gone."""
    try:
        return httpx.post(url, json=dict(payload), timeout=_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"{urlsplit(url).hostname} could not be reached ({type(error).__name__}).") from None


def _moved_to(url: str, answer: httpx.Response) -> str:
    """The new address; TransientError where there is none, or one less safe."""
    try:
        there = urljoin(url, str(answer.headers.get("location", "")))
    except ValueError:
        raise _astray(url, answer.status_code) from None
    if there == url or urlsplit(there).scheme not in {"https", urlsplit(url).scheme}:
        raise _astray(url, answer.status_code)
    return there


def _astray(url: str, status: int) -> TransientError:
    text = f"{urlsplit(url).hostname} says that it has moved (HTTP {status}), and not where. Correct KLINES_ALERT_URL."
    return TransientError(text, http_status=status)


def _judge(host: str | None, status: int) -> None:
    """What an answer says of the message."""
    if httpx.codes.is_server_error(status) or status in _PASSING:
        raise TransientError(f"{host} answered HTTP {status}.", http_status=status)
    if not httpx.codes.is_success(status):
        text = f"{host} refused a message (HTTP {status}). Look whether KLINES_ALERT_URL is still valid."
        raise RejectedRequestError(text, code=status, http_status=status)
