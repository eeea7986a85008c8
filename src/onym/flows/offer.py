"""Offers on any held handle: make, counter, accept, decline, withdraw, expire.

The holder is asked by mail or on the platform, whether or not they ever signed in; the link in that
message answers without sign-up, but only a member who holds the account can accept.
"""

from __future__ import annotations

import secrets as random
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from onym.core import access, fees, people
from onym.core import handle as handles
from onym.core import offer as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import InProgress, NotAllowed, NotFound, SaleSlotTaken
from onym.core.events import Event, amount
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import area, names, record
from onym.flows import listing as listings
from onym.flows import sale as sale_flow
from onym.flows import term as terms
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import Handle, Link, Listing, Member, Offer, OfferMove, Sale, SaleSlot


def make(
    *,
    namespace: str,
    handle: str,
    buyer: str,
    price: Money,
    term: Term = Term.HANDLE,
    consents: bool = False,
) -> Offer:
    """Offer a price for a held handle, or for the account that holds it; listed or not.

    Refuses `phase_closed`, `area_stopped`, `handle_malformed`, `staff_may_not`, `not_linked`,
    `own_handle`,
    `handle_unavailable`, `handle_locked`, `sale_slot_taken` by a live sale, `in_progress` while
    an earlier one is open, `currency_mismatch`,
    `amount_too_small` below the holder's minimum (without the figure; the holder is not told).
    For an account also `not_allowed`, `malformed` without consent, `handle_unavailable`.
    """
    with transaction.atomic():
        place = rowlocks.namespace_shared(namespace)
        access.expect_phase(place.phase, access.Way.OFFER)
        area.expect(Area.SALES, namespace=namespace)
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        member = Member.objects.get(pk=buyer)
        offer = _decide(row, member=member, price=price, term=term, now=now)
        terms.expect_wanted(row, term=term, buyer=member, consents=consents)
        sale_flow.expect_country(member, now=now)
        token = random.token_urlsafe(32)
        saved = Offer.objects.create(
            id=offer.id,
            namespace_id=namespace,
            handle=row,
            holder_account_id=offer.holder_account_id,
            buyer=member,
            price_minor=price.minor,
            currency=price.currency,
            term=term,
            consented_at=now if term is Term.ACCOUNT else None,
            token_digest=secrets.digest(token),
            made_at=now,
            expires_at=offer.expires_at,
        )
        _moved(saved, by=core.Turn.BUYER, move="offer", now=now)
        _ask_holder(saved, token=token, now=now)
        return saved


def _decide(row: Handle, *, member: Member, price: Money, term: Term, now: datetime) -> core.Offer:
    snapshot, who = row.snapshot(), member.snapshot()
    people.buying_account(who)
    price.expect(row.namespace.currency)
    offer = core.make(
        id_=ids.new("off"),
        buyer=member.id,
        buyer_accounts=who.accounts,
        holder_account_id=row.account_id or "",
        price=price,
        minimum_minor=minimum_of(row),
        expires_at=now + _patience(row.namespace_id, now),
        term=term,
    )
    handles.expect_tradable(snapshot, now=now)
    _expect_no_sale(row)
    if Offer.objects.filter(handle=row, buyer=member, state=core.State.OPEN).exists():
        raise InProgress("your offer on this handle is still open")
    fees.split(price=price, kind="trade", schedule=sale_flow.schedule_of(row.namespace_id, now))
    return offer


def minimum_of(row: Handle) -> int | None:
    """The holder's own minimum offer, else the namespace's."""
    return row.minimum_offer_minor or row.namespace.minimum_offer_minor or None


def _patience(namespace: str, now: datetime) -> timedelta:
    return sale_flow.guidelines_of(namespace, now).periods["offer_days"]


def _expect_no_sale(row: Handle) -> None:
    slot = SaleSlot.objects.filter(pk=row.pk).first()
    if slot is not None and slot.kind != "listing":
        raise SaleSlotTaken("the handle is already being sold", kind=slot.kind)


def _moved(offer: Offer, *, by: core.Turn, move: str, now: datetime) -> None:
    OfferMove.objects.create(offer=offer, by=by, move=move, price_minor=offer.price_minor, at=now)


