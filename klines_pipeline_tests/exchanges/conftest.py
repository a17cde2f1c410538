"""A scripted server and a clock for everything that talks HTTP."""

import threading
from collections.abc import Iterator

import pytest

import klines_pipeline_tests.domain.properties  # noqa: F401 - loads the profile
from klines_pipeline_tests.exchanges.script import Clock, ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server of this test's own."""
    with ScriptedServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    """Time that passes only in sleep."""
    return Clock()
