"""What a run knows of funding before its days begin: what is published, since when symbols are listed, what time it is.

Nothing is written here; the lake is only asked for symbols that the exchange has forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from klines_pipeline.domain.errors import BlockedError, TransientError
from klines_pipeline.exchanges.funding import FundingSource, FundingSurvey
from klines_pipeline.funding.months import month_of
from klines_pipeline.stages.funding.dataset import FundingUniverse
from klines_pipeline.stages.funding.newcomers import place
from klines_pipeline.storage.lake import Lake

_NO_SURVEY = FundingSurvey(None, {}, {}, {})


@dataclass(slots=True)
class FundingOutlook:
    """The exchange's side of a run, looked at once. `lists`, `asks`: whether the bucket or REST is part of the run."""

    lake: Lake
    source: FundingSource
    universe: FundingUniverse
    days: Sequence[date]
    lists: bool
    asks: bool
    answer: tuple[FundingSurvey, datetime | None] | None = None

    def look(self) -> tuple[FundingSurvey, datetime | None]:
        """What is published and the exchange's time; neither where only earlier runs' ledgers are worked on.

        UnknownNameError for a symbol that nobody ever had.
        """
        if self.answer is None:
            self.answer = self._without_archives() if self.source.archive is None else self._with_archives()
        return self.answer

    def _without_archives(self) -> tuple[FundingSurvey, datetime | None]:
        if not self.asks:
            return _NO_SURVEY, None
        now = self.source.api.now()
        return self._placed(FundingSurvey(now, {}, {}, {}, frozenset(self.universe.symbols()))), now

    def _with_archives(self) -> tuple[FundingSurvey, datetime | None]:
        if not self.lists or self.source.archive is None:
            return _NO_SURVEY, None
        months = sorted({month_of(day) for day in self.days})
        survey = self._placed(self.universe.confirmed(self.source.archive.survey(self.universe.symbols(), months)))
        if survey.now is not None:
            return survey, survey.now
        try:
            return survey, self.source.api.now()
        except (TransientError, BlockedError) as error:
            listing = next(iter(survey.failed.values()), "")
            raise TransientError(f"Neither the bucket nor REST answers: {listing} {error}") from None

    def _placed(self, survey: FundingSurvey) -> FundingSurvey:
        return place(self.universe, self.lake, survey, min(self.days))
