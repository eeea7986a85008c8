"""The database refuses what reclaim promises never to do, whoever writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection
from tests import make

from onym.core.errors import NotFound
from onym.store import reclaim
from onym.store.models import Appeal, Plan, PlanPart, Reclaim, StopPeriod

pytestmark = pytest.mark.usefixtures("database")
NOW = make.NOW
PERIODS = {"notice_days": [30, 14, 3], "release_daily": 10, "idle_days": 30}


@pytest.fixture
def place(database: Any) -> Any:
    return make.namespace()


def plan(place: Any, **changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "id": "pln_1",
        "namespace": place,
        "policy_name": "x-2023",
        "policy_version": 1,
        "path": "/stock",
        "as_of": NOW,
        "periods": PERIODS,
        "stages": [[100, NOW.isoformat()]],
        "adopted_at": NOW,
    }
    return Plan.objects.create(**fields | changes)


def process(place: Any, **changes: Any) -> Reclaim:
    fields: dict[str, Any] = {
        "handle": changes.pop("handle", None) or make.handle(place, "sunset"),
        "plan": changes.pop("plan", None) or plan(place),
        "bucket": 0,
        "account_id": "acc-sunset",
        "verdict": "reclaim",
        "reasons": ["idle_login"],
    }
    return Reclaim.objects.create(**fields | changes)


def refuses(name: str, sql: str, *values: object) -> None:
    with pytest.raises(IntegrityError, match=name), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_a_handle_is_released_after_a_look_or_not_at_all(place: Any) -> None:
    one = process(place)
    sql = "update store_reclaim set written = 'released' where id = %s"
    refuses("released_after_a_look", sql, one.pk)


def test_an_ended_process_says_how_and_when(place: Any) -> None:
    one = process(place)
    refuses("process_ending", "update store_reclaim set ended_at = now() where id = %s", one.pk)
    refuses("process_ending", "update store_reclaim set ending = 'kept' where id = %s", one.pk)
    sql = "update store_reclaim set ended_at = now(), ending = 'lost' where id = %s"
    refuses("process_ending", sql, one.pk)


def test_a_handle_is_on_one_way_at_a_time(place: Any) -> None:
    one = process(place)
    other = plan(place, id="pln_2", path="/other")
    with pytest.raises(IntegrityError, match="one_open_process"):
        process(place, handle=one.handle, plan=other)
    Reclaim.objects.update(ended_at=NOW, ending="kept")
    with pytest.raises(IntegrityError, match="one_process_per_plan"):
        process(place, handle=one.handle, plan=one.plan)
    assert process(place, handle=one.handle, plan=other).pk


def test_a_stock_is_in_use_once(place: Any) -> None:
    plan(place)
    with pytest.raises(IntegrityError, match="one_plan_per_stock"):
        plan(place, id="pln_2")


def test_a_part_has_buckets_and_stands_once(place: Any) -> None:
    made = plan(place)
    fields = {"plan": made, "stage": 0, "low": 0, "high": 100, "starts_at": NOW, "sent": [None]}
    PlanPart.objects.create(**fields)
    with pytest.raises(IntegrityError, match="one_part"):
        PlanPart.objects.create(**fields)
    with pytest.raises(IntegrityError, match="part_has_buckets"):
        PlanPart.objects.create(**fields | {"low": 100})


def test_there_is_one_stop_at_a_time_and_it_ends_after_it_began(place: Any) -> None:
    StopPeriod.objects.create(namespace=place, since=NOW)
    with pytest.raises(IntegrityError, match="one_stop_at_a_time"):
        StopPeriod.objects.create(namespace=place, since=NOW)
    with pytest.raises(IntegrityError, match="stop_forward"):
        StopPeriod.objects.create(namespace=place, since=NOW, until=make.LONG_AGO)


def test_an_appeal_is_open_once_and_decided_by_somebody(place: Any) -> None:
    one = process(place)
    fields: dict[str, Any] = {
        "namespace": place,
        "handle": one.handle,
        "process": one,
        "account_id": "acc-sunset",
        "text_sealed": b"",
        "opened_at": NOW,
    }
    Appeal.objects.create(id="apl_1", **fields)
    with pytest.raises(IntegrityError, match="one_open_appeal"):
        Appeal.objects.create(id="apl_2", **fields)
    refuses("appeal_decided_by_somebody", "update store_appeal set state = 'upheld'")
    sql = "update store_appeal set state = 'lost', decided_at = now(), decided_by_id = 'mbr_house'"
    refuses("appeal_state", sql)
    refuses("compensation", "update store_appeal set compensation_minor = -1")


def test_the_stop_of_the_first_day_lasts_until_it_is_lifted(place: Any) -> None:
    assert reclaim.stops(place.id) == ()
    place.release_stop = True
    place.save()
    (first,) = reclaim.stops(place.id)
    assert (first.since, first.until) == (place.created_at, None)
    StopPeriod.objects.create(namespace=place, since=place.created_at, until=NOW)
    assert [stop.until for stop in reclaim.stops(place.id)] == [NOW, None]
    assert reclaim.stops(place.id)[1].since == NOW


@pytest.mark.parametrize("account", ["1008", "AbC", "did:plc:é", "a.b~c"])
def test_a_keep_link_says_what_was_put_into_it(place: Any, account: str) -> None:
    told = {"namespace": "demo", "handle": "sunset", "account_id": account, "plan": "pln_1"}
    token = reclaim.keep_token(**told)
    assert token == reclaim.keep_token(**told)  # a notice sent again is the same notice
    claim = reclaim.read_keep_token(token)
    assert (claim.handle, claim.account_id, claim.plan) == ("sunset", account, "pln_1")


def test_a_link_for_one_account_is_none_for_another_of_other_case(place: Any) -> None:
    import base64
    import json

    told = {"namespace": "demo", "handle": "sunset", "plan": "pln_1"}
    signature = reclaim.keep_token(**told, account_id="abc").partition(".")[2]
    plain = json.dumps(["demo", "sunset", "ABC", "pln_1"]).encode()
    forged = base64.urlsafe_b64encode(plain).decode().rstrip("=") + "." + signature
    with pytest.raises(NotFound):
        reclaim.read_keep_token(forged)


def test_instants_come_back_as_they_were(place: Any) -> None:
    made = plan(place)
    PlanPart.objects.create(
        plan=made, stage=0, low=0, high=9, starts_at=NOW, sent=[NOW, None, None], resting=[[30, 2]]
    )
    (part,) = Plan.objects.get().snapshot().parts
    assert (part.sent, part.resting) == ((NOW, None, None), ((30, 2),))
    assert isinstance(part.starts_at, datetime)
