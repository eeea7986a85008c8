"""An invitation is for one address, for a time, once."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from onym.core import invitation
from onym.core.errors import AlreadyClosed, Expired, NotAllowed, Refusal
from onym.core.invitation import Invitation, State
from onym.core.money import Money

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)


def one(**changes: object) -> Invitation:
    made = Invitation("inv_1", "index", Money(100, "USD"), State.SENT, NOW)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # any field


ACCEPTING = [
    # state, addresses, now, refusal
    (State.SENT, {"index"}, NOW - TICK, None),
    (State.SENT, {"other"}, NOW - TICK, NotAllowed),
    (State.SENT, set(), NOW - TICK, NotAllowed),
    (State.SENT, {"index"}, NOW, Expired),
    (State.EXPIRED, {"index"}, NOW - TICK, Expired),
    (State.ACCEPTED, {"index"}, NOW - TICK, AlreadyClosed),
    (State.DECLINED, {"index"}, NOW - TICK, AlreadyClosed),
    (State.CLOSED, {"index"}, NOW - TICK, AlreadyClosed),
    (State.COMMITTED, {"index"}, NOW - TICK, AlreadyClosed),
]


@pytest.mark.parametrize(("state", "addresses", "now", "refusal"), ACCEPTING)
def test_the_addressee_accepts_in_time_and_once(
    state: State, addresses: set[str], now: datetime, refusal: type[Refusal] | None
) -> None:
    asked = one(state=state)
    if refusal is None:
        accepted = invitation.accept(asked, addresses=frozenset(addresses), now=now)
        assert accepted.state is State.ACCEPTED
    else:
        with pytest.raises(refusal):
            invitation.accept(asked, addresses=frozenset(addresses), now=now)


def test_the_link_alone_declines_but_not_twice() -> None:
    declined = invitation.decline(one(), now=NOW - TICK)
    assert declined.state is State.DECLINED
    with pytest.raises(AlreadyClosed):
        invitation.decline(declined, now=NOW - TICK)


def test_nothing_is_sent_twice() -> None:
    sent = invitation.send(one(state=State.COMMITTED, expires_at=None), expires_at=NOW)
    assert sent == one()
    with pytest.raises(AlreadyClosed):
        invitation.send(sent, expires_at=NOW)


def test_it_expires_at_its_instant_and_not_before() -> None:
    with pytest.raises(NotAllowed):
        invitation.expire(one(), now=NOW - TICK)
    assert invitation.expire(one(), now=NOW).state is State.EXPIRED
    with pytest.raises(AlreadyClosed):
        invitation.expire(one(state=State.ACCEPTED), now=NOW)


@pytest.mark.parametrize("state", list(State))
def test_what_is_answered_cannot_be_closed(state: State) -> None:
    if state in (State.SENT, State.COMMITTED):
        assert invitation.close(one(state=state)).state is State.CLOSED
    else:
        with pytest.raises(AlreadyClosed):
            invitation.close(one(state=state))
