"""Clauses about one write and its effect, fences, expected holders and moves."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import quote

from onym.ports.conformance.asking import Reply, fresh_key
from onym.ports.conformance.clause import (
    Broken,
    Chapter,
    Untried,
    expect,
    expect_refusal,
)
from onym.ports.conformance.ground import STALE, Ground

_once = Chapter("One write, one effect")
_moves = Chapter("`POST /handles/{handle}/move`")
_reserve = Chapter("`POST /handles/{handle}/reserve` and `…/unreserve`")
_STEP: Final = 20
WRONG: Final = "wrong_holder"


def _done(reply: Reply) -> Reply:
    expect(reply.status in (200, 201) and bool(reply.facts), f"answers {reply}, not 200")
    return reply


def _same(first: Reply, second: Reply) -> None:
    same = (first.status, first.said) == (second.status, second.said)
    expect(same, f"first answers {first}, then {second}")


def _unchanged(ground: Ground) -> None:
    for named in ground.pair:
        holder = ground.holder(named.handle)
        expect(holder == named.account_id, f"and yet @{named.handle} is with {holder} now")
        handle = ground.handle_of(named.account_id)
        expect(handle == named.handle, f"and yet account {named.account_id} is @{handle} now")


def swap(
    ground: Ground, *, placeholder: str | None = None, retain: bool = False, key: str | None = None
) -> Reply:
    """The first account's handle goes to the second."""
    one, two = ground.pair
    return _done(
        ground.move(
            one.handle,
            one.account_id,
            two.account_id,
            expected=one.account_id,
            placeholder=placeholder,
            retain=retain,
            key=key,
        )
    )


def _at_once(*asks: Callable[[], Reply]) -> list[Reply]:
    with ThreadPoolExecutor(len(asks)) as threads:
        return [waiting.result() for waiting in [threads.submit(ask) for ask in asks]]


# ---- one write, one effect


@_once.clause("idempotency.missing", "A write without `Idempotency-Key` is 400 or 401", "accounts")
def missing(ground: Ground) -> None:
    one, _ = ground.pair
    path = f"/handles/{quote(one.handle, safe='')}/move"
    told = ground.asker.write(path, {"fence": 0}, key="")
    expect(told.status in (400, 401), f"answers {told}")


@_once.clause(
    "idempotency.same",
    "The same key and payload: the first answer again, and no second effect",
    "accounts",
)
def same(ground: Ground) -> None:
    one, _ = ground.pair
    key, fence = fresh_key(), ground.next_fence(one.handle)
    first = _done(ground.bar(one.handle, one.account_id, fence=fence, key=key))
    _same(first, ground.bar(one.handle, one.account_id, fence=fence, key=key))


@_once.clause(
    "idempotency.refusal",
    "A refusal is kept like any answer, though it would be done now",
    "accounts",
)
def refusal(ground: Ground) -> None:
    one, two = ground.pair
    key, fence = fresh_key(), ground.next_fence(one.handle) + _STEP
    first = ground.bar(one.handle, two.account_id, fence=fence, key=key)
    if first.status != 412:
        raise Untried(f"a bar that names another holder is not refused: {first}")
    swap(ground)
    _same(first, ground.bar(one.handle, two.account_id, fence=fence, key=key))


@_once.clause(
    "idempotency.mismatch",
    "The same key and another payload is 409 `idempotency_mismatch`",
    "accounts",
)
def mismatch(ground: Ground) -> None:
    one, _ = ground.pair
    key, fence = fresh_key(), ground.next_fence(one.handle)
    _done(ground.bar(one.handle, one.account_id, fence=fence, key=key))
    other = ground.bar(one.handle, one.account_id, fence=ground.next_fence(one.handle), key=key)
    expect_refusal(other, 409, "idempotency_mismatch")


@_once.clause(
    "idempotency.twins",
    "Of two equal writes at once none is done twice, and both hear the same",
    "accounts",
)
def twins(ground: Ground) -> None:
    one, _ = ground.pair
    key, fence = fresh_key(), ground.next_fence(one.handle)

    def ask() -> Reply:
        return ground.bar(one.handle, one.account_id, fence=fence, key=key)

    heard = [told for told in _at_once(ask, ask, ask) if told.code != "in_progress"]
    for told in heard:
        _same(_done(heard[0]), told)


# ---- fences


@_moves.clause(
    "fences.stale", "A fence that is not above the highest used is 412 `stale_fence`", "accounts"
)
def stale(ground: Ground) -> None:
    one, _ = ground.pair
    fence = ground.next_fence(one.handle) + 1
    ground.next_fence(one.handle)
    _done(ground.bar(one.handle, one.account_id, fence=fence))
    for old in (fence, fence - 1):
        expect_refusal(ground.bar(one.handle, one.account_id, fence=old), 412, STALE)


