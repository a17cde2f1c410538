"""Faults in OKX's words: what a fault's status says when it brings no body of its own.

Which requests a fault strikes is `faults`' affair, carrying it out `fault_answers`'.
"""

import json
from dataclasses import replace

from klines_pipeline.simulator.faults import Fault

_WORDS = {
    200: ("50013", "Systems are busy. Please try again later."),
    429: ("50011", "Too Many Requests"),
    451: ("50001", "Service temporarily unavailable. Try again later."),
    503: ("50001", "Service temporarily unavailable. Try again later."),
    504: ("50004", "API endpoint request timeout"),
}
_OTHER = ("50026", "System error. Try again later.")


def in_okx_words(fault: Fault) -> Fault:
    """The same fault with the envelope as its body; 200 is an error too, and no 429 has a Retry-After."""
    if fault.body is not None or fault.kind not in {"status", "blocked"}:
        return fault
    code, message = _WORDS.get(451 if fault.kind == "blocked" else fault.status, _OTHER)
    body = json.dumps({"code": code, "msg": message, "data": []}, separators=(",", ":"))
    return replace(fault, body=body, headers={"Content-Type": "application/json; charset=utf-8", **fault.headers})
