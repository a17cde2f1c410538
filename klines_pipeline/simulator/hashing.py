"""Counter-based randomness: any number of any stream without those before it, the same on every machine.

Only integer and IEEE basic operations (no exp, no FMA, no global generator). What the numbers mean is `walk`'s affair.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


def stream_key(*words: object) -> int:
    """A 64-bit key for a stream named by these words."""
    text = "\x1f".join(str(word) for word in words)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniforms(key: int, counters: Ints) -> Floats:
    """splitmix64 of each counter under the key, as numbers in [0, 1)."""
    state = counters.astype(np.uint64) * _GOLDEN + np.uint64(key)
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * _TO_UNIT


def uniform(*words: object) -> float:
    """One number in [0, 1) for these words."""
    return (stream_key(*words) >> 11) * _TO_UNIT


def stream_name(market: str, symbol: str) -> str:
    """What a symbol's streams are called: a symbol that two markets share is not the same in both."""
    return symbol if market == "spot" else f"{market}/{symbol}"
