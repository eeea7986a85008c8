"""Claims are met the oldest first, each by at most what is owed of it."""

from __future__ import annotations

import pytest

from onym.core.recovery import Owed, shares

CASES = [
    ([], 10, {}),
    ([Owed("a", 4, 4)], 10, {"a": 4}),
    ([Owed("a", 4, 4)], 3, {"a": 3}),
    ([Owed("a", 9, 2), Owed("b", 5, 5)], 10, {"a": 2, "b": 5}),
    ([Owed("a", 9, 9), Owed("b", 5, 5)], 10, {"a": 9, "b": 1}),
    ([Owed("a", 9, 9), Owed("b", 5, 5)], 9, {"a": 9}),
    ([Owed("a", 5, 0), Owed("b", 5, -3)], 9, {}),
]


@pytest.mark.parametrize(("claims", "out_of", "taken"), CASES)
def test_what_is_taken_is_owed_and_there(
    claims: list[Owed], out_of: int, taken: dict[str, int]
) -> None:
    assert shares(claims, out_of=out_of) == taken
