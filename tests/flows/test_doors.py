"""At each door where somebody arrives, agrees or claims, the list is asked; it fails closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests import make
from tests.flows import purses
from tests.flows.test_sale import moved, paid, sold, step
from tests.flows.test_screening import LISTED, lists, people, place
from tests.surfaces.test_api import Caller

from onym.core.errors import NameNeeded, NotAllowed, PhaseClosed, ScreeningHeld, ScreeningStale
from onym.flows import (
    deposit,
    desk,
    invitation,
    ledger,
    listing,
    offer,
    payments,
    sale,
    screening,
    share,
    wallet,
)
from onym.flows import people as members
from onym.store import secrets
from onym.store.models import (
    Approval,
    Deposit,
    DisplacedShare,
    Invitation,
    Link,
    Listing,
    MailAddress,
    OfferMove,
    Payment,
    Payout,
    Sale,
)
from onym.store.screening import ScreeningCase

__all__ = ("people", "place")
pytestmark = pytest.mark.usefixtures("database")


def give_address(member: Any, mail: str) -> None:
    MailAddress.objects.create(
        namespace=member.namespace,
        member=member,
        address_sealed=secrets.seal(mail, place=MailAddress.place(member.id)),
        address_index=secrets.index(mail, purpose="mail"),
        verified_at=make.LONG_AGO,
    )


# Every door, held and stale


def at_listing(place: Any, people: Any) -> Any:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    return lambda: listing.buy(listing_id=row.id, buyer=people[1].id)


def at_offer(place: Any, people: Any) -> Any:
    row = offer.make(namespace="demo", handle="moon", buyer=people[1].id, price=make.usd(400))
    return lambda: offer.accept(offer_id=row.id, by=people[0].id)


def at_counter(place: Any, people: Any) -> Any:
    row = offer.make(namespace="demo", handle="moon", buyer=people[1].id, price=make.usd(400))
    offer.counter(offer_id=row.id, by=people[0].id, price=make.usd(500))
    return lambda: offer.accept(offer_id=row.id, by=people[1].id)


def at_invitation(place: Any, people: Any) -> Any:
    row = make.handle(place, "noon", state="released", account_id=None)
    team = make.member(place, roles="curator").id
    campaign = make.campaign(row, mails="nadia@mail.example", by=team)
    invitation.send(campaign_id=campaign.id, by=team)
    found = Invitation.objects.get()
    assert invitation.sending(invitation_id=found.id)
    give_address(people[1], "nadia@mail.example")
    return lambda: invitation.accept(token=found.token, by=people[1].id)


def at_house(place: Any, people: Any) -> Any:
    listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    staff = make.member(place, roles="curator")
    return lambda: desk.propose_house_purchase(
        namespace="demo", handle="moon", by=staff.id, price=make.usd(400)
    )


def at_house_spelled_otherwise(place: Any, people: Any) -> Any:
    listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    type(place).objects.update(profile="precis")
    staff = make.member(place, roles="curator")
    return lambda: desk.propose_house_purchase(
        namespace="demo", handle="Ｍｏｏｎ", by=staff.id, price=make.usd(400)
    )


def at_house_approved(place: Any, people: Any) -> Any:
    asked = at_house(place, people)()
    second = make.member(place, roles="curator")
    return lambda: desk.approve(approval_id=asked.id, by=second.id, shown=asked.shown)


def test_a_house_purchase_is_not_carried_out_in_a_phase_that_forbids_it(
    place: Any, people: Any
) -> None:
    approve = at_house_approved(place, people)
    type(place).objects.update(phase="closed")
    with pytest.raises(PhaseClosed):
        approve()
    assert (Sale.objects.count(), Approval.objects.get().state) == (0, "open")
    type(place).objects.update(phase="invited")
    assert approve().kind == "house"


def at_link(place: Any, people: Any) -> Any:
    return lambda: members.link(member=people[1].id, account_id="acc-other")


def at_share(place: Any, people: Any) -> Any:
    made = sold(place, people)
    DisplacedShare.objects.create(
        sale=made,
        namespace=place,
        account_id="acc-nadia",
        minor=100,
        currency="USD",
        from_at=make.LONG_AGO,
    )
    Sale.objects.filter(pk=made.pk).update(state="settled", closed_at=make.NOW)
    return lambda: share.claim(sale_id=made.id, by=people[1].id)


SELLER, BUYER = 0, 1
DOORS: list[tuple[Any, tuple[int, ...]]] = [
    (at_listing, (SELLER, BUYER)),
    (at_offer, (SELLER, BUYER)),
    (at_counter, (SELLER, BUYER)),
    (at_invitation, (BUYER,)),
    (at_house, (SELLER,)),
    (at_house_spelled_otherwise, (SELLER,)),
    (at_house_approved, (SELLER,)),
    (at_link, (BUYER,)),
    (at_share, (BUYER,)),
]


@pytest.mark.parametrize(
    ("door", "who"),
    [(door, who) for door, parties in DOORS for who in parties],
    ids=lambda value: getattr(
        value, "__name__", ("seller", "buyer")[value] if value in (0, 1) else ""
    ),
)
def test_at_each_door_a_held_name_waits_and_a_stale_list_lets_nobody_through(
    place: Any, people: Any, tmp_path: Path, door: Any, who: int
) -> None:
    go = door(place, people)
    make.named(people[who], LISTED)
    lists(tmp_path, LISTED, days_old=8)
    before = figures()
    with pytest.raises(ScreeningStale):
        go()
    lists(tmp_path, LISTED)
    with pytest.raises(ScreeningHeld):
        go()
    assert figures() == before
    case = ScreeningCase.objects.get()  # and it has stayed, for the desk to decide
    assert (case.member_id, case.state) == (people[who].id, "open")
    team = make.member(place, roles="curator")
    screening.decide(case_id=case.id, by=team.id, outcome="cleared")
    go()


def at_opening(place: Any, people: Any) -> Any:
    return lambda: listing.open_(
        namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400)
    )


def at_making(place: Any, people: Any) -> Any:
    return lambda: offer.make(
        namespace="demo", handle="moon", buyer=people[1].id, price=make.usd(400)
    )


def at_answering(place: Any, people: Any) -> Any:
    row = offer.make(namespace="demo", handle="moon", buyer=people[1].id, price=make.usd(400))
    return lambda: offer.counter(offer_id=row.id, by=people[0].id, price=make.usd(500))


def at_paying(place: Any, people: Any) -> Any:
    made = sold(place, people)
    return lambda: payments.pay(sale_id=made.id, by=people[1].id, method="pm_card_visa")


def at_putting_in(place: Any, people: Any) -> Any:
    return lambda: deposit.begin(member=people[1].id, amount=make.usd(10), method="pm_card_visa")


def at_taking_out(place: Any, people: Any) -> Any:
    purses.lived_in(people[1], make.NOW)
    return lambda: wallet.pay_out(member=people[1].id, amount=make.usd(10))


NAMED: list[tuple[Any, int, str]] = [
    # a door, who has no name there, and whose name the one who asks is told is missing
    (at_listing, SELLER, "theirs"),
    (at_listing, BUYER, "yours"),
    (at_offer, SELLER, "yours"),
    (at_offer, BUYER, "theirs"),
    (at_counter, SELLER, "theirs"),
    (at_counter, BUYER, "yours"),
    (at_invitation, BUYER, "yours"),
    (at_house, SELLER, "theirs"),
    (at_house_spelled_otherwise, SELLER, "theirs"),
    (at_house_approved, SELLER, "theirs"),
    (at_share, BUYER, "yours"),
    (at_opening, SELLER, "yours"),
    (at_making, BUYER, "yours"),
    (at_answering, SELLER, "yours"),
    (at_paying, BUYER, "yours"),
    (at_putting_in, BUYER, "yours"),
    (at_taking_out, BUYER, "yours"),
]


@pytest.mark.parametrize(("door", "who", "whose"), NAMED)
def test_at_each_door_whoever_has_no_name_is_asked_for_one_and_then_it_opens(
    place: Any, people: Any, tmp_path: Path, settings: Any, door: Any, who: int, whose: str
) -> None:
    settings.WALLET = True
    go = door(place, people)
    make.named(people[who], "—")
    go_on = figures()
    lists(tmp_path, LISTED)
    with pytest.raises(NameNeeded) as told:
        go()
    assert told.value.facts == {"whose": whose}
    assert figures() == go_on
    assert not ScreeningCase.objects.exists()
    members.set_name(member=people[who].id, name="Leila Mansour")
    go()


def test_where_no_list_is_asked_nobody_needs_a_name(place: Any, people: Any) -> None:
    for member in people:
        make.named(member, "")
    at_listing(place, people)()
    assert Sale.objects.count() == 1


def test_where_the_list_is_empty_nobody_needs_a_name_and_whoever_is_held_stays_so(
    place: Any, people: Any, tmp_path: Path
) -> None:
    go = at_listing(place, people)
    make.named(people[1], "")
    lists(tmp_path)
    case = ScreeningCase(id="scr_1", namespace=place, member=people[1], percent=100)
    case.found_at, case.entry_sealed = make.NOW, b""
    case.save()
    with pytest.raises(ScreeningHeld):
        go()
    case.delete()
    go()


def test_an_account_is_linked_without_a_name_and_not_with_a_listed_one(
    place: Any, tmp_path: Path
) -> None:
    lists(tmp_path, LISTED)
    made = members.arrive(namespace="demo", account_id="acc-1", language="en")
    members.link(member=made.id, account_id="acc-2")
    members.set_name(member=made.id, name=LISTED)
    with pytest.raises(ScreeningHeld):
        members.link(member=made.id, account_id="acc-3")


def test_a_payout_of_somebody_without_a_name_waits_for_it(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    moved(paid(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    make.named(people[0], "")
    lists(tmp_path, LISTED)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert (payout.state, payout.reason) == ("due", "name_needed")
    members.set_name(member=people[0].id, name="Leila Mansour")
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert payout.reason == ""


def figures() -> tuple[int, ...]:
    """How much there is of what a door leads to."""
    kinds = (Sale, Link, Payout, Approval, Listing, OfferMove, Payment, Deposit)
    return tuple(kind.objects.count() for kind in kinds)  # type: ignore[attr-defined]  # Django's


def test_whoever_joins_with_a_listed_name_waits_from_the_first_day(
    place: Any, tmp_path: Path
) -> None:
    lists(tmp_path, LISTED, days_old=8)
    with pytest.raises(ScreeningStale):
        members.join(namespace="demo", name="Nobody Much", mail="a@one.example")
    with pytest.raises(ScreeningStale):
        members.arrive(namespace="demo", account_id="acc-1", language="en")
    assert not MailAddress.objects.exists()
    lists(tmp_path, LISTED)
    made = members.join(namespace="demo", name=LISTED.upper(), mail="a@one.example")
    assert ScreeningCase.objects.get().member_id == made.id
    with pytest.raises(ScreeningHeld):
        members.link(member=made.id, account_id="acc-1")
    other = members.join(namespace="demo", name="Nobody Much", mail="b@one.example")
    members.link(member=other.id, account_id="acc-1")
    assert ScreeningCase.objects.count() == 1


def test_a_stranger_is_not_told_that_a_party_is_held(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = offer.make(namespace="demo", handle="moon", buyer=people[1].id, price=make.usd(400))
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED)
    with pytest.raises(NotAllowed):
        offer.accept(offer_id=row.id, by=make.member(place, account="acc-eve").id)
    assert not ScreeningCase.objects.exists()


def test_over_http_an_agreement_is_refused_and_its_case_stays(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED)
    answer = Caller(people[1]).send("POST", f"/listings/{row.id}/buy", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "screening_held")
    assert ScreeningCase.objects.get().member_id == people[1].id
    assert not Sale.objects.exists()
