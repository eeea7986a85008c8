"""The desk's tables refuse what no flow would write."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from tests import make

from onym.store.models import Approval, ShortlistEntry

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def team(database: Any) -> Any:
    return make.member(make.namespace(), roles="curator")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"state": "lost"}, "sweep_ends_once"),
        ({"state": "done", "ended_at": None}, "sweep_ends_once"),
        ({"state": "running"}, "sweep_ends_once"),
        ({"dry_run": True, "stock": "/somewhere"}, "dry_run_keeps_nothing"),
        ({"dry_run": True, "adopts": True}, "dry_run_keeps_nothing"),
    ],
)
def test_a_sweep_ends_once_and_a_dry_run_keeps_nothing(
    team: Any, changes: dict[str, Any], refused: str
) -> None:
    with pytest.raises(IntegrityError, match=refused):
        make.sweep(team.namespace, by=team.id, **changes)


def test_a_handle_stands_on_the_shortlist_once_and_somebody_took_it_off(team: Any) -> None:
    fields = {"namespace": team.namespace, "handle": "moon", "added_by": team}
    first = ShortlistEntry.objects.create(**fields, added_at=make.NOW)
    with pytest.raises(IntegrityError, match="shortlisted_once"):
        ShortlistEntry.objects.create(**fields, added_at=make.NOW)
    with pytest.raises(IntegrityError, match="taken_off_by_somebody"):
        ShortlistEntry.objects.filter(pk=first.pk).update(removed_at=make.NOW)


def test_an_approval_has_one_of_four_states(team: Any) -> None:
    fields = {"namespace": team.namespace, "action": "list", "payload": {}, "shown": "0" * 64}
    fields |= {"proposed_by": team, "proposed_at": make.NOW}
    Approval.objects.create(id="apr_1", **fields, state="withdrawn")
    with pytest.raises(IntegrityError, match="approval_state"):
        Approval.objects.create(id="apr_2", **fields, state="forgotten")
