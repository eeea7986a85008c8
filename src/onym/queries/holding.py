"""The handles that a member's accounts hold now, and what keeps each of them from being sold."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from onym.core import handle as handles
from onym.core import people
from onym.core.errors import Refusal, SaleSlotTaken
from onym.core.handle import State
from onym.core.money import Money
from onym.queries import ground, names, standing
from onym.queries.ground import Ground
from onym.queries.standing import Seen
from onym.store.models import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """`refusal`: what a sale of it would be answered with; `keep_until`: keep it before.

    `sale` fills its sale slot, as in a handle object.
    """

    handle: str
    display: str
    account_id: str
    state: State
    keep_until: datetime | None
    minimum: Money | None
    sale: dict[str, Any] | None
    appeal_open: bool
    refusal: Refusal | None
    seen: Seen


def holding(place: str | Ground, *, accounts: Sequence[str]) -> list[Held]:
    """What the accounts hold, in their order; the row of a handle wins over the import."""
    looked = ground.of(place)
    if not accounts:
        return []
    return [_held(looked, found, accounts) for found in _found(looked, accounts)]


def expect_settled_security(member: str, *, place: Ground) -> None:
    """Refuses `handle_locked` while the member may sell nothing, whatever the handle."""
    changed = Member.objects.values_list("security_changed_at", flat=True).get(pk=member)
    who = people.Member(member, security_changed_at=changed)
    people.expect_settled_security(who, now=place.now)


def _found(looked: Ground, accounts: Sequence[str]) -> Iterator[Seen]:
    opened = looked.directory
    imported = [opened.by_account(id_) if opened else None for id_ in accounts]
    told = [account["canonical"] for account in imported if account]
    touched = standing.touched(looked).filter(Q(account_id__in=accounts) | Q(handle__in=told))
    rows = {row.handle: row for row in touched}
    moved = {row.account_id for row in rows.values()}
    untouched = {a["canonical"] for a in imported if a and a["account_id"] not in moved}
    wanted = [name for name, row in rows.items() if row.account_id in accounts]
    views = standing.stand(looked, [*wanted, *sorted(untouched - set(rows))], rows)
    yield from sorted(views.values(), key=lambda one: accounts.index(one.holder or ""))


def _held(looked: Ground, found: Seen, accounts: Sequence[str]) -> Held:
    row, stands = found.row, found.standing
    least = row.minimum_offer_minor if row else None
    return Held(
        handle=found.handle,
        display=found.display,
        account_id=found.holder or "",
        state=stands.state,
        keep_until=stands.deadline_at if stands.state is not State.HELD else None,
        minimum=Money(least, looked.place.currency) if least else None,
        sale=names.sale_of(row),
        appeal_open=bool(row and row.appeal_open),
        refusal=_refusal(looked, found, tuple(accounts)),
        seen=found,
    )


def _refusal(looked: Ground, found: Seen, accounts: tuple[str, ...]) -> Refusal | None:
    plain = handles.Handle(looked.id, found.handle, found.standing.state, found.holder)
    row = found.row.snapshot() if found.row else plain
    try:
        handles.expect_member_may_sell(
            dataclasses.replace(row, state=found.standing.state), accounts=accounts, now=looked.now
        )
    except Refusal as refusal:
        return refusal
    sale = names.sale_of(found.row)
    if sale is None:
        return None
    kind = "listing" if "price" in sale else "sale"
    return SaleSlotTaken("the handle is already being sold", kind=kind)
