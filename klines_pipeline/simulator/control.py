"""The control endpoint, `/control/...`: JSON in, JSON out. Each action is one call on the venue.

Control requests are neither counted nor struck by faults. Wrong input is answered 400 with a sentence in `error`.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiohttp import web

from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.domain.utc_day import day_end, parse_day
from klines_pipeline.simulator.venue import ChecksumChoice, Venue
from klines_pipeline.simulator.workers import Workers

PREFIX = "/control"
LIMIT_FIELDS = ("weight_limit", "window_seconds", "ban_seconds")
_CHECKSUM_CHOICES: dict[object, ChecksumChoice] = {True: "fresh", False: "none", "stale": "stale"}

Payload = Mapping[str, Any]
Action = Callable[[Venue, Payload], dict[str, Any]]


async def control_answer(request: web.Request, venue: Venue, workers: Workers) -> web.Response:
    """Answer one control request."""
    path = request.path.removeprefix(PREFIX).strip("/")
    action = ACTIONS.get((request.method, path))
    if action is None:
        complaint = f"{request.method} {request.path} is no control request."
        return web.json_response({"error": complaint, **_known(venue, {})}, status=404)
    try:
        payload = _payload(await request.read())
        return web.json_response(await workers.run(lambda: action(venue, payload)))
    except (ValueError, TypeError, OverflowError, KlinesError, binascii.Error) as error:
        return web.json_response({"error": str(error)}, status=400)
    except KeyError as error:
        return web.json_response({"error": f"the field {error} is missing."}, status=400)


def _payload(body: bytes) -> Payload:
    found = json.loads(body) if body.strip() else {}
    if not isinstance(found, dict):
        raise ValueError("the body is not a JSON object. Send {...}.")
    return found


def _text(payload: Payload, name: str) -> str:
    if not isinstance(payload[name], str):
        raise ValueError(f"{name} is {payload[name]!r}. Send text.")
    return cast(str, payload[name])


def _market(payload: Payload) -> str:
    return _text({"market": "spot", **payload}, "market")


def parse_instant(text: str) -> datetime:
    """Read an ISO instant; without an offset it is UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _clock(venue: Venue, payload: Payload) -> dict[str, Any]:
    return {"now": venue.clock.now().isoformat().replace("+00:00", "Z"), "rate": venue.clock.rate}


def _set_clock(venue: Venue, payload: Payload) -> dict[str, Any]:
    now = parse_instant(_text(payload, "now")) if "now" in payload else None
    venue.clock.set(now, float(payload["rate"]) if "rate" in payload else None)
    return _clock(venue, payload)


def _faults(venue: Venue, payload: Payload) -> dict[str, Any]:
    return {"faults": venue.faults.described()}


def _add_fault(venue: Venue, payload: Payload) -> dict[str, Any]:
    venue.faults.add(**payload)
    return _faults(venue, payload)


def _clear_faults(venue: Venue, payload: Payload) -> dict[str, Any]:
    venue.faults.clear()
    return _faults(venue, payload)


def _put_object(venue: Venue, payload: Payload) -> dict[str, Any]:
    choice = payload.get("checksum", True)
    if choice not in _CHECKSUM_CHOICES:
        raise ValueError(f"checksum is {choice!r}. Use true, false or 'stale'.")
    body = base64.b64decode(_text(payload, "base64"), validate=True)
    return asdict(venue.put_object(_text(payload, "key"), body, checksum=_CHECKSUM_CHOICES[choice]))


def _remove_object(venue: Venue, payload: Payload) -> dict[str, Any]:
    venue.remove_object(_text(payload, "key"))
    return {"removed": payload["key"]}


def _revise(venue: Venue, payload: Payload) -> dict[str, Any]:
    return asdict(venue.revise(_text(payload, "key"), with_checksum=bool(payload.get("with_checksum", True))))


def _hold_publication(venue: Venue, payload: Payload) -> dict[str, Any]:
    symbol, day = _text(payload, "symbol"), parse_day(_text(payload, "day"))
    until = None
    if "until" in payload:
        until = parse_instant(_text(payload, "until"))
    elif "hours" in payload:
        until = day_end(day) + timedelta(hours=float(payload["hours"]))
    elif not payload.get("never"):
        raise ValueError("say when: 'hours' after the end of the day, 'until' an instant, or 'never': true.")
    venue.hold_publication(symbol, day, until=until, market=_market(payload))
    return {"symbol": symbol, "day": day.isoformat(), "until": until.isoformat() if until else None}


def _limits(venue: Venue, payload: Payload) -> dict[str, Any]:
    limit = venue.limit(_market(payload), funding=bool(payload.get("funding")))
    return {name: getattr(limit, name) for name in LIMIT_FIELDS}


def _set_limits(venue: Venue, payload: Payload) -> dict[str, Any]:
    unknown = payload.keys() - {*LIMIT_FIELDS, "market", "funding"}
    if unknown:
        raise ValueError(f"unknown field of limits: {', '.join(sorted(unknown))}.")
    limit = venue.limit(_market(payload), funding=bool(payload.get("funding")))
    limit.configure(**{name: payload[name] for name in LIMIT_FIELDS if name in payload})
    return _limits(venue, payload)


def _requests(venue: Venue, payload: Payload) -> dict[str, Any]:
    return venue.tally.counts()


def _reset_requests(venue: Venue, payload: Payload) -> dict[str, Any]:
    venue.tally.reset()
    return venue.tally.counts()


def _symbols(venue: Venue, payload: Payload) -> dict[str, Any]:
    listings = venue.market(_market(payload)).truth.listings
    lives = {name: [asdict(life) for life in listing.lives] for name, listing in listings.items()}
    return {"symbols": json.loads(json.dumps(lives, default=lambda moment: moment.isoformat()))}


def _known(venue: Venue, payload: Payload) -> dict[str, Any]:
    return {"known": [f"{method} {PREFIX}/{name}" for method, name in ACTIONS]}


ACTIONS: dict[tuple[str, str], Action] = {
    ("GET", ""): _known,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_fault,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "objects"): _put_object,
    ("DELETE", "objects"): _remove_object,
    ("POST", "revise"): _revise,
    ("POST", "publication"): _hold_publication,
    ("GET", "limits"): _limits,
    ("POST", "limits"): _set_limits,
    ("GET", "requests"): _requests,
    ("DELETE", "requests"): _reset_requests,
    ("GET", "symbols"): _symbols,
}
