"""The asked holder answers without sign-up: the letter's link, and one proof of the account.

Whoever reads the mailbox cannot write the account's profile, and whoever holds the account alone
has not read the letter. The answer takes effect in the transaction that records the proof, and
makes the holder a member at the address that the letter went to; docs/adr/0068.
"""

from __future__ import annotations

import os
from datetime import datetime

from django.db import transaction

from onym.core import access, fees
from onym.core import answer as core
from onym.core import link as codes
from onym.core import people as core_people
from onym.core import screening as names
from onym.core.errors import AlreadyClosed, NotAllowed, ScreeningHeld
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import limits, people, screening
from onym.flows import link as links
from onym.flows import offer as offers
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import Link, MailAddress, Member, Notice, Offer, OfferAnswer


def way(*, token: str) -> core.Way:
    """How whoever opened this link may agree or name a price. Refuses `not_found`."""
    offer = offers.by_token(token)
    return core.way(
        by_mail=offer.mail_digest == secrets.digest(token),
        has_letter=offer.mail_digest is not None,
        has_signed_up=_has_signed_up(offer),
    )


def _has_signed_up(offer: Offer) -> bool:
    """The account's member, or the member at the letter's address, has a sign-in of their own."""
    member = _linked(offer)
    if member is not None:
        return member.user_id is not None
    letter = _letter(offer)
    rows = MailAddress.objects.filter(namespace_id=offer.namespace_id, replaced_at=None)
    return letter is not None and rows.filter(address_index=letter.address_index).exists()


def _linked(offer: Offer) -> Member | None:
    rows = Link.objects.select_related("member").filter(
        namespace_id=offer.namespace_id, account_id=offer.holder_account_id, unlinked_at=None
    )
    row = rows.first()
    return row.member if row else None


def _letter(offer: Offer) -> Notice | None:
    """The letter that the link stood in."""
    rows = Notice.objects.filter(namespace_id=offer.namespace_id, kind="offer_made")
    return rows.filter(about=offer.id, channel=offers.MAIL).order_by("id").first()


def needs_name(*, token: str) -> bool:
    """Whether whoever answers here has to say who they are: the list is asked, and nobody knows."""
    return _needs_name(offers.by_token(token))


def _needs_name(offer: Offer) -> bool:
    known = _linked(offer)
    is_known = known is not None and names.is_name(known.name)
    return screening.is_asked(offer.namespace_id) and not is_known


def order(*, token: str, kind: core.Kind, price: Money, name: str = "") -> OfferAnswer:
    """An answer that waits for its proof: the code is for the account's profile.

    Each browser has its own. `name` is kept only where one is needed. Refuses `not_allowed` where
    the link does not suffice or out of turn, `expired`, `already_closed`, `shown_changed`,
    `phase_closed`, amounts, `rate_limited`, `name_needed`, `malformed`.
    """
    found = offers.by_token(token)
    limits.spend("link", who=found.id)
    called = ""
    if _needs_name(found):
        names.expect_named(name)
        called = core_people.name(name)
    with transaction.atomic():
        phase = rowlocks.namespace_shared(found.namespace_id).phase
        offer = rowlocks.offer(found.id)
        now = clock.now()
        access.expect_phase(phase, access.Way.OFFER)
        core.expect_may(kind, offer=offer.snapshot(), price=price.expect(offer.currency), now=now)
        core.expect_here(way(token=token))
        if kind is core.Kind.ACCEPT and offer.term == Term.ACCOUNT:
            raise NotAllowed("a whole account is sold by a member who has signed in")
        _expect_price(offer, price, now=now)
        late = clock.machine() - codes.CODE_LASTS
        OfferAnswer.objects.filter(ordered_at__lt=late).delete()
        id_ = ids.new("ans")
        return OfferAnswer.objects.create(
            id=id_,
            offer=offer,
            kind=kind,
            price_minor=price.minor,
            step=offer.offermove_set.count(),
            code=codes.code(os.urandom(codes.ENTROPY_BYTES)),
            name_sealed=secrets.seal(called, place=f"offeranswer.name/{id_}") if called else b"",
            ordered_at=clock.machine(),
        )


