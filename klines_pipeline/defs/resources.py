"""Resources: configuration that Dagster shows and passes on, and the plain objects made from it."""

import dagster as dg
from pydantic import Field

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.exchanges.registry import connect
from klines_pipeline.storage.lake import Lake


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where the lake is: a folder, or any fsspec URI such as s3://bucket/prefix."""

    root: str
    options: dict[str, str] = Field(default_factory=dict)

    def open(self) -> Lake:
        """The lake, opened; nothing is read yet."""
        return Lake(self.root, self.options)


class ExchangesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """URLs that replace the real services, by name (vision_list_url, binance_spot_url, ...); none by default."""

    endpoints: dict[str, str] = Field(default_factory=dict)
    state: str | None = None
    """A folder of this machine in which its processes tell each other of a host's bans."""
    retry_seconds: int = 30
    """Until a requested run that met an outage asks once more."""

    def market(self, dataset: Dataset) -> Market:
        """The dataset's market, connected; nothing is asked yet."""
        return self.connect(*dataset.prefix)

    def connect(self, exchange: str, market: str) -> Market:
        """A market, connected; nothing is asked yet."""
        return connect(exchange, market, self.endpoints, self.state)
