"""Which symbols a dataset means on which day: those klines.yaml names, or those its filter selects that traded then.

A filter looks at everything the bucket has ever held and REST names today; whether a symbol traded on a day, the survey
of that day tells. So a day of 2021 gets the symbols of 2021, the delisted ones included.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from klines_pipeline.domain.dataset import Dataset
from klines_pipeline.domain.errors import BlockedError, ConfigurationError, TransientError
from klines_pipeline.domain.states import NEVER_ASKED, Life
from klines_pipeline.domain.universe import SymbolFacts, undecided
from klines_pipeline.exchanges.protocols import Market, Survey
from klines_pipeline.stages.symbols import contract_sizes
from klines_pipeline.storage.lake import Lake

_NAMED = 10


@dataclass(slots=True)
class Universe:
    """A dataset's symbols, for one run: REST and the bucket's folders are asked once, and only if needed."""

    market: Market
    dataset: Dataset
    log: Callable[[str], None]
    _sizes: Mapping[str, float] | None = field(default=None, init=False)
    _named: Mapping[str, SymbolFacts] | None = field(default=None, init=False)
    _whole: Dataset | None = field(default=None, init=False)

    def named(self) -> Mapping[str, SymbolFacts]:
        """Every symbol REST names today; TransientError or BlockedError where it cannot be asked."""
        if self._named is None:
            self._named = self.market.api.symbols()
        return self._named

    def whole(self) -> Dataset:
        """The dataset with every symbol it may mean on any day."""
        if self._whole is None:
            self._whole = self.dataset if self.dataset.chosen is None else self._selected()
        return self._whole

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

    def contract_sizes(self, lake: Lake) -> Mapping[str, float]:
        """See `symbols.contract_sizes`; of every symbol the dataset may mean."""
        if self._sizes is None:
            names = self.whole().symbols if "contracts" in self.market.schema else ()
            self._sizes = contract_sizes(lake, self.market, self.dataset.prefix, names)
        return self._sizes

    def _selected(self) -> Dataset:
        chosen, facts = self.dataset.chosen, everything(self.market, self.named, self.log)
        if chosen is None:
            return self.dataset
        if unknown := undecided(facts.values(), chosen):
            more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
            names = ", ".join(unknown[:_NAMED])
            self.log(f"{self.dataset}: nobody knows the quote asset of {names}{more}; name them to have them.")
        symbols = sorted(name for name, known in facts.items() if chosen.selects(known))
        if not symbols:
            raise ConfigurationError(f"{self.dataset}, symbols: the filter selects none of {len(facts)} symbols.")
        self.log(f"{self.dataset}: the filter selects {len(symbols)} of {len(facts)} symbols, delisted ones included")
        return replace(self.dataset, symbols=tuple(symbols))


def everything(
    market: Market, named: Callable[[], Mapping[str, SymbolFacts]], log: Callable[[str], None]
) -> dict[str, SymbolFacts]:
    """Facts of every symbol with archives, or named by REST and trading; where REST is silent, by their names alone."""
    archived = market.archive.symbols()
    try:
        today = named()
    except (TransientError, BlockedError) as error:
        if not archived:
            raise
        log(f"Symbols are judged by their names alone: {error}")
        today = {}
    trading = (name for name, facts in today.items() if not (facts.pending or facts.ended))
    return {name: today.get(name) or market.describe(name) for name in sorted({*archived, *trading})}
