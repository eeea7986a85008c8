"""An area of the market is stopped by one person and lifted by two; what waits goes on, and nobody
loses time for it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from tests import make, world
from tests.flows import meeting
from tests.flows.test_sale import moved, paid, sold
from tests.surfaces.test_desk import send, sign_in

from onym.core.area import Area
from onym.core.errors import AlreadyClosed, AreaStopped, Malformed, NotAllowed, SecondPersonNeeded
from onym.flows import area, clock, desk, invitation, ledger, listing, offer, payments, plan, sale
from onym.flows import people as people_flow
from onym.jobs import clock as clock_jobs
from onym.queries import due
from onym.store import clock as store_clock
from onym.store import rowlocks
from onym.store.models import AreaStop, Campaign, Event, Invitation, Namespace, Offer, Payout, Sale

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any, tmp_path: Any) -> Any:
    settings.DEMO, settings.NAMESPACE, settings.DATA = True, "demo", tmp_path
    return make.namespace()


@pytest.fixture
def people(place: Any) -> tuple[Any, Any]:
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    buyer = make.member(place, account="acc-nadia", mail="buyer@two.example")
    make.handle(place, "moon", account_id="acc-moon")
    return seller, buyer


@pytest.fixture
def team(place: Any) -> list[Any]:
    rows = [make.member(place) for _ in range(2)]
    for row in rows:
        people_flow.grant(member=row.id, role="curator")
    return rows


def stop(team: list[Any], which: str) -> None:
    said = area.set_area(namespace="demo", area=which, stopped=True, by=team[0].id)
    assert said == {"area": which, "stopped": True}


def lift(team: list[Any], which: str) -> None:
    asked = area.set_area(namespace="demo", area=which, stopped=False, by=team[0].id)
    desk.approve(approval_id=asked.id, by=team[1].id, shown=asked.shown)  # type: ignore[union-attr]  # an approval


def hours(count: float) -> None:
    clock.set_ahead(to=store_clock.now() + timedelta(hours=count))


def do_what_is_due() -> None:
    clock_jobs.run_all(due.until(store_clock.now()))


@pytest.mark.parametrize("which", list(Area))
def test_one_person_stops_an_area_and_two_let_it_go_on_and_both_are_leaves(
    which: Area, team: list[Any]
) -> None:
    stop(team, which)
    with pytest.raises(AlreadyClosed):
        stop(team, which)
    asked: Any = area.set_area(namespace="demo", area=which, stopped=False, by=team[0].id)
    with pytest.raises(SecondPersonNeeded):
        desk.approve(approval_id=asked.id, by=team[0].id, shown=asked.shown)
    assert AreaStop.objects.get().until is None
    done = desk.approve(approval_id=asked.id, by=team[1].id, shown=asked.shown)
    assert done == {"area": which, "stopped": False}
    assert AreaStop.objects.get().approval_id == asked.id
    bodies = [
        json.loads(bytes(row.entry))["body"] for row in Event.objects.filter(type="AreaStopSet")
    ]
    assert [(body["area"], body["on"]) for body in bodies] == [(which, True), (which, False)]
    assert bodies[1]["approval"] == asked.id


def test_the_second_persons_clock_is_read_once_what_they_decide_on_is_theirs(
    place: Any, team: list[Any]
) -> None:
    """Approved in time and served later: the stop ended when it was lifted, not when asked."""
    stop(team, "sales")
    asked: Any = area.set_area(namespace="demo", area="sales", stopped=False, by=team[0].id)
    later = store_clock.now() + timedelta(hours=5)
    with transaction.atomic():
        rowlocks.namespace("demo")
        said = meeting.begin(
            lambda: desk.approve(approval_id=asked.id, by=team[1].id, shown=asked.shown)
        )
        meeting.it_waits()
        clock.set_ahead(to=later)
    assert said.result(20) == "done"
    assert AreaStop.objects.get().until >= later


def test_only_who_may_turn_the_release_stop_may_turn_an_area(place: Any) -> None:
    auditor = make.member(place)
    people_flow.grant(member=auditor.id, role="auditor")
    with pytest.raises(NotAllowed):
        area.set_area(namespace="demo", area="sales", stopped=True, by=auditor.id)
    with pytest.raises(Malformed):
        area.set_area(namespace="demo", area="everything", stopped=True, by=auditor.id)


def test_an_area_is_stopped_once_at_a_time_whatever_the_program_says(
    place: Any, team: list[Any]
) -> None:
    stop(team, "sales")
    with pytest.raises(IntegrityError), transaction.atomic():
        AreaStop.objects.create(
            namespace=place, area="sales", since=store_clock.now(), set_by=team[0]
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        AreaStop.objects.create(namespace=place, area="all", since=make.NOW, set_by=team[0])


# Sales


def test_while_sales_are_stopped_nothing_is_listed_offered_agreed_or_charged(
    place: Any, people: Any, team: list[Any]
) -> None:
    seller, buyer = people
    make.handle(place, "star", account_id="acc-moon")
    listed = listing.open_(namespace="demo", handle="star", seller=seller.id, price=make.usd(9))
    unpaid = sold(place, people)
    stop(team, "sales")
    attempts = [
        lambda: listing.buy(listing_id=listed.id, buyer=buyer.id),
        lambda: listing.open_(namespace="demo", handle="sun", seller=seller.id, price=make.usd(9)),
        lambda: offer.make(namespace="demo", handle="star", buyer=buyer.id, price=make.usd(8)),
        lambda: payments.pay(sale_id=unpaid.id, by=buyer.id, method="pm_card_visa"),
    ]
    for attempt in attempts:
        with pytest.raises(AreaStopped) as refused:
            attempt()
        assert refused.value.facts == {"area": "sales"}
    lift(team, "sales")
    assert listing.buy(listing_id=listed.id, buyer=buyer.id).state == "funding"


def test_a_sale_that_is_paid_goes_on_to_its_end(place: Any, people: Any, team: list[Any]) -> None:
    made = paid(sold(place, people))
    stop(team, "sales")
    moved(made)
    sale.accept(sale_id=made.id, by=made.buyer_id)
    assert Sale.objects.get().state == "settled"


def test_nobody_loses_a_deadline_to_the_stop_of_sales(
    place: Any, people: Any, team: list[Any]
) -> None:
    """The time to pay, an offer and an invitation run out meanwhile; after the lift each has what
    it had left when the stop began."""
    _, buyer = people
    unpaid = sold(place, people)
    make.handle(place, "star", account_id="acc-moon")
    offered = offer.make(namespace="demo", handle="star", buyer=buyer.id, price=make.usd(80))
    make.campaign(make.handle(place, "lake", state="released", account_id=None))
    sent = Invitation.objects.first()
    assert sent is not None
    invitation.sending(invitation_id=sent.id)
    before = deadlines(unpaid.id, offered.id, sent.id)
    stop(team, "sales")
    hours(24 * 40)
    do_what_is_due()
    assert Sale.objects.get(pk=unpaid.id).state == "funding"
    assert Offer.objects.get(pk=offered.id).state == "open"
    assert Invitation.objects.get(pk=sent.id).state == "sent"
    lift(team, "sales")
    for then, now in zip(before, deadlines(unpaid.id, offered.id, sent.id), strict=True):
        assert timedelta(days=40) <= now - then < timedelta(days=40, minutes=5)
    do_what_is_due()
    payments.pay(sale_id=unpaid.id, by=buyer.id, method="pm_card_visa")
    assert Offer.objects.get(pk=offered.id).state == "open"
    hours(24 * 40)
    do_what_is_due()
    assert Offer.objects.get(pk=offered.id).state == "expired"


def deadlines(sale_id: str, offer_id: str, invitation_id: str) -> list[Any]:
    return [
        Sale.objects.get(pk=sale_id).funding_until,
        Offer.objects.get(pk=offer_id).expires_at,
        Invitation.objects.get(pk=invitation_id).expires_at,
    ]


# Payouts


def test_while_payouts_are_stopped_no_money_leaves_to_sellers_and_then_it_does_once(
    people: Any, place: Any, team: list[Any]
) -> None:
    """Through the real provider: the order was given before the stop, and still nothing leaves."""
    there = world.World(place, world.outside())
    there.install()
    seller, _ = people
    made = paid(sold(place, people))
    moved(made)
    sale.accept(sale_id=made.id, by=made.buyer_id)
    people_flow.payout_account(member=seller.id, provider="stripe", account=there.out.bank)
    payout = Payout.objects.get()
    clock.set_ahead(to=payout.due_at)
    there.drain()
    ledger.pay_out(payout_id=payout.id)
    stop(team, "payouts")
    there.drain()
    assert Payout.objects.get().state == "unknown"  # ordered, so it counts as gone till asked
    hours(24)
    do_what_is_due()
    there.drain()
    assert Payout.objects.get().state == "unknown"
    assert sum(there.out.taken(made.id).values()) == 0
    lift(team, "payouts")
    do_what_is_due()
    there.drain()
    # No charge was really taken: whether the provider can pay depends on other tests' sales.
    once = {"refused": (0, "balance_insufficient"), "done": (-payout.amount_minor, "")}
    asked = Payout.objects.get()
    assert (sum(there.out.taken(made.id).values()), asked.reason) == once[asked.state]


# Reclaim and outreach


def test_while_reclaim_is_stopped_no_sweep_is_taken_into_use_and_the_release_stop_is_on(
    place: Any, team: list[Any], tmp_path: Any
) -> None:
    stop(team, "reclaim")
    assert Namespace.objects.get().release_stop
    with pytest.raises(AreaStopped):
        plan.adopt(namespace="demo", stock=tmp_path, by=team[0].id, starts_at=store_clock.now())
    lift(team, "reclaim")
    assert Namespace.objects.get().release_stop, "it has a switch of its own"


def test_while_outreach_is_stopped_no_private_offer_leaves_and_the_lift_sends_the_rest(
    place: Any, team: list[Any]
) -> None:
    there = world.World(place, world.outside())
    there.install()
    mails = f"ada{id(place)}@mail.example bo{id(place)}@mail.example"
    row = make.handle(place, "lake", state="released", account_id=None)
    made = make.campaign(row, mails=mails)
    invitation.send(campaign_id=made.id, by=team[0].id)
    stop(team, "outreach")
    there.drain()
    assert set(Invitation.objects.values_list("state", flat=True)) == {"committed"}
    assert Campaign.objects.get().state == "sending"
    other = make.handle(place, "pond", state="released", account_id=None)
    waiting = make.campaign(other, mails="cy@mail.example")
    with pytest.raises(AreaStopped):
        invitation.send(campaign_id=waiting.id, by=team[0].id)
    assert not there.out.letters(mails.split()[0])
    lift(team, "outreach")
    there.drain()
    assert Campaign.objects.get(pk=made.id).state == "sent"
    assert len(there.out.letters(mails.split()[0])) == 1


# Seen from outside


def test_every_page_says_what_is_stopped(place: Any, team: list[Any]) -> None:
    stop(team, "sales")
    stop(team, "payouts")
    said = Client().get("/en/").content.decode()
    assert "Selling and paying are stopped for now" in said
    assert "Payouts to sellers wait for now" in said
    assert "Les ventes et les paiements sont suspendus" in Client().get("/fr/").content.decode()
    lift(team, "sales")
    assert "Selling and paying" not in Client().get("/en/").content.decode()


def test_the_desks_page_turns_an_area(place: Any) -> None:
    client = sign_in("one", "curator")
    assert send(client, "/en/desk/switches", do="stop_area", area="payouts").status_code == 302
    page = client.get("/en/desk/switches").content.decode()
    assert AreaStop.objects.get().area == "payouts"
    assert "Propose to let it go on" in page
    send(client, "/en/desk/switches", do="lift_area", area="payouts")
    assert "waits for a second person" in client.get("/en/desk/switches").content.decode()
    queue = client.get("/en/desk/?kind=approval").content.decode()
    assert "Let payouts to sellers go on." in queue
