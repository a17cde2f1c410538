"""What Polars is told of an S3 store, so that it reads with the endpoint, region and credentials s3fs writes with.

Polars itself knows the AWS_* variables and machine roles only; profiles, SSO and the rest are found by botocore.
"""

import functools
from collections.abc import Mapping
from typing import Any

from botocore.credentials import Credentials
from botocore.session import Session

_GIVEN = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_session_token": "token"}
"""Polars' names, and those of s3fs."""


def reader_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Storage options for Polars, from those of s3fs; what they leave open is found as botocore finds it."""
    told = _credentials(options)
    endpoint = options.get("endpoint_url")
    if endpoint:
        told["aws_endpoint_url"] = str(endpoint)
        told["aws_allow_http"] = str(str(endpoint).startswith("http://")).lower()
        told["aws_virtual_hosted_style_request"] = "false"
    return told


def _credentials(options: Mapping[str, Any]) -> dict[str, str]:
    told = {name: options.get(option) for name, option in _GIVEN.items()}
    if not (options.get("key") and options.get("secret")):
        known = credentials_found()
        now = known.get_frozen_credentials() if known else None  # renewed by botocore where they end
        told = dict(zip(_GIVEN, (now.access_key, now.secret_key, now.token), strict=True)) if now else {}
    told["aws_region"] = options.get("client_kwargs", {}).get("region_name") or _region_found()
    return {name: str(value) for name, value in told.items() if value}


@functools.cache
def credentials_found() -> Credentials | None:
    """Credentials of this process, where there are any."""
    return Session().get_credentials()


@functools.cache
def _region_found() -> str | None:
    region: str | None = Session().get_config_variable("region")
    return region
