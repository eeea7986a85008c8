"""Kin count as one, staff do not buy, and a stolen address sells nothing for thirty days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onym.core import people
from onym.core.errors import HandleLocked, NotLinked, SecondPersonNeeded, StaffMayNot
from onym.core.people import Member

NOW = datetime(2026, 6, 1, tzinfo=UTC)

ANN = Member("ann", accounts=("1",))
KIN = [
    (ANN, ANN, True),
    (ANN, Member("bob", accounts=("2",)), False),
    (ANN, Member("bob", accounts=("2", "1")), True),
    (ANN, Member("bob", kin=frozenset({"ann"})), True),
    (Member("ann", kin=frozenset({"bob"})), Member("bob"), True),
]


@pytest.mark.parametrize(("one", "other", "kin"), KIN)
def test_kin_are_declared_or_share_an_account(one: Member, other: Member, kin: bool) -> None:
    assert people.is_kin(one, other) is kin
    assert people.is_kin(other, one) is kin
    if kin:
        with pytest.raises(SecondPersonNeeded):
            people.expect_second_person(proposer=one, approver=other)
    else:
        people.expect_second_person(proposer=one, approver=other)


def test_the_first_account_is_the_one_that_buys() -> None:
    assert people.buying_account(Member("ann", accounts=("7", "8"))) == "7"


@pytest.mark.parametrize(
    "staff",
    [Member("s", accounts=("1",), roles=frozenset({"auditor"})), Member("h", is_house=True)],
)
def test_staff_may_not_buy_whatever_they_hold(staff: Member) -> None:
    with pytest.raises(StaffMayNot):
        people.buying_account(staff)


def test_without_an_account_there_is_nothing_to_move_a_handle_to() -> None:
    with pytest.raises(NotLinked):
        people.buying_account(Member("ann"))


@pytest.mark.parametrize(("ago", "is_free"), [(30 * 86_400, True), (30 * 86_400 - 1, False)])
def test_nothing_is_sold_within_thirty_days_of_a_changed_address(ago: int, is_free: bool) -> None:
    member = Member("ann", security_changed_at=NOW - timedelta(seconds=ago))
    if is_free:
        people.expect_settled_security(member, now=NOW)
    else:
        with pytest.raises(HandleLocked, match="30 days"):
            people.expect_settled_security(member, now=NOW)
        with pytest.raises(HandleLocked) as found:
            people.expect_settled_security(member, now=NOW, is_told=False)
        assert not found.value.facts
        assert "address" not in found.value.detail
