"""How late archives come: what all that waits for one, or gives one up, has to agree on."""

from datetime import timedelta

LONGEST_DELAY = timedelta(days=21)
"""Daily archives have been two weeks late (2022-09-14), monthly ones too (2023-11, 2024-02). After three weeks a
missing one is taken to be lost."""

OVERDUE = timedelta(days=3)
"""One symbol's archive, when others of its day are there, has come minutes or hours late; past this it is missing."""

LONGEST_ACCIDENT = timedelta(days=7)
"""Archives missing for longer are a hole in a symbol's life; up to it, late or lost files."""