@_moves.clause(
    "fences.bar",
    "A move to the present holder changes nothing and shuts out every earlier order",
    "accounts",
    section="Bars",
)
def bar(ground: Ground) -> None:
    one, two = ground.pair
    early, late = ground.next_fence(one.handle), ground.next_fence(one.handle)
    _done(ground.bar(one.handle, one.account_id, fence=late))
    _unchanged(ground)
    told = ground.move(
        one.handle, one.account_id, two.account_id, expected=one.account_id, fence=early
    )
    expect_refusal(told, 412, STALE)
    _unchanged(ground)


@_moves.clause(
    "fences.bar_nobody",
    "A bar on a handle that nobody holds shuts out every earlier order, too",
    "handle",
    section="Bars",
)
def bar_nobody(ground: Ground) -> None:
    free = str(ground.free)
    early, late = ground.next_fence(free), ground.next_fence(free)
    _done(ground.bar(free, None, fence=late))
    expect(ground.holder(free) is None, f"and yet @{free} is with {ground.holder(free)} now")
    expect_refusal(ground.bar(free, None, fence=early), 412, STALE)


@_moves.clause(
    "fences.race", "Of two orders with one fence at once exactly one is done", "accounts"
)
def race(ground: Ground) -> None:
    one, _ = ground.pair
    fence = ground.next_fence(one.handle)

    def ask() -> Reply:
        return ground.bar(one.handle, one.account_id, fence=fence)

    told = _at_once(ask, ask)
    done = [reply for reply in told if reply.status == 200]
    expect(len(done) == 1, f"{len(done)} are done: {told[0]}; {told[1]}")


@_moves.clause(
    "fences.kept",
    "The fence outlives the holder: it holds after the handle went and came back",
    "accounts",
)
def kept(ground: Ground) -> None:
    one, _ = ground.pair
    fence = ground.next_fence(one.handle)
    _done(ground.bar(one.handle, one.account_id, fence=fence))
    swap(ground)
    ground.put_back()
    expect_refusal(ground.bar(one.handle, one.account_id, fence=fence), 412, STALE)


# ---- the expected holder


@_moves.clause(
    "holder.other",
    "A move whose `expected_holder` is another account is 412 `wrong_holder`, and changes nothing",
    "accounts",
)
def other(ground: Ground) -> None:
    one, two = ground.pair
    told = ground.move(one.handle, one.account_id, two.account_id, expected=two.account_id)
    expect_refusal(told, 412, WRONG)
    _unchanged(ground)


@_moves.clause(
    "holder.nobody",
    "A move that expects nobody is 412 `wrong_holder` while an account holds the handle",
    "accounts",
)
def nobody(ground: Ground) -> None:
    one, two = ground.pair
    expect_refusal(ground.move(one.handle, None, two.account_id, expected=None), 412, WRONG)
    _unchanged(ground)


@_moves.clause(
    "holder.bar",
    "A bar that names another holder is 412 `wrong_holder`",
    "accounts",
    section="Bars",
)
def holder_bar(ground: Ground) -> None:
    one, two = ground.pair
    fence = ground.next_fence(one.handle)
    expect_refusal(ground.bar(one.handle, two.account_id, fence=fence), 412, WRONG)
    _unchanged(ground)


# ---- the move


@_moves.clause(
    "move.done", "After a move the read-back names `to`, whose row has the handle", "accounts"
)
def done(ground: Ground) -> None:
    one, two = ground.pair
    swap(ground)
    holder, handle = ground.holder(one.handle), ground.handle_of(two.account_id)
    expect(holder == two.account_id, f"done, says the answer; the read-back says {holder}")
    expect(handle == one.handle, f"account {two.account_id} is @{handle} now")


@_moves.clause(
    "move.answer",
    "A move's answer has handle, account, fence and the placeholder really given",
    "accounts",
)
def answer(ground: Ground) -> None:
    one, two = ground.pair
    told = swap(ground).facts
    expect(told.get("account_id") == two.account_id, f"account_id is {told.get('account_id')!r}")
    expect(isinstance(told.get("fence"), int), f"fence is {told.get('fence')!r}")
    _renamed(ground, told.get("placeholder"))
    expect(told.get("handle") == one.handle.lower(), f"handle is {told.get('handle')!r}")


def _renamed(ground: Ground, placeholder: object) -> None:
    one, _ = ground.pair
    if not isinstance(placeholder, str):
        raise Broken(f"placeholder is {placeholder!r}")
    now, holder = ground.handle_of(one.account_id), ground.holder(placeholder)
    expect(now == placeholder, f"the answer says @{placeholder}, the account's row @{now}")
    expect(holder == one.account_id, f"@{placeholder} is with {holder}, not {one.account_id}")


