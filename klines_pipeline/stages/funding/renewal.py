"""Days that lie in the lake, made from an archive rewritten since: merged anew with the days that noticed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from klines_pipeline.domain.errors import KlinesError
from klines_pipeline.stages.funding.archive import publish_entries
from klines_pipeline.stages.funding.dataset import FundingDataset
from klines_pipeline.stages.funding.merge import merge
from klines_pipeline.stages.funding.results import ArchivedFunding, ToppedUpFunding
from klines_pipeline.stages.funding.state import MirrorRows
from klines_pipeline.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Renewed:
    """Days of a month that are up to date again, and why others could not be."""

    days: tuple[date, ...] = ()
    problem: str | None = None


def renew(
    lake: Lake,
    dataset: FundingDataset,
    stale: Mapping[date, ArchivedFunding],
    topped_up: Mapping[date, ToppedUpFunding],
    damaged: Mapping[date, Mapping[str, str]],
    mirror: MirrorRows,
) -> Renewed:
    """Merge stale days, then say so in their archives ledgers: until then every run finds them stale again."""
    done, problems = list[date](), list[str]()
    for day, archived in sorted(stale.items()):
        try:
            if day not in topped_up:
                raise KlinesError("REST was not asked.")
            merged = merge(lake, dataset, archived, topped_up[day], mirror)
            if failed := {**topped_up[day].failed, **damaged.get(day, {})}:
                raise KlinesError(next(iter(failed.values())))
            if merged.problem:
                raise KlinesError(merged.problem)
            publish_entries(lake, dataset, archived)
            done.append(day)
        except KlinesError as error:
            problems.append(f"{day} was made from an archive rewritten since and could not be renewed: {error}")
    return Renewed(tuple(done), " ".join(problems) or None)
