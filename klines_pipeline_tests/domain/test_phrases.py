"""Many names in few words."""

import pytest

from klines_pipeline.domain.phrases import some_of


@pytest.mark.parametrize(
    ("names", "joint", "text"),
    [
        ("", ", ", ""),
        ("A", ", ", "A"),
        ("AB", ", ", "A, B"),
        ("ABC", ", ", "A, B and 1 more"),
        ("ABCD", "; ", "A; B; and 2 more"),
    ],
)
def test_the_first_are_named_and_the_others_counted(names: str, joint: str, text: str) -> None:
    assert some_of(names, 2, joint) == text
