"""At each door where somebody arrives, agrees or claims, the list is asked; it fails closed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests import make
from tests.flows.test_sale import sold
from tests.flows.test_screening import LISTED, lists, named, people, place
from tests.surfaces.test_api import Caller

from onym.core.errors import NotAllowed, ScreeningHeld, ScreeningStale
from onym.flows import desk, invitation, listing, offer, screening, share
from onym.flows import people as members
from onym.store import secrets
from onym.store.models import (
    Approval,
    DisplacedShare,
    Invitation,
    Link,
    MailAddress,
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
    named(people[who], LISTED)
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


def figures() -> tuple[int, ...]:
    """How much there is of what a door leads to."""
    kinds = (Sale, Link, Payout, Approval)
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
    named(people[1], LISTED)
    lists(tmp_path, LISTED)
    with pytest.raises(NotAllowed):
        offer.accept(offer_id=row.id, by=make.member(place, account="acc-eve").id)
    assert not ScreeningCase.objects.exists()


def test_over_http_an_agreement_is_refused_and_its_case_stays(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    named(people[1], LISTED)
    lists(tmp_path, LISTED)
    answer = Caller(people[1]).send("POST", f"/listings/{row.id}/buy", {})
    assert (answer.status_code, answer.json()["code"]) == (403, "screening_held")
    assert ScreeningCase.objects.get().member_id == people[1].id
    assert not Sale.objects.exists()
