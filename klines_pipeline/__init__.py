"""A complete, verified, explainable lake of crypto klines. For readers: `load` and `scan`.

Both are looked up on first use, so that Dagster can import the code location without the reading side.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klines_pipeline.query.read import load, scan

__all__ = ["load", "scan"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from klines_pipeline.query import read

        return getattr(read, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
