"""Columns as Dagster shows them: type, meaning, what is never null, which make the key, and which come from which.

They stand on the asset, not in each day's event: they are the same every day.
"""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg

from klines_pipeline.funding.schema import FUNDING_COLUMNS
from klines_pipeline.funding.schema import KEY as FUNDING_KEY
from klines_pipeline.funding.schema import Column as FundingColumn
from klines_pipeline.klines.schema import CONTRACT_COLUMNS, KEY_COLUMNS, KLINE_COLUMNS, MARKET_COLUMNS, Column

SCHEMA, LINEAGE = "dagster/column_schema", "dagster/column_lineage"
_TYPES = {"Datetime(time_unit='us', time_zone='UTC')": "Datetime(µs, UTC)"}
_KLINE_KEY = tuple(column.name for column in KEY_COLUMNS)


def kline_columns(*, contracts: bool) -> dg.TableSchema:
    """The table of klines, with its provenance."""
    return _schema((*KLINE_COLUMNS, *(CONTRACT_COLUMNS if contracts else ())), _KLINE_KEY)


def archive_columns(*, contracts: bool) -> dg.TableSchema:
    """What is read from an archive: klines without their provenance."""
    return _schema((*KEY_COLUMNS, *MARKET_COLUMNS, *(CONTRACT_COLUMNS if contracts else ())), _KLINE_KEY)


def funding_columns() -> dg.TableSchema:
    """The table of funding rates."""
    return _schema(FUNDING_COLUMNS, FUNDING_KEY)


def _schema(columns: Sequence[Column | FundingColumn], key: Collection[str]) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                column.name,
                _TYPES.get(str(column.dtype), str(column.dtype)),
                description=column.meaning,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=["key"] if column.name in key else None
                ),
            )
            for column in columns
        ],
        constraints=dg.TableConstraints(other=[f"({', '.join(key)}) is unique", f"sorted by ({', '.join(key)})"]),
    )


def lineage(spec: dg.AssetSpec, schemas: Mapping[dg.AssetKey, dg.TableSchema]) -> dg.TableColumnLineage | None:
    """A column comes from those of the same name in the assets before it; None where nothing is known of them."""
    mine = schemas.get(spec.key)
    before = {dep.asset_key: _names(schemas[dep.asset_key]) for dep in spec.deps if dep.asset_key in schemas}
    if mine is None or not before:
        return None
    return dg.TableColumnLineage({
        name: [dg.TableColumnDep(key, name) for key, names in before.items() if name in names]
        for name in sorted(_names(mine))
    })  # fmt: skip


def _names(schema: dg.TableSchema) -> set[str]:
    return {column.name for column in schema.columns}
