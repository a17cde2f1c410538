"""The days of funding that nobody will mend unless asked to: the same that `watching.safety_net` finds of klines.

Only the lake is read; what Dagster says of the days is handed in as `said`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from klines_pipeline.domain.utc_day import day_start
from klines_pipeline.domain.wanted import Wanted
from klines_pipeline.exchanges.protocols import Market
from klines_pipeline.funding.schema import CERTIFICATE_SCHEMA
from klines_pipeline.funding.slices import is_settled
from klines_pipeline.stages.funding.dataset import FundingDataset, FundingUniverse
from klines_pipeline.stages.funding.freshness import unsettled
from klines_pipeline.stages.funding.state import certified_days, load_entries, load_slices, paths_of
from klines_pipeline.stages.watching import safety_net
from klines_pipeline.stages.watching.safety_net import Said, in_part, never_asked, unexplained
from klines_pipeline.storage.lake import Lake
from klines_pipeline.storage.tables import read_legible

_COLUMNS = pl.Schema({name: CERTIFICATE_SCHEMA[name] for name in ("symbol", "missing", "reason")})


def older_funding_days(lake: Lake, dataset: FundingDataset, before: date, today: date, longest: int) -> list[date]:
    """A seventh of the days certified before `before`: see `watching.safety_net.older_days`."""
    old = sorted(day for day in certified_days(lake, dataset) if dataset.start <= day < before)
    return safety_net.in_turn(old, today, longest)


def funding_repairs(
    lake: Lake, market: Market, dataset: FundingDataset, days: Sequence[date], today: date, said: Said
) -> list[Wanted]:
    """Days that are missing, damaged, certified in part only, or incomplete though REST could still be asked, and those
    `said` names. Gaps on which REST has been heard no run closes: when their archive comes, `news` asks for them.
    """
    net = _SafetyNet(lake, FundingUniverse(market, dataset, lambda _: None), today)
    return safety_net.repairs(net.problems(days, said, net.of_young))


def older_funding_repairs(
    lake: Lake, market: Market, dataset: FundingDataset, days: Sequence[date], today: date, said: Said, longest: int
) -> list[Wanted]:
    """The same of days long ago, newest first, a wish a stretch. They are not looked at for an end nobody certified."""
    net = _SafetyNet(lake, FundingUniverse(market, dataset, lambda _: None), today)
    return safety_net.repairs_in_stretches(net.problems(days, said, net.of_any), longest)


@dataclass(frozen=True, slots=True)
class _SafetyNet:
    lake: Lake
    universe: FundingUniverse
    today: date

    def problems(self, days: Sequence[date], said: Said, wrong: Callable[[date, pl.DataFrame], Iterable[str]]) -> Said:
        """What is wrong with each day."""
        dataset = self.universe.dataset
        merged = certified_days(self.lake, dataset).intersection(days)
        read = read_legible(self.lake, [paths_of(dataset, day).certificates for day in sorted(merged)], _COLUMNS)
        return safety_net.problems(read, days, merged, said, wrong)

    def of_any(self, day: date, certificates: pl.DataFrame) -> Iterator[str]:
        """What is wrong with the certificates of a day that was merged."""
        yield from never_asked(self.universe.named(day), certificates)
        yield from unexplained(self._unheard(day, self._asked_for(day, certificates)))

    def of_young(self, day: date, certificates: pl.DataFrame) -> Iterator[str]:
        """Likewise, and who is complete as far as it goes, which is not to the end."""
        yield from self.of_any(day, certificates)
        asked_for, dataset = self._asked_for(day, certificates), self.universe.dataset
        entries, slices = load_entries(self.lake, dataset, day), load_slices(self.lake, dataset, day)
        begun = set(asked_for.filter(pl.col("missing") == 0)["symbol"])
        open_ended = unsettled(begun, entries, slices, day, day_start(self.today))
        unselected = dataset.has_filters and slices.keys() - open_ended  # others were asked to the end, these were not
        if open_ended and not unselected:
            yield in_part(len(open_ended))

    def _asked_for(self, day: date, certificates: pl.DataFrame) -> pl.DataFrame:
        """Those of symbols that klines.yaml names; with a filter, all."""
        if self.universe.dataset.has_filters:
            return certificates
        return certificates.filter(pl.col("symbol").is_in(self.universe.named(day)))

    def _unheard(self, day: date, certificates: pl.DataFrame) -> pl.DataFrame:
        """Those with gaps of a day on which REST has not been heard to its end: a run would ask it."""
        gaps = certificates.filter(pl.col("missing") > 0)
        slices = load_slices(self.lake, self.universe.dataset, day) if gaps.height else {}
        unheard = [name for name in gaps["symbol"] if not is_settled(slices.get(name), day, day_start(self.today))]
        return gaps.filter(pl.col("symbol").is_in(unheard))
