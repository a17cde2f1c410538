"""What a rule found over many days, and the sentence that says so. No I/O, no Dagster; the rules stand in `quality`."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from klines_pipeline.klines.truths import Truth

_KEPT, _TOLD = 20, 3


class Breach(NamedTuple):
    """One symbol-day on which a truth does not hold, and how often; or what is wrong with a day as a whole."""

    day: date
    symbol: str
    times: int
    what: str = ""
    """In words, where no symbol is to be named."""

    def __str__(self) -> str:
        return f"{self.day} {self.what}" if self.what else f"{self.day} {self.symbol}: {self.times:,}"


@dataclass(slots=True)
class Looked:
    """What rules looked at."""

    days: list[date] = field(default_factory=list)
    symbols: set[str] = field(default_factory=set)
    empty: list[date] = field(default_factory=list)
    """Days with neither rows nor certificates: they break nothing, and prove nothing."""

    def add(self, day: date, symbols: Iterable[str], *, is_empty: bool) -> None:
        """Note a day."""
        self.days.append(day)
        self.symbols.update(symbols)
        if is_empty:
            self.empty.append(day)

    def __str__(self) -> str:
        span = f"{len(self.days)} days ({self.days[0]} to {self.days[-1]})" if len(self.days) > 1 else f"{self.days[0]}"
        return f"{span} and {counted(len(self.symbols), 'symbol')} looked at"


@dataclass(slots=True)
class Finding:
    """One rule over many days: how often it is broken, and where most."""

    rule: str
    looked: Looked = field(default_factory=Looked)
    breaches: int = 0
    symbol_days: int = 0
    bad_days: list[str] = field(default_factory=list)
    worst: list[Breach] = field(default_factory=list)
    """The gravest first, at most 20."""

    def add(self, day: date, symbol: str, count: int) -> None:
        """Note a breach."""
        self._note(Breach(day, str(symbol), count))

    def tell(self, day: date, what: str) -> None:
        """Note what is wrong with a day as a whole."""
        self._note(Breach(day, "", 1, what))

    def _note(self, breach: Breach) -> None:
        self.breaches += breach.times
        self.symbol_days += 1
        if str(breach.day) not in self.bad_days[-1:]:
            self.bad_days.append(str(breach.day))
        insort(self.worst, breach, key=lambda known: (not known.what, -known.times, *known[:2]))
        del self.worst[_KEPT:]

    def sentence(self, truth: Truth) -> str:
        """What was found, in words."""
        if not self.looked.days:
            return "No day was looked at."
        found = f"{self.looked}: no {truth.breach}." if not self.breaches else self._bad(truth)
        return " ".join([found, *self._unproven()])

    def _bad(self, truth: Truth) -> str:
        told = ", ".join(map(self._told, self.worst[:_TOLD]))
        more = f" and {counted(self.symbol_days - _TOLD, 'more symbol-day')}" if self.symbol_days > _TOLD else ""
        days = f"{len(self.bad_days)} of {counted(len(self.looked.days), 'day')} bad"
        return f"{days}, {counted(self.breaches, truth.breach)}: {told}{more}."

    def _told(self, breach: Breach) -> str:
        if breach.what:
            return f"{breach.day} {breach.what.removesuffix('.')}"
        often = f" ({breach.times:,})" if self.breaches > self.symbol_days else ""
        return f"{breach.day} {breach.symbol}{often}"

    def _unproven(self) -> list[str]:
        if not self.looked.empty:
            return []
        more = f" and {len(self.looked.empty) - _TOLD} more" if len(self.looked.empty) > _TOLD else ""
        return [f"The lake has nothing of {', '.join(map(str, self.looked.empty[:_TOLD]))}{more}."]


def counted(number: int, what: str) -> str:
    """`1 row out of order`, `1,440 rows out of order`; the noun is the first word of `what`, or follows `more`."""
    head = "more " if what.startswith("more ") else ""
    noun, _, rest = what.removeprefix(head).partition(" ")
    return f"{number:,} {head}{noun}{'' if number == 1 else 's'}{rest and ' '}{rest}"
