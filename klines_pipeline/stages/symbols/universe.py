"""Which symbols a dataset means on which day: those klines.yaml names, or those its filter selects that traded then.

A filter looks at everything the bucket has ever held and REST names today; whether a symbol traded on a day, the survey
of that day tells. So a day of 2021 gets the symbols of 2021, the delisted ones included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, ConfigurationError, TransientError, UnknownNameError
from klines_pipeline.domain.phrases import some_of
from klines_pipeline.domain.states import NEVER_ASKED, Life
from klines_pipeline.domain.universe import SymbolFacts, undecided
from klines_pipeline.exchanges.protocols import Market, Survey
from klines_pipeline.stages.symbols.life_table import Sizes, contract_sizes
from klines_pipeline.storage.lake import Lake

_NAMED = 10


@dataclass(slots=True)
class Universe:
    """A dataset's symbols, for one run: REST and the bucket's folders are asked once, and only if needed."""

    market: Market
    dataset: Dataset
    log: Callable[[str], None]
    remembered: Callable[[], Mapping[str, SymbolFacts]] = dict
    """What the lake knows of symbols: a market that names only what trades today forgets the others."""
    _sizes: Sizes = field(default=Sizes({}), init=False)
    _named: Mapping[str, SymbolFacts] | None = field(default=None, init=False)
    _archived: bool = field(default=False, init=False)
    _trouble: TransientError | BlockedError | None = field(default=None, init=False)
    _whole: Dataset | None = field(default=None, init=False)
    _dark: TransientError | None = field(default=None, init=False)

    def named(self) -> Mapping[str, SymbolFacts]:
        """Every symbol REST names today; TransientError or BlockedError where it cannot be asked."""
        if self._trouble is not None:
            raise self._trouble.with_traceback(None)
        if self._named is None:
            try:
                self._named = self.market.api.symbols()
            except (TransientError, BlockedError) as error:
                self._trouble = error
                raise
        return self._named

    def whole(self) -> Dataset:
        """The dataset with every symbol it may mean on any day."""
        if self._whole is None:
            self._whole = self.dataset if self.dataset.chosen is None else self._selected()
        return self._whole

    @property
    def asked(self) -> str | None:
        """The filter whose symbols are looked for; None for names, and while the bucket cannot tell who there was."""
        return None if self.dataset.chosen is None or self._dark else str(self.dataset.chosen)

    def of_day(self, survey: Survey, day: date, now: datetime) -> Dataset:
        """The dataset with the symbols of one day. For a day in progress REST says who trades."""
        whole = self.whole()
        if self.dataset.chosen is None:
            return whole
        lives = {name: survey.lives.get((name, day)) for name in whole.symbols}
        traded = [name for name, life in lives.items() if self._traded(name, life, ended=day < now.date())]
        return replace(whole, symbols=tuple(traded))

    def _traded(self, name: str, life: Life | None, *, ended: bool) -> bool:
        """Where the bucket cannot tell yet (today, and some weeks after a last archive), REST's list of today does."""
        if life in NEVER_ASKED:
            return False
        if self._named is None or (ended and life is not Life.PERHAPS_DELISTED):
            return True
        return name in self._named and not (self._named[name].pending or self._named[name].ended)

    def remembers(self, symbol: str) -> bool:
        """Whether the lake has met the symbol before."""
        return symbol in self.remembered()

    def contract_sizes(self, lake: Lake, symbols: Sequence[str]) -> Sizes:
        """See `symbols.contract_sizes`; nothing for markets that count in coins."""
        if "contracts" not in self.market.schema:
            return Sizes({})
        if not self._sizes.known.keys() >= set(symbols):
            self._sizes = contract_sizes(lake, self.market, self.dataset.prefix, symbols, self.named)
        return self._sizes

    def _selected(self) -> Dataset:
        chosen, facts = self.dataset.chosen, self._everything()
        if chosen is None:
            return self.dataset
        quotes = {known.quote for known in facts.values() if known.quote}
        for quote in chosen.quote:
            if quote not in quotes:
                raise UnknownNameError("quote asset", quote, quotes, where=f"{self.dataset}, symbols")
        if unknown := undecided(facts.values(), chosen):
            names = some_of(unknown, _NAMED)
            self.log(f"{self.dataset}: nobody knows the quote asset of {names}; name them to have them.")
        symbols = sorted(name for name, known in facts.items() if chosen.selects(known))
        if not symbols:
            raise ConfigurationError(f"{self.dataset}, symbols: the filter selects none of {len(facts)} symbols.")
        whose = "delisted ones included" if self._archived else "of those REST names today or the lake remembers"
        self.log(f"{self.dataset}: the filter selects {len(symbols)} of {len(facts)} symbols, {whose}")
        return replace(self.dataset, symbols=tuple(symbols))

    def _with_archives(self) -> Sequence[str]:
        """Symbols with archives; while the bucket cannot be listed none, so that a day in progress goes on without."""
        try:
            return self.market.archive.symbols()
        except TransientError as error:
            self.log(f"{self.dataset}: the bucket's symbols are not known now: {error}")
            self._dark = error
            return ()

    def _everything(self) -> dict[str, SymbolFacts]:
        """Facts of every symbol with archives, or named and trading, or remembered; without REST, by their names."""
        known, archived = self.remembered(), self._with_archives()
        self._archived = bool(archived)
        try:
            today = self.named()
        except (TransientError, BlockedError) as error:
            if not (archived or known):
                raise self._dark or error from None
            self.log(f"Symbols are judged by their names alone: {error}")
            today = {}
        trading = (name for name, facts in today.items() if not (facts.pending or facts.ended))
        names = sorted({*archived, *known, *trading})
        return {name: today.get(name) or known.get(name) or self.market.describe(name) for name in names}
