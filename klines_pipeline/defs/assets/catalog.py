"""What the catalog shows of an asset besides its own words: owners, tags, where it lies, which column comes from which.

All of it follows from the asset's key and columns, so it is added in one place, to whatever was built.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

from klines_pipeline.defs.assets.columns import LINEAGE, SCHEMA, lineage
from klines_pipeline.storage.folders import folder_of

LAYERS = {
    "vision_klines": "archive",
    "vision_funding": "archive",
    "rest_klines": "rest",
    "rest_funding": "rest",
    "klines": "table",
    "funding": "table",
    "resampled_klines": "derived",
    "symbols": "reference",
}
"""Tag `layer`: how far from the exchange a table is."""


class Place(NamedTuple):
    """What an asset's key says."""

    exchange: str
    market: str
    table: str
    interval: str | None


def place_of(key: dg.AssetKey) -> Place:
    """`binance/spot/vision_klines_1m`; funding and symbols have no interval."""
    exchange, market, name = key.path
    table, _, interval = name.rpartition("_")
    return Place(exchange, market, table, interval) if table.endswith("klines") else Place(exchange, market, name, None)


def catalogued(assets: Iterable[dg.AssetsDefinition], *, lake: str, owners: Sequence[str]) -> list[dg.AssetsDefinition]:
    """The assets as they are shown; `lake` is its root."""
    built = [*assets]
    schemas = {spec.key: spec.metadata[SCHEMA] for asset in built for spec in asset.specs if SCHEMA in spec.metadata}

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        place = place_of(spec.key)
        lies_in = {"dagster/uri": f"{lake.rstrip('/')}/{folder_of(*place)}"}
        return spec.replace_attributes(
            owners=[*spec.owners, *owners],
            tags={**spec.tags, **_tags(place)},
            metadata={**spec.metadata, **lies_in, **_lineage(spec, schemas)},
        )

    return [*dg.map_asset_specs(shown, built)]


def _lineage(spec: dg.AssetSpec, schemas: Mapping[dg.AssetKey, dg.TableSchema]) -> dict[str, Any]:
    columns = lineage(spec, schemas)
    return {LINEAGE: columns} if columns else {}


def _tags(place: Place) -> dict[str, str]:
    tags = {"exchange": place.exchange, "market": place.market, "layer": LAYERS[place.table]}
    return tags | ({"interval": place.interval} if place.interval else {})
