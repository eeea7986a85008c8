"""Bulk writes the rows that one by one writes, in order, under the same constraints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection
from tests import make

from onym.store import bulk
from onym.store.models import BookAccount, Entry, Event, Member, Notice, Posting

AT = datetime(2026, 11, 27, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def place(database: str) -> Any:
    return make.namespace()


def notice(place: Any, number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"ntc_{number}",
        "namespace_id": place.id,
        "kind": "sale_settled",
        "about": f"sal_{number}",
        "facts": {"handle": "zoë\\ \"'%s\n🌙", "days": 3, "none": None},
        "channel": "mail",
        "address_sealed": bytes(range(256)),
        "made_at": AT,
    } | more


def rows(model: Any) -> list[dict[str, Any]]:
    found = list(model.objects.order_by("pk").values())
    return [{k: bytes(v) if isinstance(v, memoryview) else v for k, v in r.items()} for r in found]


def test_rows_in_bulk_are_those_that_one_by_one_writes_to_the_byte(place: Any) -> None:
    given = [notice(place, number) for number in range(3)]
    bulk.insert(Notice, given)
    in_bulk = rows(Notice)
    with connection.cursor() as cursor:
        cursor.execute("delete from store_notice")
    for one in given:
        Notice.objects.create(**one)
    assert in_bulk == rows(Notice)
    assert in_bulk[0]["address_sealed"] == bytes(range(256))
    assert in_bulk[0]["made_at"] == AT


def test_what_the_database_numbers_is_numbered_in_the_order_given(place: Any) -> None:
    refs = [f"sal_{number * 7 % 101}" for number in range(101)]
    given = [
        {"namespace_id": place.id, "type": "SaleSettled", "ref": ref, "at": AT, "entry": b"\0"}
        for ref in refs
    ]
    bulk.insert(Event, given)
    assert list(Event.objects.order_by("seq").values_list("ref", flat=True)) == refs


@pytest.mark.parametrize(
    ("wrong", "refusal", "named"),
    [
        ({"state": "lost"}, IntegrityError, "notice_state"),
        ({"id": "ntc_0"}, IntegrityError, "store_notice_pkey"),
        ({"about": "sal_0"}, IntegrityError, "one_notice"),
        ({"channel": None}, IntegrityError, "channel"),
        ({"channel": "carrier pigeon"}, DataError, "too long"),
        ({"namespace_id": "nowhere"}, IntegrityError, "namespace_id"),
    ],
)
def test_no_constraint_is_passed_by(
    place: Any, wrong: dict[str, Any], refusal: type[Exception], named: str
) -> None:
    given = [notice(place, 0, state="pending"), notice(place, 1, **{"state": "pending"} | wrong)]
    with pytest.raises(refusal, match=named):
        bulk.insert(Notice, given)
    assert Notice.objects.count() == 0


def test_an_entry_that_does_not_sum_to_zero_is_refused(place: Any) -> None:
    one, other = (BookAccount.objects.create(namespace=place, code=c, currency="USD") for c in "ab")
    entry = Entry.objects.create(namespace=place, kind="adjusted", ref="one", at=AT)
    named = {"entry_id": entry.pk, "currency": "USD"}
    with pytest.raises(IntegrityError, match="sum to zero"):
        bulk.insert(
            Posting,
            [
                named | {"account_id": one.pk, "minor": 5},
                named | {"account_id": other.pk, "minor": 4},
            ],
        )


def test_each_row_gets_its_own_new_value_and_the_others_keep_theirs(place: Any) -> None:
    made = [
        BookAccount.objects.create(
            namespace=place,
            code=f"member:{n}:payable",
            currency="USD",
            member=Member.objects.create(id=f"mbr_{n}", namespace=place, created_at=AT),
            balance_minor=n,
        )
        for n in range(3)
    ]
    bulk.update(BookAccount, [{"id": a.pk, "balance_minor": 10**15} for a in made[:2]])
    found = BookAccount.objects.order_by("pk").values_list("balance_minor", flat=True)
    assert list(found) == [10**15, 10**15, 2]
    with pytest.raises(IntegrityError, match="member_balance_not_negative"):
        bulk.update(BookAccount, [{"id": made[0].pk, "balance_minor": -1}])


def test_nothing_to_write_is_nothing_asked(place: Any) -> None:
    with connection.execute_wrapper(_nothing):
        bulk.insert(Notice, [])
        bulk.update(Notice, [])


def _nothing(*_: Any) -> Any:
    raise AssertionError("a statement was sent")
