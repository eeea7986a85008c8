"""Who may move in a negotiation, and when."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import offer
from onym.core.errors import AlreadyClosed, AmountTooSmall, Expired, NotAllowed, OwnHandle, Refusal
from onym.core.money import Money
from onym.core.offer import Offer, State, Turn

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)


def an_offer(**changes: object) -> Offer:
    made = Offer("off_1", "mbr_b", "acc-s", Money(100, "USD"), State.OPEN, Turn.SELLER, NOW + WEEK)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any field


MAKING = [
    # buyer's accounts, price, minimum, refusal
    (("acc-b",), 100, None, None),
    (("acc-b",), 100, 100, None),
    (("acc-b",), 99, 100, AmountTooSmall),
    (("acc-s",), 100, None, OwnHandle),
    (("acc-b", "acc-s"), 100, 200, OwnHandle),
]


@pytest.mark.parametrize(("accounts", "price", "minimum", "refusal"), MAKING)
def test_an_offer_is_for_somebody_elses_handle_and_not_below_the_minimum(
    accounts: tuple[str, ...], price: int, minimum: int | None, refusal: type[Refusal] | None
) -> None:
    def make() -> Offer:
        return offer.make(
            id_="off_1",
            buyer="mbr_b",
            buyer_accounts=accounts,
            holder_account_id="acc-s",
            price=Money(price, "USD"),
            minimum_minor=minimum,
            expires_at=NOW + WEEK,
        )

    if refusal is None:
        assert make() == an_offer(price=Money(price, "USD"))
        return
    with pytest.raises(refusal) as told:
        make()
    assert str(minimum) not in told.value.detail


SIDES = [("mbr_b", (), Turn.BUYER), ("mbr_s", ("acc-s",), Turn.SELLER), ("mbr_x", ("acc-x",), None)]


@pytest.mark.parametrize(("member", "accounts", "side"), SIDES)
def test_there_are_two_parties_and_nobody_else(
    member: str, accounts: tuple[str, ...], side: Turn | None
) -> None:
    if side is None:
        with pytest.raises(NotAllowed):
            offer.side(an_offer(), member=member, accounts=accounts)
    else:
        assert offer.side(an_offer(), member=member, accounts=accounts) is side


def answers(made: Offer, by: Turn, now: datetime) -> list[type[Refusal] | None]:
    """What accept, decline and counter say."""
    price = Money(200, "USD")
    moves = (
        lambda: offer.accept(made, by=by, now=now),
        lambda: offer.decline(made, by=by, now=now),
        lambda: offer.counter(made, by=by, price=price, now=now, expires_at=now + WEEK),
    )
    said: list[type[Refusal] | None] = []
    for move in moves:
        try:
            move()
            said.append(None)
        except Refusal as refusal:
            said.append(type(refusal))
    return said


ANSWERING = [
    (State.OPEN, Turn.SELLER, NOW, None),
    (State.OPEN, Turn.BUYER, NOW, NotAllowed),
    (State.OPEN, Turn.SELLER, NOW + WEEK - TICK, None),
    (State.OPEN, Turn.SELLER, NOW + WEEK, Expired),
    (State.EXPIRED, Turn.SELLER, NOW, Expired),
    (State.ACCEPTED, Turn.SELLER, NOW, AlreadyClosed),
    (State.DECLINED, Turn.SELLER, NOW, AlreadyClosed),
    (State.WITHDRAWN, Turn.SELLER, NOW, AlreadyClosed),
]


@pytest.mark.parametrize(("state", "by", "now", "refusal"), ANSWERING)
def test_the_one_whose_turn_it_is_answers_in_time(
    state: State, by: Turn, now: datetime, refusal: type[Refusal] | None
) -> None:
    assert answers(an_offer(state=state), by, now) == [refusal] * 3


def test_a_counter_keeps_the_id_sets_the_price_and_passes_the_turn() -> None:
    made = offer.counter(
        an_offer(), by=Turn.SELLER, price=Money(200, "USD"), now=NOW, expires_at=NOW + 2 * WEEK
    )
    assert made == an_offer(price=Money(200, "USD"), turn=Turn.BUYER, expires_at=NOW + 2 * WEEK)


def test_only_the_buyer_withdraws_and_on_either_turn() -> None:
    for turn in Turn:
        made = offer.withdraw(an_offer(turn=turn), by=Turn.BUYER, now=NOW)
        assert made.state is State.WITHDRAWN
    with pytest.raises(NotAllowed):
        offer.withdraw(an_offer(), by=Turn.SELLER, now=NOW)


def test_an_offer_expires_at_its_instant_or_when_the_holder_changes() -> None:
    with pytest.raises(NotAllowed):
        offer.expire(an_offer(), now=NOW + WEEK - TICK)
    assert offer.expire(an_offer(), now=NOW + WEEK).state is State.EXPIRED
    assert offer.expire(an_offer(), now=NOW, holder_changed=True).state is State.EXPIRED


@given(st.lists(st.sampled_from(["accept", "decline", "counter", "withdraw", "expire"])))
def test_a_closed_offer_never_opens_again(moves: list[str]) -> None:
    made, closed = an_offer(), False
    for move in moves:
        before = made
        try:
            if move == "counter":
                price = Money(200, "USD")
                made = offer.counter(
                    made, by=made.turn, price=price, now=NOW, expires_at=NOW + WEEK
                )
            elif move == "withdraw":
                made = offer.withdraw(made, by=Turn.BUYER, now=NOW)
            elif move == "expire":
                made = offer.expire(made, now=made.expires_at)
            else:
                made = getattr(offer, move)(made, by=made.turn, now=NOW)
        except Refusal:
            assert closed
            assert made == before
        closed = closed or made.state is not State.OPEN
        assert closed == (made.state is not State.OPEN)
