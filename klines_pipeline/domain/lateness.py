"""How late archives come: what all that waits for one, or gives one up, has to agree on."""

from datetime import timedelta

LONGEST_DELAY = timedelta(days=21)
"""Daily archives have been two weeks late (2022-09-14), monthly ones too (2023-11, 2024-02). After three weeks a
missing one is taken to be lost."""
