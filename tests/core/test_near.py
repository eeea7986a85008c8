"""Names one slip apart, and names that look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import near
from onym.core.names import skeleton

SLIPS = [
    ("moon", "moo", True),
    ("moon", "mooon", True),
    ("moon", "noon", True),
    ("moon", "mono", True),
    ("moon", "omon", True),
    ("moon", "moon", False),
    ("moon", "mnoo", False),
    ("moon", "moonxx", False),
    ("moon", "sun", False),
    ("ab", "ba", True),
    ("a", "", True),
]


@pytest.mark.parametrize(("one", "other", "is_near"), SLIPS)
def test_one_slip_of_the_finger_is_near_and_two_are_not(
    one: str, other: str, is_near: bool
) -> None:
    assert near.is_one_edit(one, other) is is_near
    assert near.is_one_edit(other, one) is is_near


NAMES = st.text("ab01_", min_size=1, max_size=6)


@given(NAMES, NAMES)
def test_a_name_is_one_edit_away_exactly_if_it_is_among_all_that_are(one: str, other: str) -> None:
    assert near.is_one_edit(one, other) == (other in near.one_edit(one))


def test_a_long_name_has_no_neighbours_that_are_worth_asking_for() -> None:
    assert near.one_edit("a" * (near.LONGEST + 1)) == []
    assert near.one_edit("") == []


@pytest.mark.parametrize(
    ("handle", "alike"), [("moon", "m00n"), ("moon", "mo0n"), ("rnoon", "moon"), ("il", "i1")]
)
def test_names_that_look_the_same_are_found_in_both_directions(handle: str, alike: str) -> None:
    assert alike in near.look_alikes(handle)
    assert handle in near.look_alikes(alike)


@given(NAMES)
def test_a_look_alike_has_the_same_skeleton_and_is_another_name(handle: str) -> None:
    for other in near.look_alikes(handle):
        assert skeleton(other) == skeleton(handle)
        assert other != handle
