"""What the catalog shows of an asset besides its own words: owners, tags, where it lies, which column comes from which.

All of it follows from the asset's key and columns, so it is added in one place, to whatever was built.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import dagster as dg

from klines_pipeline.defs.columns import LINEAGE, SCHEMA, lineage
from klines_pipeline.settings import Settings
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


def catalogued(assets: Iterable[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets as they are shown."""
    built = [*assets]
    schemas = {spec.key: spec.metadata[SCHEMA] for asset in built for spec in asset.specs if SCHEMA in spec.metadata}
    return [*dg.map_asset_specs(lambda spec: _catalogued(spec, settings, schemas), built)]


def _catalogued(spec: dg.AssetSpec, settings: Settings, schemas: Mapping[dg.AssetKey, dg.TableSchema]) -> dg.AssetSpec:
    place = place_of(spec.key)
    columns = lineage(spec, schemas)
    metadata: dict[str, Any] = {"dagster/uri": f"{settings.lake.rstrip('/')}/{folder_of(*place)}"}
    return spec.replace_attributes(
        owners=[*spec.owners, *settings.owners],
        tags={**spec.tags, **_tags(place)},
        metadata={**spec.metadata, **metadata, **({LINEAGE: columns} if columns else {})},
    )


def _tags(place: Place) -> dict[str, str]:
    tags = {"exchange": place.exchange, "market": place.market, "layer": LAYERS[place.table]}
    return tags | ({"interval": place.interval} if place.interval else {})
