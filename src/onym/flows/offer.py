"""Offers on any held handle: make, counter, accept, decline, withdraw, expire.

The holder is asked by mail and on the platform, whether or not they ever signed in. Either link
declines; that of the letter answers without sign-up, with a proof of the account (`flows/answer`).
"""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from onym.core import access, fees, people
from onym.core import handle as handles
from onym.core import offer as core
from onym.core import sale as sales
from onym.core.area import Area
from onym.core.errors import InProgress, NotAllowed, NotFound, SaleSlotTaken
from onym.core.events import Event, amount
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import area, names, record, screening
from onym.flows import listing as listings
from onym.flows import sale as sale_flow
from onym.flows import term as terms
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    Handle,
    Link,
    Listing,
    MailAddress,
    Member,
    Notice,
    Offer,
    OfferMove,
    Sale,
    SaleSlot,
)

MAIL, PLATFORM = "mail", "platform"
"""The two ways by which a holder is asked, each with a link of its own."""


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
    `name_needed`, `screening_held`, `screening_stale`.
    """
    screening.expect_all_clear(namespace, [buyer], by=buyer)
    with transaction.atomic():
        place = rowlocks.namespace_shared(namespace)
        access.expect_phase(place.phase, access.Way.OFFER)
        area.expect(Area.SALES, namespace=namespace)
        row = names.touch(namespace=namespace, handle=handle)
        (member,) = rowlocks.parties(buyer)
        now = clock.now()
        people.expect_known(member.snapshot())
        offer = _decide(row, member=member, price=price, term=term, now=now)
        terms.expect_wanted(row, term=term, buyer=member, consents=consents)
        sale_flow.expect_country(member, now=now)
        reach = _reach(namespace, offer.holder_account_id)
        tokens = {PLATFORM: random.token_urlsafe(32)}
        tokens |= {MAIL: random.token_urlsafe(32)} if reach.by_mail else {}
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
            token_digest=secrets.digest(tokens[PLATFORM]),
            mail_digest=secrets.digest(tokens[MAIL]) if MAIL in tokens else None,
            made_at=now,
            expires_at=offer.expires_at,
        )
        _moved(saved, by=core.Turn.BUYER, move="offer", now=now)
        sealed = {way: _sealed(saved, token) for way, token in tokens.items()}
        _tell_holder(saved, reach, kind="offer_made", about=saved.id, links=sealed, now=now)
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


@dataclass(frozen=True, slots=True)
class Reach:
    """How an account's holder is written to: as a member, or at the address the platform knows."""

    member: str | None
    address: str | None

    @property
    def by_mail(self) -> bool:
        return bool(self.member or self.address)


def _reach(namespace: str, account_id: str) -> Reach:
    """A member without an address is reached through the platform alone, as their account is."""
    link = Link.objects.filter(
        namespace_id=namespace, account_id=account_id, unlinked_at=None
    ).first()
    if link is not None:
        mails = MailAddress.objects.filter(member_id=link.member_id, replaced_at=None)
        return Reach(link.member_id if mails.exists() else None, None)
    known = names.directory(namespace)
    return Reach(None, known.email(account_id) if known else None)


def _sealed(offer: Offer, token: str) -> str:
    return secrets.seal(token, place=f"offer.token/{offer.id}").hex()


def _links(offer: Offer) -> dict[str, str]:
    """The links by which the holder was asked, sealed, by their way."""
    rows = Notice.objects.filter(namespace_id=offer.namespace_id, kind="offer_made", about=offer.id)
    found = rows.values_list("channel", "facts__token_sealed")
    return {channel: sealed for channel, sealed in found if sealed}


