"""The funnel and the verdicts of the newest sweep in use, counted and in order."""

from __future__ import annotations

from typing import Any

import pytest
from tests import lived_in, make

from onym.queries import funnel, ground
from onym.store.models import Handle, Reclaim

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def steps() -> dict[str, int]:
    return {step["step"]: step["count"] for step in funnel.funnel("demo")}


def own_way(place: Any, plan: Any, name: str, *, state: str, **changes: Any) -> Handle:
    """A handle of the plan's first part that has a way of its own."""
    row = make.handle(place, name, state=state)
    Reclaim.objects.create(
        handle=row,
        plan=plan,
        bucket=100,
        account_id=row.account_id,
        verdict="reclaim",
        reasons=["idle_login"],
        resting_days=30,
        written=state,
        looked_at=make.NOW,
        **changes,
    )
    return row


def test_before_any_sweep_is_in_use_there_is_nothing_to_count(place: Any) -> None:
    assert funnel.funnel("demo") == []
    assert funnel.verdicts("demo") is None


def test_the_funnel_counts_how_far_the_findings_have_come(place: Any) -> None:
    now = ground.of("demo").now
    plan = lived_in.adopted(place, now)
    before = steps()
    assert list(before) == list(funnel.STEPS)
    assert (before["accounts"], before["findings"]) == (200, 72)
    assert (before["kept"], before["listed"], before["sold"]) == (0, 0, 0)
    own_way(place, plan, "way1", state="held", ended_at=now, ending="kept")
    listed = own_way(place, plan, "way2", state="released")
    house = place.member_set.get(is_house=True)
    lived_in.listed(listed, house, minor=900, at=now)
    bought = own_way(place, plan, "way3", state="held", ended_at=now, ending="gone")
    buyer = make.member(place, account="acc-nadia")
    lived_in.sale(bought, buyer, house, minor=900, at=now, kind="primary")
    after = steps()
    assert (after["kept"], after["listed"], after["sold"]) == (1, 2, 1)
    assert after["accounts"] >= after["findings"] >= after["warned"] >= after["resting"]
    assert after["resting"] >= after["released"] >= after["listed"] >= after["sold"]


def test_verdicts_come_with_their_reasons_the_most_frequent_first(place: Any) -> None:
    lived_in.adopted(place, ground.of("demo").now)
    told = funnel.verdicts("demo")
    assert told is not None
    assert told["policy"] == "x-2023/1"
    assert told["verdicts"] == [
        {"verdict": "keep", "count": 128, "reasons": []},
        {"verdict": "reclaim", "count": 72, "reasons": [{"code": "idle_login", "count": 72}]},
    ]