@_moves.clause("move.old", "The old handle of `to` is free afterwards", "accounts")
def old(ground: Ground) -> None:
    _, two = ground.pair
    swap(ground)
    expect(ground.holder(two.handle) is None, f"@{two.handle} is with {ground.holder(two.handle)}")


@_moves.clause(
    "move.retained",
    "With `retain` the custodian holds the old handle of `to`",
    "accounts",
    "retain",
)
def retained(ground: Ground) -> None:
    _, two = ground.pair
    swap(ground, retain=True)
    holder = ground.holder(two.handle)
    expect(holder == ground.custodian, f"@{two.handle} is with {holder}")


@_moves.clause(
    "move.placeholder_taken",
    "A placeholder that is taken stays with its holder: `from` gets the next free one",
    "accounts",
)
def placeholder_taken(ground: Ground) -> None:
    _, two = ground.pair
    taken = two.handle  # it is given up only after `from` was renamed
    if ground.free and ground.offers.get("reserve"):
        taken = ground.free
        _done(ground.asker.write(f"/handles/{quote(taken, safe='')}/reserve", {}))
        if ground.holder(taken) is None:
            raise Untried(f"reserving @{taken} reserves nothing")
    told = swap(ground, placeholder=taken).facts
    expect(told.get("placeholder") != taken, f"@{taken} was taken, and is given all the same")
    holder = ground.holder(taken)
    expect(holder != ground.pair[0].account_id, f"@{taken} was taken, and is with {holder} now")


@_moves.clause(
    "move.placeholder_malformed",
    "A placeholder that is no handle is 422 `handle_malformed`, and changes nothing",
    "accounts",
)
def placeholder_malformed(ground: Ground) -> None:
    one, two = ground.pair
    told = ground.move(
        one.handle,
        one.account_id,
        two.account_id,
        expected=one.account_id,
        placeholder="no handle",
    )
    expect_refusal(told, 422, "handle_malformed")
    _unchanged(ground)


@_moves.clause(
    "move.account_unknown",
    "A move to an account that there is none of is 422 `account_unknown`, and changes nothing",
    "accounts",
)
def account_unknown(ground: Ground) -> None:
    one, _ = ground.pair
    told = ground.move(one.handle, one.account_id, "check-nobody", expected=one.account_id)
    expect_refusal(told, 422, "account_unknown")
    _unchanged(ground)


@_moves.clause(
    "move.detached",
    "A handle moved to the custodian is sold from there: `from` keeps its placeholder",
    "accounts",
    "custodian",
)
def detached(ground: Ground) -> None:
    one, two = ground.pair
    custodian = ground.custodian
    told = _done(ground.move(one.handle, one.account_id, custodian, expected=one.account_id))
    expect(ground.holder(one.handle) == custodian, "the custodian does not hold it")
    _done(ground.move(one.handle, one.account_id, two.account_id, expected=custodian))
    _renamed(ground, told.facts.get("placeholder"))
    expect(ground.holder(one.handle) == two.account_id, "the buyer does not hold it")


# ---- reserve


@_reserve.clause(
    "reserve.free",
    "Reserving gives a free handle to the custodian, and twice is once",
    "handle",
    "reserve",
)
def reserve_free(ground: Ground) -> None:
    path = f"/handles/{quote(str(ground.free), safe='')}"
    for _ in range(2):
        _done(ground.asker.write(f"{path}/reserve", {}))
        holder = ground.holder(str(ground.free))
        expect(holder == ground.custodian, f"it is with {holder}, not the custodian")


@_reserve.clause(
    "reserve.back",
    "Unreserving lets nobody hold it; what is not reserved is 409 `not_reserved`",
    "handle",
    "reserve",
)
def reserve_back(ground: Ground) -> None:
    path = f"/handles/{quote(str(ground.free), safe='')}"
    _done(ground.asker.write(f"{path}/reserve", {}))
    _done(ground.asker.write(f"{path}/unreserve", {}))
    expect(ground.holder(str(ground.free)) is None, "somebody holds it still")
    expect_refusal(ground.asker.write(f"{path}/unreserve", {}), 409, "not_reserved")


@_reserve.clause(
    "reserve.held", "A handle that an account holds is 409 `handle_held`", "accounts", "reserve"
)
def reserve_held(ground: Ground) -> None:
    one, _ = ground.pair
    told = ground.asker.write(f"/handles/{quote(one.handle, safe='')}/reserve", {})
    expect_refusal(told, 409, "handle_held")
    _unchanged(ground)


CLAUSES: Final = (*_once.clauses, *_moves.clauses, *_reserve.clauses)
