"""Fixed-price listings: open, buy, withdraw."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access, fees, people
from onym.core import handle as handles
from onym.core import listing as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import NotFound, NotLinked, StaffMayNot
from onym.core.events import Event, amount
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import appraisal, area, names, record, screening, staff
from onym.flows import sale as sale_flow
from onym.flows import term as terms
from onym.store import clock, ids, rowlocks
from onym.store.models import Approval, Handle, Listing, Member, Sale


def open_(
    *, namespace: str, handle: str, seller: str, price: Money, term: Term = Term.HANDLE
) -> Listing:
    """A member lists the handle that one of their accounts holds, or that account whole.

    Refuses `area_stopped`, `staff_may_not`, `not_linked`, `handle_malformed`,
    `handle_unavailable` (with the rung), `handle_locked`, `sale_slot_taken`,
    `currency_mismatch`, `amount_too_small`; for an account also what flows/term does;
    `name_needed`, `screening_held`, `screening_stale`.
    """
    screening.expect_all_clear(namespace, [seller], by=seller)
    with transaction.atomic():
        area.expect(Area.SALES, namespace=namespace)
        row = names.touch(namespace=namespace, handle=handle)
        (member,) = rowlocks.parties(seller)
        now = clock.now()
        _expect_may_sell(row, member=member.snapshot(), now=now)
        id_ = ids.new("lst")
        return _open(row, id_=id_, seller=member, price=price, term=term, approval=None, now=now)


def _expect_may_sell(row: Handle, *, member: people.Member, now: datetime) -> None:
    people.expect_known(member)
    if member.is_staff:
        raise StaffMayNot("staff may not sell handles of their own")
    if not member.accounts:
        raise NotLinked("link an account of this namespace first")
    handles.expect_member_may_sell(row.snapshot(), accounts=member.accounts, now=now)
    people.expect_settled_security(member, now=now)


def open_house(
    *,
    namespace: str,
    handle: str,
    by: str,
    price: Money,
    shown: appraisal.Shown | None = None,
    term: Term = Term.HANDLE,
) -> Listing | Approval:
    """Staff list a released handle, or its idle account whole; from the published threshold on a
    second person is asked.

    `shown` is the appraisal that stood beside the price; both enter the log before the listing.
    Refuses `not_allowed`, `release_stopped`…, and what `open_` refuses of handle and price.
    """
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        staff.expect(by, access.Action.LIST, namespace=namespace)
        expect_house_may_sell(row)
        _check_price(row, price=price, now=now)
        terms.expect_sellable(row, term=term, seller=house(namespace))
        if not sale_flow.guidelines_of(namespace, now).needs_two(price):
            return _open_house(row, price=price, term=term, shown=shown, approval=None, now=now)
        payload = {"handle": row.handle, "price": amount(price), **appraisal.payload(shown)}
        payload |= {"term": term.value} if term is Term.ACCOUNT else {}
        return record.propose(
            namespace=namespace,
            action="list",
            payload=payload,
            facts=facts_of(row),
            by=by,
            now=now,
        )


def open_approved(approval: Approval, *, price: Money, handle: str, now: datetime) -> Listing:
    """The listing that two people agreed on, with the approval's transaction around it."""
    row = names.touch(namespace=approval.namespace_id, handle=handle)
    expect_house_may_sell(row)
    shown = appraisal.read(approval.payload)
    term = Term(approval.payload.get("term", Term.HANDLE))
    return _open_house(row, price=price, term=term, shown=shown, approval=approval.id, now=now)


def _open_house(
    row: Handle,
    *,
    price: Money,
    term: Term,
    shown: appraisal.Shown | None,
    approval: str | None,
    now: datetime,
) -> Listing:
    id_, seller = ids.new("lst"), house(row.namespace_id)
    set_ = appraisal.priced(
        row, ref=id_, price=price, shown=shown, approval=approval, is_public=True
    )
    record.log(*set_, namespace=row.namespace_id, at=now)
    return _open(row, id_=id_, seller=seller, price=price, term=term, approval=approval, now=now)


def facts_of(row: Handle) -> dict[str, Any]:
    """What both people see of a handle; a change of it voids an approval."""
    return handles.facts(row.snapshot())


def house(namespace: str) -> Member:
    """The operator's own member, who sells what the platform sells."""
    return Member.objects.get(namespace_id=namespace, is_house=True)


