"""Which symbols' funding is kept: those of every paragraph of one market that asks for it, delivery contracts left out.

Paragraphs with a filter mean, on each day, the symbols that lived then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, ConfigurationError, TransientError
from klines_pipeline.domain.states import NEVER_ASKED, ChecksumPolicy, Life
from klines_pipeline.domain.universe import SymbolFacts
from klines_pipeline.exchanges.funding import FundingSource, FundingSurvey, Lifetime
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.months import month_of
from klines_pipeline.stages.symbols.universe import Universe


@dataclass(frozen=True, slots=True)
class FundingDataset:
    """The paragraphs of klines.yaml that ask for the funding of one market; there is at least one."""

    exchange: str
    market: str
    paragraphs: tuple[Dataset, ...]

    @property
    def prefix(self) -> tuple[str, str]:
        """First parts of every asset key of it."""
        return (self.exchange, self.market)

    @property
    def start(self) -> date:
        """The earliest first day."""
        return min(paragraph.start for paragraph in self.paragraphs)

    @property
    def has_filters(self) -> bool:
        """Whether some of its symbols are those a filter selects."""
        return any(paragraph.chosen is not None for paragraph in self.paragraphs)

    @property
    def uses_agreeing_archives(self) -> bool:
        """Whether archives without a valid checksum count where REST agrees: only if every paragraph says so."""
        return all(paragraph.on_checksum_mismatch is ChecksumPolicy.CROSS_CHECK for paragraph in self.paragraphs)

    def __str__(self) -> str:
        return "/".join((*self.prefix, "funding"))


def funding_datasets(datasets: Sequence[Dataset]) -> list[FundingDataset]:
    """One a market, in order of the markets' names."""
    markets = sorted({dataset.prefix for dataset in datasets if dataset.funding})
    return [
        FundingDataset(*prefix, tuple(found for found in datasets if found.funding and found.prefix == prefix))
        for prefix in markets
    ]


def source_of(market: Market, dataset: FundingDataset) -> FundingSource:
    """The market's funding; ConfigurationError where it has none."""
    if market.funding is None:
        raise ConfigurationError(f"{dataset}: {' '.join(dataset.prefix)} has no funding rates; leave `funding:` out.")
    return market.funding


@dataclass(slots=True)
class FundingUniverse:
    """The symbols of one run: filters are resolved once, and only if there are any."""

    market: Market
    dataset: FundingDataset
    log: Callable[[str], None]
    _filters: list[Universe] = field(init=False)
    _asking: Universe = field(init=False)
    _chosen: dict[str, date] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        paragraphs = sorted(self.dataset.paragraphs, key=lambda found: found.start, reverse=True)
        self._filters = [Universe(self.market, found, self.log) for found in paragraphs if found.chosen is not None]
        self._asking = self._filters[0] if self._filters else Universe(self.market, paragraphs[0], self.log)

    def symbols(self) -> tuple[str, ...]:
        """Every symbol that any day may mean."""
        return tuple(sorted({*self.named(), *self._selected()}))

    def of_day(self, survey: FundingSurvey, day: date) -> tuple[str, ...]:
        """Symbols named, and those a filter selects that were neither unlisted nor gone by then.

        A paragraph counts from its own first day on.
        """
        named, month = self.named(day), month_of(day)
        selected = {
            symbol
            for symbol, start in self._selected().items()
            if start <= day
            and survey.lifetimes.get(symbol, Lifetime()).at(day) not in NEVER_ASKED
            and self._lives(survey.lives.get((symbol, month), ()), symbol)
        }
        return tuple(sorted(named | selected))

    def named(self, day: date = date.max) -> set[str]:
        """Symbols that klines.yaml names; with a day, in paragraphs that have begun by then."""
        settles = source_of(self.market, self.dataset).settles
        plain = (found for found in self.dataset.paragraphs if found.chosen is None and found.start <= day)
        return {symbol for paragraph in plain for symbol in paragraph.symbols if settles(symbol)}

    def traded(self) -> Mapping[str, SymbolFacts]:
        """Every symbol REST names today; TransientError or BlockedError where it cannot be asked."""
        return self._asking.named()

    def confirmed(self, survey: FundingSurvey) -> FundingSurvey:
        """Nobody is called gone whom REST still names as trading, or while REST cannot be asked for its list."""
        gone = {symbol for (symbol, _), lives in survey.lives.items() if Life.DELISTED in lives}
        doubted = {symbol for symbol in gone if self._may_trade(symbol)}
        doubts = {
            key: (Life.PERHAPS_DELISTED,)
            for key, lives in survey.lives.items()
            if Life.DELISTED in lives and key[0] in doubted
        }
        return replace(survey, lives={**survey.lives, **doubts})

    def _may_trade(self, symbol: str) -> bool:
        try:
            facts = self.traded().get(symbol)
        except (TransientError, BlockedError):
            return True
        return facts is not None and not (facts.pending or facts.ended)

    def check_contracts(self) -> None:
        """Name contracts without funding in the log, once; ConfigurationError where klines.yaml names no other."""
        settles = source_of(self.market, self.dataset).settles
        listed = {symbol for paragraph in self.dataset.paragraphs for symbol in paragraph.symbols}
        delivered = ", ".join(sorted(symbol for symbol in listed if not settles(symbol)))
        if not delivered:
            return
        text = f"{self.dataset}: {delivered} is delivered on a date and has no funding"
        if not self.named() and not self.dataset.has_filters:
            raise ConfigurationError(f"{text}. Name a perpetual, or leave `funding:` out.")
        self.log(f"{text}; it is left out.")

    def _selected(self) -> dict[str, date]:
        """Symbols that a filter selects, each with the first day of the earliest paragraph that does."""
        if self._chosen is None:
            settles, latest_first = source_of(self.market, self.dataset).settles, self._filters
            self._chosen = {
                name: known.dataset.start for known in latest_first for name in known.whole().symbols if settles(name)
            }
        return self._chosen

    def _lives(self, lives: Sequence[Life], symbol: str) -> bool:
        """A symbol whose archives ended is only asked for again while REST still names it."""
        if Life.PERHAPS_DELISTED in lives:
            try:
                return symbol in self.traded()
            except (TransientError, BlockedError):
                return True
        return not NEVER_ASKED.intersection(lives)