def _ask_holder(offer: Offer, *, token: str, now: datetime) -> None:
    """By the member's mail if the account is linked, by its own mail if known, and there."""
    link = Link.objects.filter(
        namespace_id=offer.namespace_id, account_id=offer.holder_account_id, unlinked_at=None
    ).first()
    known = names.directory(offer.namespace_id)
    address = known.email(offer.holder_account_id) if known and link is None else None
    sealed = secrets.seal(token, place=f"offer.token/{offer.id}").hex()
    record.notify(
        namespace=offer.namespace_id,
        kind="offer_made",
        about=offer.id,
        now=now,
        member=link.member_id if link else None,
        account_id=offer.holder_account_id,
        address=address,
        language=names.spoken_by(offer.namespace_id, offer.holder_account_id),
        facts={
            "offer": offer.id,
            "handle": offer.handle.display,
            "term": offer.term,
            "token_sealed": sealed,
        },
    )


def by_token(token: str) -> Offer:
    """The offer that a message's link is about. Refuses `not_found`."""
    offer = Offer.objects.filter(token_digest=secrets.digest(token)).first()
    if offer is None:
        raise NotFound("no such offer")
    return offer


def counter(*, offer_id: str, by: str, price: Money) -> Offer:
    """A new price by the member whose turn it is. Refuses `not_allowed`, `expired`, …"""
    with transaction.atomic():
        offer = rowlocks.offer(offer_id)
        now = clock.now()
        price.expect(offer.currency)
        side = _side(offer, by)
        until = now + _patience(offer.namespace_id, now)
        decided = core.counter(offer.snapshot(), by=side, price=price, now=now, expires_at=until)
        schedule = sale_flow.schedule_of(offer.namespace_id, now)
        fees.split(price=price, kind="trade", schedule=schedule)
        _write(offer, decided, by=side, move="counter", now=now)
        _tell_other(offer, by=side, kind="offer_countered", now=now)
        return offer


def accept(*, offer_id: str, by: str) -> Sale:
    """Agree to the price on the table: takes the sale slot and closes a listing.

    Refuses `not_allowed` out of turn, `expired`, `already_closed`, `sale_slot_taken`, and what
    keeps the handle from being sold (`handle_locked`, `handle_unavailable`).
    """
    place = _namespace_of(offer_id)
    with transaction.atomic():
        phase = rowlocks.namespace_shared(place).phase
        offer = rowlocks.offer(offer_id)
        now = clock.now()
        access.expect_phase(phase, access.Way.OFFER)
        side = _side(offer, by)
        decided = core.accept(offer.snapshot(), by=side, now=now)
        seller = _seller(offer)
        people.expect_settled_security(seller.snapshot(), now=now)
        handles.expect_member_may_sell(
            offer.handle.snapshot(), accounts=seller.snapshot().accounts, now=now
        )
        _write(offer, decided, by=side, move="accept", now=now)
        return _agree(offer, seller=seller, now=now)


def _agree(offer: Offer, *, seller: Member, now: datetime) -> Sale:
    listing = Listing.objects.filter(handle=offer.handle, state="open").first()
    sale = sale_flow.agree(
        row=offer.handle,
        kind=sales.Kind.TRADE,
        mechanism="offer",
        by=offer.id,
        buyer=offer.buyer,
        seller=seller,
        price=Money(offer.price_minor, offer.currency),
        now=now,
        instead_of=listing.id if listing else None,
        term=Term(offer.term),
        consented_at=offer.consented_at,
    )
    listings.close(offer.handle, now=now)
    record.log(_accepted(offer, sale), namespace=offer.namespace_id, at=now)
    return sale


def _accepted(offer: Offer, sale: Sale) -> Event:
    body: dict[str, Any] = {
        "handle": offer.handle.handle,
        "versions": sale.versions,
        "buyer": sale.buyer_id,
        "seller": sale.seller_id,
        "price": amount(sale.money("price")),
    }
    if offer.term == Term.ACCOUNT:
        body["term"] = offer.term
    return Event("OfferAccepted", offer.id, body)


def decline(*, offer_id: str, by: str) -> Offer:
    """No. Refuses `not_allowed` out of turn, `expired`, `already_closed`."""
    with transaction.atomic():
        offer = rowlocks.offer(offer_id)
        now = clock.now()
        side = _side(offer, by)
        decided = core.decline(offer.snapshot(), by=side, now=now)
        _write(offer, decided, by=side, move="decline", now=now)
        _tell_other(offer, by=side, kind="offer_declined", now=now)
        return offer


