"""When a handle may be sold, by whom, and what keeps it where it is."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from onym.core import handle
from onym.core.errors import HandleLocked, HandleUnavailable, Refusal
from onym.core.handle import Handle, State

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(microseconds=1)
MOON = Handle("demo", "moon", State.HELD, "acc-1")

HELD_BACK = [
    ({"locked_by": "sal_1"}, "sale"),
    ({"dispute_open": True}, "dispute"),
    ({"appeal_open": True}, "appeal"),
]


@pytest.mark.parametrize(("changes", "why"), HELD_BACK)
@pytest.mark.parametrize("state", [State.HELD, State.RELEASED])
def test_a_sale_a_dispute_and_an_appeal_hold_the_handle(
    changes: dict[str, object], why: str, state: State
) -> None:
    row = dataclasses.replace(MOON, state=state, **changes)  # type: ignore[arg-type]  # any field
    for ask in (
        lambda: handle.expect_house_may_sell(row),
        lambda: handle.expect_member_may_sell(row, accounts=("acc-1",), now=NOW),
        lambda: handle.lock(row, sale="sal_2"),
    ):
        with pytest.raises(HandleLocked) as told:
            ask()
        assert told.value.facts["why"] == why


@pytest.mark.parametrize("state", list(State))
def test_the_platform_sells_what_is_released_and_nothing_else(state: State) -> None:
    row = dataclasses.replace(MOON, state=state)
    if state is State.RELEASED:
        handle.expect_house_may_sell(row)
    else:
        with pytest.raises(HandleUnavailable) as told:
            handle.expect_house_may_sell(row)
        assert told.value.facts["rung"] == state.value


SELLING: list[tuple[dict[str, object], type[Refusal] | None]] = [
    ({}, None),
    ({"state": State.WARNED}, HandleUnavailable),
    ({"state": State.RESTING}, HandleUnavailable),
    ({"state": State.RELEASED}, HandleUnavailable),
    ({"account_id": "acc-2"}, HandleUnavailable),
    ({"account_id": None}, HandleUnavailable),
    ({"cool_off_until": NOW}, None),
    ({"cool_off_until": LATER}, HandleLocked),
    ({"may_not_sell_until": LATER}, HandleLocked),
    ({"retained_until": LATER}, HandleUnavailable),
]


@pytest.mark.parametrize(("changes", "refusal"), SELLING)
def test_a_member_sells_what_they_hold_outside_every_cool_off(
    changes: dict[str, object], refusal: type[Refusal] | None
) -> None:
    row = dataclasses.replace(MOON, **changes)  # type: ignore[arg-type]  # any field
    if refusal is None:
        handle.expect_member_may_sell(row, accounts=("acc-1",), now=NOW)
    else:
        with pytest.raises(refusal):
            handle.expect_member_may_sell(row, accounts=("acc-1",), now=NOW)


def test_only_the_sale_that_locked_it_unlocks_it() -> None:
    locked = handle.lock(MOON, sale="sal_1")
    assert handle.unlock(locked, sale="sal_1") == MOON
    for row in (locked, MOON):
        with pytest.raises(HandleLocked):
            handle.unlock(row, sale="sal_2")
