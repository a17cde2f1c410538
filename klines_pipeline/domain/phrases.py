"""Turns of phrase that many sentences need. What the sentences say stands where they are said."""

from collections.abc import Iterable


def some_of(things: Iterable[object], most: int, joint: str = ", ") -> str:
    """The first of them, at most `most`, and how many others: `A, B and 2 more`, or `A; B; and 2 more`."""
    texts = [str(thing) for thing in things]
    others = len(texts) - most
    named = joint.join(texts[:most])
    if others <= 0:
        return named
    return f"{named}{' ' if joint == ', ' else joint}and {others} more"
