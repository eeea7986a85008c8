"""The operator's lists change by two people, and a protected handle is held back from then on."""

from __future__ import annotations

from typing import Any

import pytest
from tests import make

from onym.core.errors import Malformed, NotAllowed, SecondPersonNeeded, ShownChanged
from onym.flows import desk, lists
from onym.queries import standing
from onym.store.models import Event, ListEntry

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def team(database: Any, settings: Any) -> tuple[str, str]:
    settings.DEMO = True
    place = make.namespace()
    return make.member(place, roles="curator").id, make.member(place, roles="curator").id


def change(team: tuple[str, str], **wish: Any) -> Any:
    asked = {"name": "protected", "add": (), "remove": ()} | wish
    return lists.propose(namespace="demo", by=team[0], **asked)


def test_two_people_protect_a_handle_and_the_log_says_how_many(team: tuple[str, str]) -> None:
    made = change(team, add=["Red_Cross", "red_cross"])
    assert not ListEntry.objects.exists()
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=made.id, by=team[0], shown=made.shown)
    said = desk.approve(approval_id=made.id, by=team[1], shown=made.shown)
    assert said == {"list": "protected", "count": 1, "added": 1, "removed": 0}
    assert standing.seen(namespace="demo", handle="RED_CROSS").standing.state == "protected"
    assert Event.objects.filter(type="ProtectedListChanged").count() == 1
    back = change(team, remove=["red_cross"])
    desk.approve(approval_id=back.id, by=team[1], shown=back.shown)
    assert standing.seen(namespace="demo", handle="red_cross").standing.state == "free"


def test_a_list_that_changed_meanwhile_voids_the_proposal(team: tuple[str, str]) -> None:
    first, second = change(team, add=["one"]), change(team, add=["two"])
    desk.approve(approval_id=first.id, by=team[1], shown=first.shown)
    with pytest.raises(ShownChanged):
        desk.approve(approval_id=second.id, by=team[1], shown=second.shown)
    assert list(ListEntry.objects.values_list("handle", flat=True)) == ["one"]


REFUSED: list[dict[str, Any]] = [
    {},
    {"add": ["a"], "remove": ["A"]},
    {"name": "grey", "add": ["a"]},
]


@pytest.mark.parametrize("wish", REFUSED)
def test_a_change_that_is_none_is_refused(team: tuple[str, str], wish: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        change(team, **wish)


def test_only_who_may_edit_lists_asks_for_it(team: tuple[str, str], database: Any) -> None:
    from onym.store.models import Namespace

    stranger = make.member(Namespace.objects.get(), roles="reviewer").id
    with pytest.raises(NotAllowed):
        change((stranger, team[1]), add=["one"])
