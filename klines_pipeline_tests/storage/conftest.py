"""Every test of the lake runs on a local folder and on an S3-compatible server."""

import pytest

import klines_pipeline_tests.domain.properties  # noqa: F401 - loads the profile
from klines_pipeline.settings import lake_options
from klines_pipeline.storage.lake import Lake
from klines_pipeline_tests.storage.s3 import s3_root

__all__ = ["s3_root"]


@pytest.fixture(params=["local", "s3"])
def any_lake(request: pytest.FixtureRequest) -> Lake:
    """An empty lake of each kind."""
    root = (
        request.getfixturevalue("s3_root")
        if request.param == "s3"
        else str(request.getfixturevalue("tmp_path") / "lake")
    )
    return Lake(root, lake_options(root))
