"""Whether a finished day is still what it was certified to be: rows beside fingerprints, certificates beside a digest.

Which files there are, and what stands in their metadata, is known to `stages.seal`.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b

import polars as pl

BREACHES = pl.Schema({"symbol": pl.String(), "breaches": pl.UInt32()})
"""What a rule returns."""


def unlike_certified(rows: pl.DataFrame, fingerprints: Mapping[str, str], certificates: pl.DataFrame) -> pl.DataFrame:
    """Symbols of which a day has more, fewer or other rows than were certified, in BREACHES: by how many the count is
    off, 1 where it is not. `fingerprints` are of `rows`.
    """
    counts = dict(rows.group_by("symbol").len().iter_rows())
    counted = (pl.col("from_vision") + pl.col("from_rest")).fill_null(0)
    issued = {symbol: rest for symbol, *rest in certificates.select("symbol", counted, "fingerprint").iter_rows()}
    found = []
    for symbol in sorted({*counts, *issued} - {None}):
        expected, fingerprint = issued.get(symbol, (0, None))
        count = counts.get(symbol, 0)
        if (count, fingerprints.get(symbol)) != (expected, fingerprint):
            found.append((symbol, max(abs(count - expected), 1)))
    return pl.DataFrame(found, schema=BREACHES, orient="row")


def digest_of_certificates(certificates: pl.DataFrame) -> str:
    """BLAKE2b-128 in hex of all they say. Columns of nothing but nulls do not count: one may come into being later."""
    said = {
        name: certificates[name].to_physical().to_list()
        for name in sorted(certificates.columns)
        if certificates[name].null_count() < certificates.height
    }
    return blake2b(json.dumps(said).encode(), digest_size=16).hexdigest()
