"""What the environment and klines.yaml say, as plain values. The only module that reads the environment.

Whether an exchange knows the words used here is checked when definitions are built, against that exchange's own table.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, UnknownNameError, nearest_name
from klines_pipeline.domain.interval import INTERVALS, AnyInterval, Interval, LongInterval, parse_interval
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.domain.utc_day import parse_day

CONFIG_NAME = "klines.yaml"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_ENDPOINT = re.compile(r"KLINES_([A-Z0-9_]+_URL)")


def _reader(read: Callable[[str], Any]) -> BeforeValidator:
    """A domain parser as a validator, so that its sentence arrives with line and field."""

    def validate(value: object) -> Any:
        if value is None or isinstance(value, bool | list | dict):
            raise ValueError(f"{value!r} is not text. Put it in quotes if it is meant so.")
        try:
            return read(str(value))
        except ConfigurationError as error:
            raise ValueError(str(error)) from None

    return BeforeValidator(validate)


Day = Annotated[date, _reader(parse_day)]
IntervalName = Annotated[Interval, _reader(Interval.parse)]
ResampledName = Annotated[AnyInterval, _reader(parse_interval)]
Symbol = Annotated[str, _reader(check_symbol)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class DatasetParagraph(_Strict):
    """One paragraph under `datasets`."""

    exchange: str = "binance"
    market: str = "spot"
    interval: IntervalName
    start: Day
    symbols: list[Symbol] = Field(min_length=1)
    resample: list[ResampledName] = Field(default_factory=list)
    funding: bool = False
    on_checksum_mismatch: ChecksumPolicy = ChecksumPolicy.QUARANTINE

    @model_validator(mode="after")
    def _resample_is_coarser(self) -> "DatasetParagraph":
        for target in self.resample:
            if isinstance(target, LongInterval):
                if self.interval.name != "1d":
                    raise ValueError(f"{target} is computed from 1d: name it in a dataset of interval 1d.")
            elif target <= self.interval or target.duration % self.interval.duration:
                raise ValueError(f"{target} cannot be resampled from {self.interval}; name a longer multiple of it.")
        return self

    def dataset(self) -> Dataset:
        """As the rest of the project knows it."""
        return Dataset(
            exchange=self.exchange,
            market=self.market,
            interval=self.interval,
            symbols=tuple(sorted(set(self.symbols))),
            funding=self.funding,
            start=self.start,
            resample=tuple(sorted(set(self.resample), key=lambda target: INTERVALS.index(target.name))),
            on_checksum_mismatch=self.on_checksum_mismatch,
        )


class ConfigFile(_Strict):
    """klines.yaml."""

    lake: str = Field(default="./lake", min_length=1)
    datasets: list[DatasetParagraph] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured."""

    lake: str
    datasets: tuple[Dataset, ...]
    endpoints: Mapping[str, str]
    log_level: str
    lake_options: Mapping[str, str]

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
            datasets=_datasets(config, str(path)),
            endpoints=_endpoints(env),
            log_level=_log_level(env.get("KLINES_LOG_LEVEL", "INFO")),
            lake_options=lake_options(lake, env),
        )


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}).") from None


def _endpoints(env: Mapping[str, str]) -> dict[str, str]:
    """Every KLINES_..._URL by its name in lower case; which of them an exchange knows, its registry tells."""
    found = {match[1].lower(): variable for variable in env if (match := _ENDPOINT.fullmatch(variable))}
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
        raise ConfigurationError(f"{variable}: {text!r} is not a URL. Write it in ASCII, with scheme and host.")
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


class _Loader(yaml.SafeLoader):
    """Leaves dates as text: YAML's own reading of 2024-02-30 raises without a line."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_config(text: str, name: str) -> ConfigFile:
    """Parse klines.yaml; errors name the line and the field."""
    try:
        document = yaml.load(text, _Loader) or {}  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigurationError(f"{name}, line {line}: not YAML ({error.problem}).") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name}: not YAML ({error}).") from None
    try:
        return ConfigFile.model_validate(document)
    except ValidationError as error:
        problems = [_problem(text, name, detail) for detail in error.errors()]
        raise ConfigurationError("\n".join(problems)) from None


def _problem(text: str, name: str, detail: Any) -> str:
    location = detail["loc"]
    field = ".".join(str(part) for part in location) or "the file"
    message, given = detail["msg"], f" (given: {detail['input']!r})"
    if detail["type"] == "extra_forbidden":
        known = DatasetParagraph.model_fields if len(location) > 1 else ConfigFile.model_fields
        message, given = f"no such field; the nearest valid one is {nearest_name(str(location[-1]), known)!r}.", ""
    elif detail["type"] == "value_error":
        message, given = str(detail["ctx"]["error"]), ""
    elif detail["type"] == "missing":
        message, given = "this field must be given.", ""
    return f"{name}, line {_line_of(text, location)}: {field}: {message}{given}"


def _line_of(text: str, location: tuple[int | str, ...]) -> int:
    """Line of the deepest part of `location` that the file has."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _datasets(config: ConfigFile, name: str) -> tuple[Dataset, ...]:
    """Datasets in order; two paragraphs must not make the same table."""
    made_by = dict[tuple[str, ...], int]()
    datasets = [paragraph.dataset() for paragraph in config.datasets]
    for index, dataset in enumerate(datasets):
        tables = [f"klines_{dataset.interval}", *(f"resampled_klines_{target}" for target in dataset.resample)]
        for table in tables:
            first = made_by.setdefault((*dataset.prefix, table), index)
            if first != index:
                where, table_name = f"{name}: datasets.{index}", "/".join((*dataset.prefix, table))
                raise ConfigurationError(
                    f"{where}: {table_name} stands in datasets.{first} already. Name each table once; all symbols of a "
                    "table go into one paragraph."
                )
    return tuple(datasets)