def expect_house_may_sell(row: Handle) -> None:
    """The platform sells what is released and not locked, and nothing else."""
    handles.expect_house_may_sell(row.snapshot())


def _check_price(row: Handle, *, price: Money, now: datetime) -> None:
    price.expect(row.namespace.currency)
    schedule = sale_flow.schedule_of(row.namespace_id, now)
    is_house = row.state == handles.State.RELEASED
    fees.split(price=price, kind="primary" if is_house else "trade", schedule=schedule)


def _open(
    row: Handle,
    *,
    id_: str,
    seller: Member,
    price: Money,
    term: Term,
    approval: str | None,
    now: datetime,
) -> Listing:
    _check_price(row, price=price, now=now)
    terms.expect_sellable(row, term=term, seller=seller)
    names.fill_slot(row, kind="listing", ref=id_, instead_of=None, now=now)
    listing = Listing.objects.create(
        id=id_,
        namespace=row.namespace,
        handle=row,
        seller=seller,
        price_minor=price.minor,
        currency=price.currency,
        term=term,
        versions={"guidelines": sale_flow.guidelines_of(row.namespace_id, now).ref},
        opened_at=now,
    )
    record.log(_opened(listing, approval=approval), namespace=row.namespace_id, at=now)
    return listing


def _opened(listing: Listing, *, approval: str | None) -> Event:
    body: dict[str, Any] = {
        "handle": listing.handle.handle,
        "versions": listing.versions,
        "seller": listing.seller_id,
        "price": amount(Money(listing.price_minor, listing.currency)),
    }
    if approval:
        body["approval"] = approval
    if listing.term == Term.ACCOUNT:
        body["term"] = listing.term
    return Event("ListingOpened", listing.id, body)


def buy(*, listing_id: str, buyer: str, consents: bool = False) -> Sale:
    """Take a listing at its price: the first who does has the sale, the next is told so.

    `consents`: the buyer knows what passes over with a whole account, which is written down.
    Refuses `not_found`, `phase_closed`, `already_closed`, `own_handle`, `staff_may_not`,
    `not_linked`, `handle_locked` within 30 days of a change in how the seller signs in,
    `name_needed`, `screening_held`, `screening_stale`.
    """
    asked = Listing.objects.filter(pk=listing_id).values_list("namespace_id", "seller_id").first()
    if asked is None:
        raise NotFound("no such listing")
    found, sells = asked
    screening.expect_all_clear(found, [buyer, sells], by=buyer)
    with transaction.atomic():
        place = rowlocks.namespace_shared(found)
        listing = rowlocks.listing(listing_id)
        member, seller = rowlocks.parties(buyer, listing.seller_id)
        now = clock.now()
        access.expect_phase(place.phase, access.Way.LISTING)
        taken = core.buy(listing.snapshot(), buyer=member.snapshot(), seller=seller.snapshot())
        kind = sales.Kind.PRIMARY if seller.is_house else sales.Kind.TRADE
        sale = sale_flow.agree(
            row=listing.handle,
            kind=kind,
            mechanism="listing",
            by=listing.id,
            buyer=member,
            seller=seller,
            price=taken.price,
            now=now,
            instead_of=listing.id,
            term=taken.term,
            consented_at=now if consents and taken.term is Term.ACCOUNT else None,
        )
        _write(listing, taken, now=now)
        return sale


def withdraw(*, listing_id: str, by: str) -> Listing:
    """Take a listing back. Refuses `not_allowed`, `already_closed`."""
    with transaction.atomic():
        listing = rowlocks.listing(listing_id)
        now = clock.now()
        member = Member.objects.get(pk=by).snapshot()
        staff_may = listing.seller.is_house and member.is_staff
        if staff_may:
            staff.expect(by, access.Action.LIST, namespace=listing.seller.namespace_id)
        taken = core.withdraw(listing.snapshot(), by=member, staff_may=staff_may)
        _write(listing, taken, now=now)
        names.free_slot(listing.handle, ref=listing.id)
        return listing


def close(row: Handle, *, now: datetime) -> None:
    """End the open listing of a locked handle, if there is one: something stronger came."""
    listing = Listing.objects.filter(handle=row, state=core.State.OPEN).first()
    if listing is not None:
        _write(listing, core.close(listing.snapshot()), now=now)


def _write(listing: Listing, decided: core.Listing, *, now: datetime) -> None:
    listing.state, listing.closed_at = decided.state, now
    listing.save(update_fields=["state", "closed_at"])