def decline_by_token(*, token: str) -> Offer:
    """The asked holder says no with the message's link alone."""
    found = by_token(token)
    with transaction.atomic():
        offer = rowlocks.offer(found.id)
        now = clock.now()
        decided = core.decline(offer.snapshot(), by=core.Turn.SELLER, now=now)
        _write(offer, decided, by=core.Turn.SELLER, move="decline", now=now)
        _tell_other(offer, by=core.Turn.SELLER, kind="offer_declined", now=now)
        return offer


def withdraw(*, offer_id: str, by: str) -> Offer:
    """The buyer takes it back. Refuses `not_allowed`, `expired`, `already_closed`."""
    with transaction.atomic():
        offer = rowlocks.offer(offer_id)
        now = clock.now()
        side = _side(offer, by)
        decided = core.withdraw(offer.snapshot(), by=side, now=now)
        _write(offer, decided, by=side, move="withdraw", now=now)
        return offer


def expire(*, offer_id: str) -> None:
    """Nobody answered in time. Early or repeated calls do nothing."""
    with transaction.atomic():
        offer = rowlocks.offer(offer_id)
        now = clock.now()
        if offer.state != core.State.OPEN or now < offer.expires_at:
            return
        if area.is_stopped(Area.SALES, namespace=offer.namespace_id):
            return
        decided = core.expire(offer.snapshot(), now=now)
        _write(offer, decided, by=core.Turn(offer.turn), move="expire", now=now)
        _tell_other(offer, by=core.Turn.SELLER, kind="offer_expired", now=now)


def close_for(row: Handle, *, now: datetime) -> None:
    """The holder of a locked handle changed: offers made to the last one end (H8)."""
    for offer in Offer.objects.filter(handle=row, state=core.State.OPEN):
        decided = core.expire(offer.snapshot(), now=now, holder_changed=True)
        _write(offer, decided, by=core.Turn.SELLER, move="expire", now=now)


def set_minimum(*, namespace: str, handle: str, by: str, minimum: Money | None) -> None:
    """The holder's minimum offer; below it offers are refused unseen. None takes it away."""
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        clock.now()
        if row.account_id not in Member.objects.get(pk=by).snapshot().accounts:
            raise NotAllowed("only its holder sets a handle's minimum offer")
        minor = minimum.expect(row.namespace.currency).minor if minimum else None
        row.minimum_offer_minor = minor
        row.save(update_fields=["minimum_offer_minor"])


def _namespace_of(offer_id: str) -> str:
    found = Offer.objects.filter(pk=offer_id).values_list("namespace_id", flat=True).first()
    if found is None:
        raise NotFound("no such offer")
    return found


def _side(offer: Offer, member: str) -> core.Turn:
    who = Member.objects.get(pk=member).snapshot()
    return core.side(offer.snapshot(), member=member, accounts=who.accounts)


def _seller(offer: Offer) -> Member:
    """The member who holds the asked account; a buyer's acceptance needs one, too."""
    link = Link.objects.filter(
        namespace_id=offer.namespace_id, account_id=offer.holder_account_id, unlinked_at=None
    ).first()
    if link is None:
        raise NotAllowed("the holder has not signed in yet")
    return link.member


def _write(offer: Offer, decided: core.Offer, *, by: core.Turn, move: str, now: datetime) -> None:
    offer.state, offer.turn = decided.state, decided.turn
    offer.price_minor, offer.expires_at = decided.price.minor, decided.expires_at
    if decided.state is not core.State.OPEN:
        offer.closed_at = now
    offer.save()
    _moved(offer, by=by, move=move, now=now)


def _tell_other(offer: Offer, *, by: core.Turn, kind: str, now: datetime) -> None:
    facts = {"offer": offer.id, "handle": offer.handle.display}
    step = offer.offermove_set.count()
    told: dict[str, Any] = {
        "namespace": offer.namespace_id,
        "kind": kind,
        "now": now,
        "facts": facts,
    }
    if by is core.Turn.SELLER:
        record.notify(about=f"{offer.id}/{step}", member=offer.buyer_id, **told)
        return
    link = Link.objects.filter(account_id=offer.holder_account_id, unlinked_at=None).first()
    member = link.member_id if link else None
    account = offer.holder_account_id
    told["language"] = names.spoken_by(offer.namespace_id, account)
    record.notify(about=f"{offer.id}/{step}", member=member, account_id=account, **told)
