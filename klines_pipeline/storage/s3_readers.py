"""What Polars is told of an S3 store, so that it reads with the endpoint, region and credentials s3fs writes with.

Polars itself knows the AWS_* variables and machine roles only; profiles, SSO and the rest are found by botocore.
"""

import functools
from collections.abc import Mapping
from typing import Any

from botocore.credentials import Credentials
from botocore.session import Session


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
    if "key" in options:
        return {"aws_access_key_id": str(options["key"]), "aws_secret_access_key": str(options["secret"])}
    known, region = found()
    told = {"aws_region": region} if region else {}
    if known is None:
        return told
    now = known.get_frozen_credentials()  # renewed by botocore where they end
    token = {"aws_session_token": now.token} if now.token else {}
    return {**told, "aws_access_key_id": now.access_key, "aws_secret_access_key": now.secret_key, **token}


@functools.cache
def found() -> tuple[Credentials | None, str | None]:
    """Credentials and region of this process, where there are any."""
    session = Session()
    return session.get_credentials(), session.get_config_variable("region")
