"""The desk's switches and its approvals: the second person approves exactly what was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access, people
from onym.core import sale as sales
from onym.core.errors import AlreadyClosed, Malformed, NotAllowed, ShownChanged
from onym.core.events import Event, amount
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import (
    area,
    bank,
    chargeback,
    invitation,
    listing,
    lists,
    names,
    plan,
    receiver,
    record,
    recovery,
    screening,
    staff,
    stop,
)
from onym.flows import sale as sale_flow
from onym.store import clock, rowlocks
from onym.store.models import (
    Approval,
    BankLine,
    BankOrder,
    Campaign,
    Handle,
    Listing,
    Member,
    Plan,
    Sale,
)

Result = Listing | Campaign | Sale | Plan | BankLine | BankOrder | Mapping[str, Any]


def approve(*, approval_id: str, by: str, shown: str) -> Result:
    """Carry out what another person proposed, if it is still exactly what was shown.

    Refuses `not_allowed`, `second_person_needed`, `already_closed`, `shown_changed` (which voids
    the approval), and whatever the act itself refuses.
    """
    changed: ShownChanged | None = None
    _look_first(approval_id, by=by)
    with transaction.atomic():
        approval = rowlocks.approval(approval_id)
        approver = staff.expect(by, access.Action.APPROVE, namespace=approval.namespace_id)
        _expect_open(approval)
        people.expect_second_person(proposer=approval.proposed_by.snapshot(), approver=approver)
        if shown != approval.shown:
            raise ShownChanged("this is not what the proposal shows")
        act, facts = ACTS[approval.action]
        if _shown_now(approval, facts(approval)) != approval.shown:
            approval.state, changed = "void", ShownChanged("what was shown has changed since")
            approval.save(update_fields=["state"])
        else:
            result = _carry_out(approval, by=by, act=act)
    if changed:
        raise changed
    return result


def _look_first(approval_id: str, *, by: str) -> None:
    """Before the transaction: a case that is opened must outlive a refusal."""
    asked = Approval.objects.filter(pk=approval_id, state="open").first()
    if asked is None or asked.action not in ("house_purchase", "bank_money"):
        return
    staff.expect(by, access.Action.APPROVE, namespace=asked.namespace_id)
    if asked.action == "bank_money":
        bank.look_at_proposed(asked)
    else:
        _expect_seller_clear(asked.namespace_id, asked.payload["handle"], by=by)


def _expect_seller_clear(namespace: str, handle: str, *, by: str) -> None:
    screening.expect_all_clear(namespace, _sellers(namespace, handle), by=by)


def _sellers(namespace: str, handle: str) -> list[str]:
    """Who has listed the handle: one at most."""
    on_sale = Listing.objects.filter(handle__namespace_id=namespace, state="open")
    canonical = names.canonical_of(namespace=namespace, handle=handle)
    return list(on_sale.filter(handle__handle=canonical).values_list("seller_id", flat=True))


def _carry_out(
    approval: Approval, *, by: str, act: Callable[[Approval, datetime], Result]
) -> Result:
    now = clock.now()
    approval.state, approval.approved_by_id, approval.approved_at = "approved", by, now
    approval.save(update_fields=["state", "approved_by", "approved_at"])
    body = {
        "proposer": approval.proposed_by_id,
        "approver": by,
        "shown": approval.shown,
        "reason": approval.action,
        "action": approval.action,
    }
    event = Event("Approved", approval.id, body)
    record.log(event, namespace=approval.namespace_id, at=now)
    return act(approval, now)


def _expect_open(approval: Approval) -> None:
    if approval.state == "void":
        raise ShownChanged("what was shown has changed since")
    if approval.state == "withdrawn":
        raise AlreadyClosed("this was withdrawn")
    if approval.state != "open":
        raise AlreadyClosed("this was already approved")


def withdraw(*, approval_id: str, by: str) -> Approval:
    """Take back what one proposed, before anybody approved it.

    Refuses `not_allowed` for anybody but the proposer, `already_closed`, `shown_changed`.
    """
    with transaction.atomic():
        approval = rowlocks.approval(approval_id)
        _expect_open(approval)
        if approval.proposed_by_id != by:
            raise NotAllowed("only its proposer may withdraw a proposal")
        approval.state = "withdrawn"
        approval.save(update_fields=["state"])
        return approval


def _shown_now(approval: Approval, facts: Mapping[str, Any]) -> str:
    return record.shown(action=approval.action, payload=approval.payload, facts=facts)


def _price(approval: Approval) -> Money:
    price = approval.payload["price"]
    return Money(int(price["minor"]), price["currency"])


def _handle_facts(approval: Approval) -> Mapping[str, Any]:
    rowlocks.namespace_shared(approval.namespace_id)  # a phase is relied on, and comes before
    row = names.touch(namespace=approval.namespace_id, handle=approval.payload["handle"])
    return listing.facts_of(row)


def _purchase_facts(approval: Approval) -> Mapping[str, Any]:
    """The same, and whoever listed it is locked, too."""
    facts = _handle_facts(approval)
    place, handle = approval.namespace_id, approval.payload["handle"]
    rowlocks.parties(*_sellers(place, handle))
    return facts


def _list(approval: Approval, now: datetime) -> Result:
    handle = approval.payload["handle"]
    return listing.open_approved(approval, price=_price(approval), handle=handle, now=now)


def _campaign(approval: Approval, now: datetime) -> Result:
    return invitation.draft_approved(approval, now=now)


def propose_house_purchase(*, namespace: str, handle: str, by: str, price: Money) -> Approval:
    """The operator buys: a released handle, or one that its holder has listed at that price.

    Always two people, a page that says so, and a leaf. Refuses an unavailable handle,
    `phase_closed`, `name_needed` of the seller, `screening_held`, `screening_stale`.
    """
    _expect_seller_clear(namespace, handle, by=by)
    with transaction.atomic():
        place = rowlocks.namespace_shared(namespace)
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        staff.expect(by, access.Action.HOUSE_PURCHASE, namespace=namespace)
        access.expect_phase(place.phase, access.Way.HOUSE_PURCHASE)
        _purchase_terms(row, price=price)
        return record.propose(
            namespace=namespace,
            action="house_purchase",
            payload={"handle": row.handle, "price": amount(price)},
            facts=listing.facts_of(row),
            by=by,
            now=now,
        )


def _purchase_terms(row: Handle, *, price: Money) -> tuple[Member, Listing | None]:
    """Who sells to the house: the holder who listed at this price, else the platform itself."""
    price.expect(row.namespace.currency)
    found = Listing.objects.filter(handle=row, state="open", seller__is_house=False).first()
    if found is None:
        listing.expect_house_may_sell(row)
        return listing.house(row.namespace_id), None
    if found.term == Term.ACCOUNT:
        raise NotAllowed("the house buys handles, not whole accounts")
    if found.price_minor != price.minor:
        raise Malformed("the house pays the price of the listing")
    return found.seller, found


def _house_purchase(approval: Approval, now: datetime) -> Result:
    place = rowlocks.namespace_shared(approval.namespace_id)
    access.expect_phase(place.phase, access.Way.HOUSE_PURCHASE)
    row = names.touch(namespace=approval.namespace_id, handle=approval.payload["handle"])
    price = _price(approval)
    seller, _ = _purchase_terms(row, price=price)
    own = Listing.objects.filter(handle=row, state="open").first()
    sale = sale_flow.agree(
        row=row,
        kind=sales.Kind.HOUSE,
        mechanism="house",
        by=approval.id,
        buyer=listing.house(approval.namespace_id),
        seller=seller,
        price=price,
        now=now,
        instead_of=own.id if own else None,
    )
    listing.close(row, now=now)
    body = {
        "proposer": approval.proposed_by_id,
        "approver": approval.approved_by_id,
        "shown": approval.shown,
        "reason": "house_purchase",
        "handle": row.handle,
        "sale": sale.id,
        "price": amount(price),
    }
    record.log(Event("HousePurchase", sale.id, body), namespace=row.namespace_id, at=now)
    return sale


ACTS: dict[
    str,
    tuple[Callable[[Approval, datetime], Result], Callable[[Approval], Mapping[str, Any]]],
] = {
    "list": (_list, _handle_facts),
    "campaign": (_campaign, _handle_facts),
    "house_purchase": (_house_purchase, _purchase_facts),
    "adopt_plan": (plan.adopt_approved, plan.facts_of),
    "edit_list": (lists.change_approved, lists.facts_of),
    "bank_money": (bank.decide_approved, bank.facts_of),
    "bank_order": (receiver.name_approved, receiver.facts_of),
    "write_off": (chargeback.write_off_approved, recovery.facts_of),
    "lift_stop": (stop.lift_approved, stop.stop_facts),
    "lift_area": (area.lift_approved, area.area_facts),
}
"""Action → what carries it out, and the facts that both people see.

The facts lock what they are read from and what the act decides on: the clock is read after them.
"""


def set_phase(*, namespace: str, phase: str, by: str) -> Mapping[str, Any]:
    """Open or narrow the market. Refuses `not_allowed`, `malformed`, `already_closed` if it is so.

    What is already agreed goes on; only new ways into a sale follow the phase.
    """
    if phase not in list(access.Phase):
        raise Malformed("a phase is closed, invited or open")
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SET_PHASE, namespace=namespace)
        if place.phase == phase:
            raise AlreadyClosed(f"the phase is {phase} already")
        body = {"before": place.phase, "after": phase, "by": by}
        place.phase = phase
        place.save(update_fields=["phase"])
        record.log(Event("PhaseSet", namespace, body), namespace=namespace, at=now)
        return {"phase": phase}