def _expect_price(offer: Offer, price: Money, *, now: datetime) -> None:
    schedule = sale_flow.schedule_of(offer.namespace_id, now)
    fees.split(price=price, kind="trade", schedule=schedule)


def forget(*, answer_id: str) -> None:
    """It shall be answered otherwise, or not at all."""
    OfferAnswer.objects.filter(pk=answer_id).delete()


def prove(*, answer_id: str) -> bool:
    """Look into the profile of whoever holds the handle now; if the code is there, it is answered.

    Refuses `already_closed`, `expired`, `platform_unavailable`, `rate_limited`, and all that keeps
    a member from answering so: `screening_held`, `shown_changed`, `not_allowed`, …
    Who is held by the name they gave is a member from then on, and has answered nothing.
    """
    found = _waiting(answer_id)
    held = _ask(found)
    return _take(found, account_id=held.account_id, profile=held.bio)


def prove_by_account(*, answer_id: str, account_id: str) -> None:
    """The same by the platform's sign-in, which has just said who sits at the browser."""
    found = _waiting(answer_id)
    held = _ask(found)
    if held.account_id != account_id:
        raise NotAllowed("the handle is held by another account than the one that signed in")
    _take(found, account_id=account_id, profile=found.code)


def _waiting(answer_id: str) -> OfferAnswer:
    found = OfferAnswer.objects.select_related("offer__handle").filter(pk=answer_id).first()
    if found is None:
        raise AlreadyClosed("this answer does not wait for a proof any more")
    return found


def _ask(found: OfferAnswer) -> links.Held:
    """Who holds the handle, and their profile: asked before the transaction, as the list is."""
    offer, known = found.offer, _linked(found.offer)
    named = known.id if known and names.is_name(known.name) else None  # others say it with this
    screening.expect_all_clear(offer.namespace_id, [offer.buyer_id, named], by=named)
    return links.look_up(
        namespace=offer.namespace_id, handle=offer.handle.handle, by=f"offer {offer.id}"
    )


def _take(found: OfferAnswer, *, account_id: str, profile: str | None) -> bool:
    """Record the proof, the member and the answer together; False: the code is not there yet."""
    with transaction.atomic():
        rowlocks.namespace_shared(found.offer.namespace_id)
        offer = rowlocks.offer(found.offer_id)
        now = clock.now()
        row = OfferAnswer.objects.select_related("offer").filter(pk=found.pk).first()
        if row is None:
            raise AlreadyClosed("this answer does not wait for a proof any more")
        answer = row.snapshot()
        step = offer.offermove_set.count()
        core.expect_proven(
            answer, offer=offer.snapshot(), step=step, account_id=account_id, now=now
        )
        if not core.is_written(answer, profile=profile, now=clock.machine()):
            return False
        member = _member(offer, row.name)
        OfferAnswer.objects.filter(offer=offer).delete()
        is_held = screening.is_held(member)
        if not is_held:
            _answer(offer, answer, by=member.id)
    if is_held:
        raise ScreeningHeld("this has to be looked at by a person first")
    return True


def _answer(offer: Offer, answer: core.Answer, *, by: str) -> None:
    if answer.kind is core.Kind.ACCEPT:
        offers.accept(offer_id=offer.id, by=by)
    else:
        offers.counter(offer_id=offer.id, by=by, price=answer.price)


def _member(offer: Offer, name: str) -> Member:
    """Whom the account is linked to by an earlier answer; else a member at the letter's address."""
    if _has_signed_up(offer):
        core.expect_here(core.Way.SIGN_IN)
    known, letter = _linked(offer), _letter(offer)
    if known is not None:
        if name:
            people.set_name(member=known.id, name=name)
        return known
    if letter is None or letter.address_sealed is None:
        raise NotAllowed("no letter was sent about this offer")
    address = secrets.open_(bytes(letter.address_sealed), place=f"notice.address/{letter.id}")
    made = people.join(
        namespace=offer.namespace_id, name=name, mail=address, language=letter.language
    )
    if not screening.is_held(made):
        people.link(member=made.id, account_id=offer.holder_account_id, tell=True)
    return made