def _tell_holder(
    offer: Offer, reach: Reach, *, kind: str, about: str, links: Mapping[str, str], now: datetime
) -> None:
    """By mail and on the platform, each with its own link: who reads one has not read the other."""
    account = offer.holder_account_id

    def facts(way: str) -> dict[str, str]:
        told = {"offer": offer.id, "handle": offer.handle.display, "term": offer.term}
        return told | ({"token_sealed": links[way]} if way in links else {})

    told: dict[str, Any] = {
        "namespace": offer.namespace_id,
        "kind": kind,
        "about": about,
        "now": now,
        "language": names.spoken_by(offer.namespace_id, account),
    }
    if reach.by_mail:
        record.notify(**told, member=reach.member, address=reach.address, facts=facts(MAIL))
    record.notify(**told, account_id=account, facts=facts(PLATFORM))


def by_token(token: str) -> Offer:
    """The offer that a message's link is about. Refuses `not_found`."""
    digest = secrets.digest(token)
    offer = Offer.objects.filter(Q(token_digest=digest) | Q(mail_digest=digest)).first()
    if offer is None:
        raise NotFound("no such offer")
    return offer


def counter(*, offer_id: str, by: str, price: Money) -> Offer:
    """A new price by the member whose turn it is. Refuses `not_allowed`, `expired`,
    `name_needed`, `screening_held`, `screening_stale`, …
    """
    screening.expect_all_clear(_namespace_of(offer_id), [by], by=by)
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
    keeps the handle from being sold (`handle_locked`, `handle_unavailable`), `name_needed`,
    `screening_held`, `screening_stale`.
    """
    place = _namespace_of(offer_id)
    _expect_clear(offer_id, by=by)
    with transaction.atomic():
        phase = rowlocks.namespace_shared(place).phase
        offer = rowlocks.offer(offer_id)
        holder = _holder(offer)
        locked = rowlocks.parties(offer.buyer_id, *([holder] if holder else []))
        now = clock.now()
        access.expect_phase(phase, access.Way.OFFER)
        side = _side(offer, by)
        decided = core.accept(offer.snapshot(), by=side, now=now)
        if holder is None:
            raise NotAllowed("the holder has not signed in yet")
        offer.buyer, seller = locked
        sells = seller.snapshot()
        people.expect_settled_security(sells, now=now, is_told=by == seller.id)
        handles.expect_member_may_sell(offer.handle.snapshot(), accounts=sells.accounts, now=now)
        _write(offer, decided, by=side, move="accept", now=now)
        return _agree(offer, seller=seller, now=now)


def _expect_clear(offer_id: str, *, by: str) -> None:
    """Both parties, before their rows are locked; whoever is neither is refused as that."""
    offer = Offer.objects.get(pk=offer_id)
    parties = [offer.buyer_id, _holder(offer)]
    if by in parties:
        screening.expect_all_clear(offer.namespace_id, parties, by=by)


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


def _holder(offer: Offer) -> str | None:
    """The member who holds the asked account; a buyer's acceptance needs one, too."""
    rows = Link.objects.filter(
        namespace_id=offer.namespace_id, account_id=offer.holder_account_id, unlinked_at=None
    )
    return rows.values_list("member_id", flat=True).first()


def _write(offer: Offer, decided: core.Offer, *, by: core.Turn, move: str, now: datetime) -> None:
    offer.state, offer.turn = decided.state, decided.turn
    offer.price_minor, offer.expires_at = decided.price.minor, decided.expires_at
    if decided.state is not core.State.OPEN:
        offer.closed_at = now
    offer.save()
    _moved(offer, by=by, move=move, now=now)


def _tell_other(offer: Offer, *, by: core.Turn, kind: str, now: datetime) -> None:
    about = f"{offer.id}/{offer.offermove_set.count()}"
    if by is core.Turn.BUYER:
        reach = _reach(offer.namespace_id, offer.holder_account_id)
        _tell_holder(offer, reach, kind=kind, about=about, links=_links(offer), now=now)
        return
    record.notify(
        namespace=offer.namespace_id,
        kind=kind,
        about=about,
        now=now,
        member=offer.buyer_id,
        facts={"offer": offer.id, "handle": offer.handle.display},
    )
