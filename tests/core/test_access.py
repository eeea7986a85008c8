"""The two tables of who may do what, and when the market lets them."""

from __future__ import annotations

import pytest

from onym.core import access
from onym.core.access import Action, Phase, Way
from onym.core.errors import NotAllowed, PhaseClosed
from onym.core.people import Member

MATRIX = {
    "curator": set(Action) - {Action.PUBLISH},
    "reviewer": {Action.READ_DESK, Action.DECIDE_APPEAL, Action.DECIDE_CLAIM},
    "auditor": {Action.READ_DESK},
    "operator": set(Action),
    "nobody": set(),
}


@pytest.mark.parametrize("role", MATRIX)
@pytest.mark.parametrize("action", list(Action))
def test_a_role_may_what_the_matrix_says(role: str, action: Action) -> None:
    member = Member("m", namespace="moon", roles=frozenset({role}))
    if action in MATRIX[role]:
        access.expect(member, action, namespace="moon")
    else:
        with pytest.raises(NotAllowed):
            access.expect(member, action, namespace="moon")


@pytest.mark.parametrize("action", list(Action))
def test_staff_act_in_their_own_namespace_only(action: Action) -> None:
    member = Member("m", namespace="moon", roles=frozenset({"operator"}))
    with pytest.raises(NotAllowed):
        access.expect(member, action, namespace="sun")


def test_the_house_itself_has_no_role() -> None:
    with pytest.raises(NotAllowed):
        access.expect(Member("h", namespace="moon", is_house=True), Action.LIST, namespace="moon")


PHASES = {
    Phase.CLOSED: set(),
    Phase.INVITED: {Way.INVITATION, Way.HOUSE_PURCHASE},
    Phase.OPEN: set(Way),
}


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("way", list(Way))
def test_each_phase_allows_what_the_one_before_allows(phase: Phase, way: Way) -> None:
    if way in PHASES[phase]:
        access.expect_phase(phase, way)
    else:
        with pytest.raises(PhaseClosed):
            access.expect_phase(phase, way)
    order = list(Phase)
    later = order[order.index(phase) :]
    assert all(PHASES[phase] <= PHASES[one] for one in later)
