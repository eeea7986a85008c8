"""The sale's table, row by row, and the promises that hold on every way through it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import guidelines, sale
from onym.core.errors import AlreadyClosed, Expired, NotAllowed, Refusal
from onym.core.money import Money
from onym.core.sale import Kind, Sale, State

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RULES = guidelines.parse(guidelines.built_in())
HOUR = timedelta(hours=1)


def a_sale(**changes: object) -> Sale:
    made = Sale(
        id="sal_1",
        kind=Kind.TRADE,
        state=State.FUNDING,
        buyer="mbr_b",
        seller="mbr_s",
        buyer_account_id="acc-b",
        seller_account_id="acc-s",
        price=Money(100_000, "USD"),
        funding_until=NOW + 72 * HOUR,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any field


COOLING = [
    # kind, price in cents, hours of cooling-off
    (Kind.TRADE, 49_999, 0),
    (Kind.TRADE, 50_000, 24),
    (Kind.TRADE, 999_999, 24),
    (Kind.TRADE, 1_000_000, 72),
    (Kind.PRIMARY, 5_000_000, 0),
    (Kind.HOUSE, 5_000_000, 0),
]


@pytest.mark.parametrize(("kind", "cents", "hours"), COOLING)
def test_a_trade_cools_off_by_its_price(kind: Kind, cents: int, hours: int) -> None:
    funded = sale.fund(a_sale(kind=kind, price=Money(cents, "USD")), guidelines=RULES, now=NOW)
    if hours:
        assert funded.state is State.COOLING
        assert funded.cooling_until == NOW + hours * HOUR
    else:
        assert funded.state is State.DELIVERING
        assert funded.delivery_until == NOW + 24 * HOUR


PAYING = [
    # state, by, time left, refusal
    (State.FUNDING, "mbr_b", 1, None),
    (State.FUNDING, "mbr_s", 1, NotAllowed),
    (State.FUNDING, "mbr_b", 0, Expired),
    (State.EXPIRED, "mbr_b", 1, Expired),
    (State.FUNDING_UNKNOWN, "mbr_b", 1, AlreadyClosed),
    (State.SETTLED, "mbr_b", 1, AlreadyClosed),
]


@pytest.mark.parametrize(("state", "by", "left", "refusal"), PAYING)
def test_the_buyer_alone_pays_and_in_time(
    state: State, by: str, left: int, refusal: type[Refusal] | None
) -> None:
    asked = a_sale(state=state, funding_until=NOW + timedelta(microseconds=left))
    if refusal is None:
        assert sale.pay(asked, by=by, now=NOW) == asked
    else:
        with pytest.raises(refusal):
            sale.pay(asked, by=by, now=NOW)


def test_nothing_is_settled_without_a_read_back_of_the_buyer() -> None:
    inspected = a_sale(state=State.INSPECTION, inspection_until=NOW, read_back_account_id="acc-s")
    with pytest.raises(NotAllowed):
        sale.accept(inspected, by="mbr_b")
    with pytest.raises(NotAllowed):
        sale.inspect(inspected, now=NOW)


def test_nothing_is_refunded_while_the_buyer_holds_the_handle() -> None:
    with pytest.raises(NotAllowed):
        sale.give_up(a_sale(state=State.DELIVERING), holder="acc-b")


def test_a_dispute_at_the_end_of_the_inspection_is_too_late() -> None:
    inspected = a_sale(state=State.INSPECTION, inspection_until=NOW)
    with pytest.raises(Expired):
        sale.dispute(inspected, by="mbr_b", now=NOW)
    early = sale.dispute(inspected, by="mbr_b", now=NOW - timedelta(microseconds=1))
    assert early.state is State.DISPUTED


CANCEL = [
    (State.FUNDING, "mbr_b", State.CANCELLED),
    (State.FUNDING, "mbr_s", None),
    (State.COOLING, "mbr_b", State.REFUNDING),
    (State.COOLING, "mbr_s", State.REFUNDING),
    (State.DELIVERING, "mbr_s", None),
    (State.SETTLED, "mbr_b", None),
]


@pytest.mark.parametrize(("state", "by", "after"), CANCEL)
def test_a_party_may_cancel_before_money_or_while_cooling_off(
    state: State, by: str, after: State | None
) -> None:
    if after is None:
        with pytest.raises(AlreadyClosed):
            sale.cancel(a_sale(state=state), by=by)
    else:
        assert sale.cancel(a_sale(state=state), by=by).state is after


def test_a_stranger_may_not_cancel() -> None:
    with pytest.raises(NotAllowed):
        sale.cancel(a_sale(), by="mbr_x")


@given(st.sampled_from(list(State)), st.sampled_from(list(State)))
def test_only_steps_of_the_table_exist(before: State, after: State) -> None:
    if after in sale.TRANSITIONS[before]:
        assert sale.move(a_sale(state=before), after).state is after
    else:
        with pytest.raises(AlreadyClosed):
            sale.move(a_sale(state=before), after)


def test_every_state_is_reached_and_every_live_state_can_end() -> None:
    reached, todo = {State.AGREED}, [State.AGREED]
    while todo:
        for after in sale.TRANSITIONS[todo.pop()]:
            if after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == set(State)
    ends = {State.SETTLED, State.REFUNDED, State.EXPIRED, State.CANCELLED}
    assert set(State) - ends == sale.LIVE
    assert all(sale.TRANSITIONS[state] for state in sale.LIVE)
    onward = {state: sale.TRANSITIONS[state] for state in ends if sale.TRANSITIONS[state]}
    only = "an appeal or the buyer's bank alone undo what has ended"
    assert onward == {State.SETTLED: {State.RETURNING, State.DISPUTED}}, only


def test_a_returning_holder_wins_until_money_is_in_escrow() -> None:
    yields = {state for state in sale.LIVE if sale.yields_to_holder(a_sale(state=state))}
    assert yields == {State.AGREED, State.FUNDING, State.FUNDING_UNKNOWN}
    assert not yields & sale.ESCROWED
    assert yields | sale.ESCROWED | {State.RETURNING} == sale.LIVE


def settled(**changes: object) -> Sale:
    told = {"kind": Kind.PRIMARY, "state": State.SETTLED, "read_back_account_id": "acc-b"}
    return a_sale(**told | changes)


TAKING_BACK = [
    # what is different, refusal
    ({}, None),
    ({"kind": Kind.TRADE}, NotAllowed),
    ({"kind": Kind.HOUSE}, NotAllowed),
    ({"seller_account_id": None}, NotAllowed),
    *(({"state": state}, AlreadyClosed) for state in State if state is not State.SETTLED),
]


@pytest.mark.parametrize(("changes", "refused"), TAKING_BACK)
def test_only_a_settled_primary_sale_can_be_taken_back(
    changes: dict[str, object], refused: type[Refusal] | None
) -> None:
    if refused is None:
        back = sale.take_back(settled(**changes), guidelines=RULES, now=NOW)
        assert (back.state, back.delivery_until) == (State.RETURNING, NOW + 24 * HOUR)
    else:
        with pytest.raises(refused):
            sale.take_back(settled(**changes), guidelines=RULES, now=NOW)


@pytest.mark.parametrize("state", State)
def test_only_what_is_disputed_is_sent_back_and_that_is_tried_as_long_as_a_delivery(
    state: State,
) -> None:
    if state is State.DISPUTED:
        back = sale.send_back(a_sale(state=state), guidelines=RULES, now=NOW)
        assert (back.state, back.delivery_until) == (state, NOW + 24 * HOUR)
    else:
        with pytest.raises(AlreadyClosed):
            sale.send_back(a_sale(state=state), guidelines=RULES, now=NOW)


@given(st.sampled_from(list(State)), st.sampled_from(["acc-s", "acc-b", "acc-x", None]))
def test_the_money_follows_the_handle_back_and_never_goes_before_it(
    state: State, holder: str | None
) -> None:
    returning = settled(state=state)
    if state is State.RETURNING and holder == "acc-s":
        back = sale.taken_back(returning, holder=holder)
        assert (back.state, back.read_back_account_id) == (State.REFUNDING, "acc-s")
    else:
        with pytest.raises(NotAllowed if holder != "acc-s" else AlreadyClosed):
            sale.taken_back(returning, holder=holder)


@given(st.sampled_from(list(State)))
def test_what_could_not_be_given_back_stays_settled(state: State) -> None:
    if state is State.RETURNING:
        assert sale.left_sold(settled(state=state)) == settled()
    else:
        with pytest.raises(AlreadyClosed):
            sale.left_sold(settled(state=state))


@given(st.sampled_from(list(State)), st.sampled_from(["acc-s", "acc-b", "acc-x"]))
def test_a_sale_awaits_one_move_at_a_time(state: State, to: str) -> None:
    there = state in (State.DELIVERING, State.DELIVERY_UNKNOWN) and to == "acc-b"
    back = state is State.RETURNING and to == "acc-s"
    assert sale.awaits(a_sale(state=state), to=to) is (there or back)
