"""A real S3-compatible server on loopback, one for the whole run, and a bucket of its own for each test."""

import functools
from uuid import uuid4

import httpx
import pytest
from moto.server import ThreadedMotoServer


@functools.cache
def endpoint() -> str:
    """Started on first use, on a free port; its thread ends with the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


KEYS = {"key": "anything", "secret": "anything"}
"""What a process without the environment signs with."""


@pytest.fixture
def s3_root(monkeypatch: pytest.MonkeyPatch) -> str:
    """`s3://bucket/prefix`, empty; the environment names the server and credentials as usual."""
    variables = {
        "AWS_ENDPOINT_URL": endpoint(),
        "AWS_ACCESS_KEY_ID": "anything",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bucket = f"lake-{uuid4().hex}"
    httpx.put(f"{endpoint()}/{bucket}").raise_for_status()
    return f"s3://{bucket}/some/prefix"
