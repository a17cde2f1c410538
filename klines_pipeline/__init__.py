"""A complete, verified, explainable lake of crypto klines. For readers: `load`, `scan` and `load_funding`.

They are looked up on first use, so that Dagster can import the code location without the reading side.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klines_pipeline.query.funding import load_funding
    from klines_pipeline.query.read import load, scan

__all__ = ["load", "load_funding", "scan"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from klines_pipeline.query import funding, read

        return getattr(funding if name == "load_funding" else read, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
