"""What the environment says, and the klines.yaml it names, as plain values. The only module that reads the environment.

The fields of klines.yaml stand in `configuration`.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from klines_pipeline.configuration import ConfigFile, datasets_of, read_config
from klines_pipeline.domain.automation import Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError

CONFIG_NAME = "klines.yaml"
_ALERT = "KLINES_ALERT_URL"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ENDPOINT = re.compile(r"KLINES_([A-Z0-9_]+_URL)")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured."""

    lake: str
    datasets: tuple[Dataset, ...]
    endpoints: Mapping[str, str]
    log_level: str
    lake_options: Mapping[str, str]
    automation: Automation = field(default_factory=Automation)
    alert_url: str | None = None
    """Where failures are posted to; nowhere by default."""
    owners: tuple[str, ...] = ()
    """Who answers for the data: teams and addresses, shown on every asset."""
    state: str | None = None
    """A folder of this machine in which its processes tell each other of a host's bans."""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read klines.yaml (or KLINES_CONFIG) and KLINES_*; a missing klines.yaml means no datasets."""
        env = os.environ if environment is None else environment
        path = Path(env.get("KLINES_CONFIG") or CONFIG_NAME)
        if env.get("KLINES_CONFIG") and not path.is_file():
            raise ConfigurationError(f"KLINES_CONFIG: there is no file {str(path)!r}.")
        config = read_config(_text_of(path), str(path)) if path.is_file() else ConfigFile()
        lake = env.get("KLINES_LAKE") or _beside(path, config.lake)
        return cls(
            lake=lake,
            datasets=datasets_of(config, str(path)),
            endpoints=_endpoints(env),
            log_level=_log_level(env.get("KLINES_LOG_LEVEL", "INFO")),
            lake_options=lake_options(lake, env),
            automation=config.automation.automation(),
            alert_url=_url(env, _ALERT),
            owners=tuple(config.owners),
            state=env.get("KLINES_STATE") or str(Path(tempfile.gettempdir(), f"klines_pipeline-{os.getuid()}")),
        )


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}).") from None


def _endpoints(env: Mapping[str, str]) -> dict[str, str]:
    """Every KLINES_..._URL by its name in lower case; which of them an exchange knows, its registry tells."""
    others = (variable for variable in env if variable != _ALERT)
    found = {match[1].lower(): variable for variable in others if (match := _ENDPOINT.fullmatch(variable))}
    return {name: url for name, variable in sorted(found.items()) if (url := _url(env, variable))}


def _url(env: Mapping[str, str], variable: str) -> str | None:
    """An endpoint, if the variable is set; refused unless it is http(s)://host in ASCII."""
    text = env.get(variable)
    if not text:
        return None
    try:
        parts = urlsplit(text)
        usable = text.isascii() and parts.scheme in ("http", "https") and bool(parts.hostname) and ".." not in text
    except ValueError:
        usable = False
    if not usable:
        shown = "what it says" if variable == _ALERT else repr(text)  # an alert's address is a secret
        raise ConfigurationError(f"{variable}: {shown} is not a URL. Write it in ASCII, with scheme and host.")
    return text


def _log_level(name: str) -> str:
    if name.upper() not in LOG_LEVELS:
        raise UnknownNameError("level", name, LOG_LEVELS, where="KLINES_LOG_LEVEL")
    return name.upper()


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """This process' environment with some values replaced, for a command it starts."""
    return {**os.environ, **overrides}


def lake_options(lake: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What an S3-compatible lake needs beyond its URI; credentials stay in the AWS_* variables."""
    env = os.environ if environment is None else environment
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
    return {"endpoint_url": endpoint} if endpoint and lake.startswith(("s3://", "s3a://")) else {}


def _beside(config: Path, lake: str) -> str:
    """A relative folder is meant from where klines.yaml lies."""
    return lake if "://" in lake else str(config.absolute().parent / Path(lake).expanduser())
