"""klines.yaml as plain values: its fields, what each may say, and errors that name the line.

Whether an exchange knows the words used here is checked when definitions are built, against that exchange's own table.
What the environment says stands in `settings`.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from klines_pipeline.domain.automation import CADENCES, Automation
from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import ConfigurationError, nearest_name
from klines_pipeline.domain.interval import INTERVALS, AnyInterval, Interval, LongInterval, parse_interval
from klines_pipeline.domain.owner import check_owner
from klines_pipeline.domain.states import ChecksumPolicy
from klines_pipeline.domain.symbol import check_symbol
from klines_pipeline.domain.universe import Contract, Excluded, SymbolFilter, check_pattern
from klines_pipeline.domain.utc_day import parse_day

_LIST, _FILTER = "<a list of symbols>", "<a filter>"
_AUTOMATION = Automation()


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
Owner = Annotated[str, _reader(check_owner)]
Word = Annotated[Excluded, _reader(Excluded.parse)]
ContractName = Annotated[Contract | None, _reader(Contract.parse)]
Pattern = Annotated[str | None, _reader(check_pattern)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class FilterParagraph(_Strict):
    """`symbols: {quote: [USDT], exclude: [leveraged], contract: perpetual, match: "^BTC"}`."""

    quote: list[Symbol] = Field(default_factory=list)
    exclude: list[Word] = Field(default_factory=list)
    contract: ContractName = None
    match: Pattern = None

    @model_validator(mode="after")
    def _says_something(self) -> "FilterParagraph":
        if not (self.quote or self.exclude or self.contract or self.match):
            known = ", ".join(FilterParagraph.model_fields)
            raise ValueError(f"an empty filter would mean every symbol there is. Give at least one of {known}.")
        return self

    def chosen(self) -> SymbolFilter:
        """As the rest of the project knows it."""
        exclude = frozenset(self.exclude)
        return SymbolFilter(quote=tuple(self.quote), exclude=exclude, contract=self.contract, match=self.match)


def _cadence(value: object) -> int:
    """Minutes that the clock's face can show: every tick at the same minutes of each day."""
    if isinstance(value, int) and not isinstance(value, bool) and value in CADENCES:
        return value
    raise ValueError(
        f"{value!r} minutes do not divide an hour or a day evenly. Use one of {', '.join(map(str, CADENCES))}."
    )


Cadence = Annotated[int, BeforeValidator(_cadence)]
"""Minutes between two ticks of a schedule."""


def _kind_of_symbols(value: object) -> str:
    return _FILTER if isinstance(value, dict | FilterParagraph) else _LIST


Symbols = Annotated[
    Annotated[list[Symbol], Field(min_length=1), Tag(_LIST)] | Annotated[FilterParagraph, Tag(_FILTER)],
    Discriminator(_kind_of_symbols),
]
"""Names, or a filter resolved for each day."""


class DatasetParagraph(_Strict):
    """One paragraph under `datasets`."""

    exchange: str = "binance"
    market: str = "spot"
    interval: IntervalName
    start: Day
    symbols: Symbols
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
        named = [] if isinstance(self.symbols, FilterParagraph) else self.symbols
        return Dataset(
            exchange=self.exchange,
            market=self.market,
            interval=self.interval,
            symbols=tuple(sorted(set(named))),
            chosen=self.symbols.chosen() if isinstance(self.symbols, FilterParagraph) else None,
            funding=self.funding,
            start=self.start,
            resample=tuple(sorted(set(self.resample), key=lambda target: INTERVALS.index(target.name))),
            on_checksum_mismatch=self.on_checksum_mismatch,
        )


class AutomationParagraph(_Strict):
    """`automation:`; what each field means stands in `domain.automation`."""

    enabled: bool = _AUTOMATION.enabled
    freshness_minutes: Cadence = _AUTOMATION.freshness_minutes
    days_per_run: int = Field(default=_AUTOMATION.days_per_run, ge=1, le=366)
    retry_seconds: int = Field(default=_AUTOMATION.retry_seconds, ge=0, le=300)
    straggler_share: float = Field(default=_AUTOMATION.straggler_share, gt=0, le=1)
    straggler_hours: float = Field(default=_AUTOMATION.straggler_hours, ge=0, le=480)
    revisit_days: int = Field(default=_AUTOMATION.revisit_days, ge=1, le=366)
    safety_net_days: int = Field(default=_AUTOMATION.safety_net_days, ge=1, le=366)

    def automation(self) -> Automation:
        """As the rest of the project knows it."""
        return Automation(**self.model_dump())


class ConfigFile(_Strict):
    """klines.yaml."""

    lake: str = Field(default="./lake", min_length=1)
    owners: list[Owner] = Field(default_factory=list)
    automation: AutomationParagraph = Field(default_factory=AutomationParagraph)
    datasets: list[DatasetParagraph] = Field(default_factory=list)


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
    location = tuple(part for part in detail["loc"] if part not in (_LIST, _FILTER))
    field = ".".join(str(part) for part in location) or "the file"
    message, given = detail["msg"], f" (given: {detail['input']!r})"
    if detail["type"] == "extra_forbidden":
        known = _model_at(location).model_fields
        message, given = f"no such field; the nearest valid one is {nearest_name(str(location[-1]), known)!r}.", ""
    elif detail["type"] == "value_error":
        message, given = str(detail["ctx"]["error"]), ""
    elif detail["type"] == "missing":
        message, given = "this field must be given.", ""
    return f"{name}, line {_line_of(text, location)}: {field}: {message}{given}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """What is read where a field stands."""
    if len(location) == 1:
        return ConfigFile
    if location[0] == "automation":
        return AutomationParagraph
    return FilterParagraph if "symbols" in location[:-1] else DatasetParagraph


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


def datasets_of(config: ConfigFile, name: str) -> tuple[Dataset, ...]:
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
