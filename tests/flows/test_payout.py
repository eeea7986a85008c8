"""A seller's account at the provider, from none to ready, closed, and ready again."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
import requests
from django.db import transaction
from django.test import Client
from tests import make
from tests import world as worlds
from tests.faults import test_outside, ways
from tests.faults.ways import Way
from tests.flows import meeting

from onym import ports
from onym.core.errors import AlreadyClosed, NotAllowed
from onym.flows import ledger, payout
from onym.ports.payments import Account
from onym.store import rowlocks
from onym.store.models import Entry, Member, Notice, Payout, PayoutAccount

_numbers = itertools.count(1)


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def seller(world: worlds.World) -> tuple[Way, str]:
    """A settled trade whose seller has no account at the provider."""
    way = ways.trade(world, price=400, mail=True)
    PayoutAccount.objects.filter(member=way.seller).delete()
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    way.accept(sale)
    world.drain(hurry=True)
    return way, sale


def account(way: Way) -> PayoutAccount:
    return PayoutAccount.objects.get(member=way.seller)


def state(sale: str) -> str:
    return str(Payout.objects.get(sale_id=sale).state)


def lever(world: worlds.World, way: Way, what: str) -> None:
    assert world.out.provider.pull(f"/demo/accounts/{account(way).account}/{what}").ok


def browser(member: Any, *, confirmed: bool = True) -> Any:
    """Signed in as the member, a second factor just confirmed."""
    from django.contrib.auth.models import User

    client = Client()
    member.user = User.objects.create_user(f"payout{next(_numbers)}")
    member.save()
    client.force_login(member.user)
    return make.confirmed(client) if confirmed else client


def test_proceeds_wait_for_an_account_and_leave_by_themselves_once_it_is_ready(
    world: worlds.World,
) -> None:
    way, sale = seller(world)
    world.pass_time(days=5)
    assert state(sale) == "due"
    assert Notice.objects.filter(kind="payout_account_needed").count() == 1
    payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    row = account(way)
    assert (row.provider, row.ready_at) == ("stripe", None)
    assert row.account.startswith("acct_")
    assert row.missing == ["external_account"]
    world.pass_time(days=1)
    assert state(sale) == "due"
    lever(world, way, "complete")
    payout.look(member=way.seller.id)
    world.drain(hurry=True)
    assert (account(way).ready_at is not None, account(way).missing) == (True, [])
    world.pass_time(days=0.1)
    assert state(sale) == "done"
    assert world.out.taken(sale) == {"charge": 42_000, "transfer": -40_000}
    world.check(sale)


def test_an_account_is_made_once_however_often_it_is_asked_for(world: worlds.World) -> None:
    way, _ = seller(world)
    test_outside.plan(world, "accounts.create", "lost")
    for _ in range(3):
        payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    first = account(way).account
    payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    assert account(way).account == first


def test_the_house_has_no_payout_account(world: worlds.World) -> None:
    house = Member.objects.get(is_house=True)
    with pytest.raises(NotAllowed):
        payout.begin(member=house.id)


def closed(world: worlds.World) -> tuple[Way, str]:
    """The account was ready when the sale began and is closed when the proceeds are due."""
    way, sale = seller(world)
    payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    lever(world, way, "complete")
    payout.look(member=way.seller.id)
    world.drain(hurry=True)
    lever(world, way, "close")
    world.pass_time(days=3)
    return way, sale


def test_a_payout_to_a_closed_account_is_refused_shown_and_paid_once_under_a_new_key(
    world: worlds.World,
) -> None:
    way, sale = closed(world)
    row = Payout.objects.get(sale_id=sale)
    assert (row.state, row.reason) == ("refused", "insufficient_capabilities_for_transfer")
    assert account(way).ready_at is None
    assert account(way).why_not == "requirements.past_due"
    assert Notice.objects.filter(kind="payout_refused", about=row.id).count() == 1
    page = browser(way.seller).get("/en/me/payout").content.decode()
    assert "insufficient_capabilities_for_transfer" in page
    assert "external_account" in page
    assert world.out.taken(sale) == {"charge": 42_000}
    world.check(sale)
    lever(world, way, "complete")
    payout.look(member=way.seller.id)
    world.pass_time(days=1)
    row.refresh_from_db()
    assert (row.state, row.attempt, row.key) == ("done", 1, f"{row.id}:1")
    assert world.out.taken(sale) == {"charge": 42_000, "transfer": -40_000}
    assert Entry.objects.filter(kind="paid_out").count() == 1
    world.check(sale)


def test_what_the_provider_says_of_an_account_waits_for_no_sale(world: worlds.World) -> None:
    way, sale = closed(world)
    told = {"account": account(way).account, "told": Account(ready=True)}
    with transaction.atomic():
        rowlocks.sale(sale)
        other = meeting.begin(lambda: payout.looked(member=way.seller.id, **told))
        assert other.result(timeout=10) == "done"
    assert state(sale) == "refused"
    world.drain(hurry=True)
    assert (state(sale), Payout.objects.get(sale_id=sale).attempt) == ("due", 1)


def test_staff_may_say_that_the_cause_is_gone(world: worlds.World) -> None:
    way, sale = closed(world)
    row = Payout.objects.get(sale_id=sale)
    lever(world, way, "complete")
    with pytest.raises(NotAllowed):
        payout.retry(payout_id=row.id, by=way.buyer.id)
    PayoutAccount.objects.filter(member=way.seller).update(ready_at=world.now())
    payout.retry(payout_id=row.id, by=make.member(world.place, roles="reviewer").id)
    with pytest.raises(AlreadyClosed):
        payout.retry(payout_id=row.id, by=make.member(world.place, roles="reviewer").id)
    world.pass_time(days=1)
    assert state(sale) == "done"
    world.check(sale)


def test_an_account_that_the_provider_knows_no_more_makes_room_for_another(
    world: worlds.World,
) -> None:
    way, sale = seller(world)
    PayoutAccount.objects.create(
        member=way.seller, provider="stripe", account="acct_gone", ready_at=make.LONG_AGO
    )
    world.pass_time(days=2)
    assert (state(sale), account(way).account, account(way).why_not) == ("refused", "", "gone")
    payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    lever(world, way, "complete")
    payout.look(member=way.seller.id)
    world.pass_time(days=1)
    assert state(sale) == "done"
    world.check(sale)


def test_a_payout_that_was_asked_for_is_followed_at_the_account_that_it_was_asked_with(
    world: worlds.World,
) -> None:
    """It was paid, the answer was lost, and the provider forgot the account before it was asked."""
    way, sale = closed(world)
    lever(world, way, "complete")
    row = Payout.objects.get(sale_id=sale)
    Payout.objects.filter(pk=row.pk).update(state="due", attempt=1)
    PayoutAccount.objects.filter(member=way.seller).update(ready_at=world.now())
    ledger.pay_out(payout_id=row.id)
    row.refresh_from_db()
    first = account(way).account
    assert (row.state, row.account) == ("unknown", first)
    told: Any = {"key": row.key, "account": first, "amount": row.amount, "sale_id": sale}
    assert ports.payments("demo").pay_out(**told).state == "done"
    payout.looked(member=way.seller.id, account=first, told=None)
    payout.begin(member=way.seller.id)
    world.drain(hurry=True)
    lever(world, way, "complete")
    payout.look(member=way.seller.id)
    world.pass_time(days=1)
    assert account(way).account != first
    assert state(sale) == "done"
    assert world.out.taken(sale) == {"charge": 42_000, "transfer": -40_000}
    assert Entry.objects.filter(kind="paid_out").count() == 1
    world.check(sale)


def test_a_payout_is_marked_as_asked_for_before_anybody_asks(world: worlds.World) -> None:
    """What a chargeback finds as due has never left."""
    way, sale = closed(world)
    row = Payout.objects.get(sale_id=sale)
    Payout.objects.filter(pk=row.pk).update(state="due")
    PayoutAccount.objects.filter(member=way.seller).update(ready_at=world.now())
    ledger.pay_out(payout_id=row.id)
    assert state(sale) == "unknown"


def test_the_page_leads_from_no_account_to_the_providers_pages_and_back(
    world: worlds.World,
) -> None:
    way, _ = seller(world)
    client = browser(way.seller)
    seen = Counter[str]()
    page = client.get("/en/me/payout").content.decode()
    seen["none"] += "Set up a payout account" in page
    assert client.get("/en/me/payout/onward").status_code == 422
    told = client.post("/en/me/payout", {"do": "begin", "key": "form-1-of-mine"})
    assert (told.status_code, told["Location"]) == (302, "/en/me/payout")
    seen["making"] += "being made" in client.get("/en/me/payout").content.decode()
    world.drain(hurry=True)
    seen["missing"] += "external_account" in client.get("/en/me/payout").content.decode()
    onward = client.get("/en/me/payout/onward")
    assert onward["Location"].startswith(world.out.provider.base)
    assert requests.post(onward["Location"], timeout=10).ok
    payout.look(member=way.seller.id)
    world.drain(hurry=True)
    seen["ready"] += "Change your details" in client.get("/en/me/payout").content.decode()
    assert seen == {"none": 1, "making": 1, "missing": 1, "ready": 1}


def test_whoever_leads_money_elsewhere_has_confirmed_a_second_factor(world: worlds.World) -> None:
    way, _ = seller(world)
    client = browser(way.seller, confirmed=False)
    begins = client.post("/en/me/payout", {"do": "begin", "key": "form-1-of-mine"})
    onward = client.get("/en/me/payout/onward")
    for told in (begins, onward):
        assert told.status_code == 302
        assert told["Location"].startswith("/en/confirm?next=")


def test_a_refused_payout_waits_at_the_desk_and_is_sent_again_from_there(
    world: worlds.World,
) -> None:
    way, sale = closed(world)
    row = Payout.objects.get(sale_id=sale)
    lever(world, way, "complete")
    PayoutAccount.objects.filter(member=way.seller).update(ready_at=world.now())
    looking = browser(make.member(world.place, roles="auditor"))
    assert 'value="retry"' not in looking.get("/en/desk/?kind=payout").content.decode()
    judge = browser(make.member(world.place, roles="reviewer"))
    assert row.id in judge.get("/en/desk/?kind=payout").content.decode()
    asked = {"do": "retry", "about": row.id, "key": "send-it-again"}
    assert judge.post("/en/desk/", asked).status_code in (200, 302)
    world.pass_time(days=1)
    assert state(sale) == "done"
    world.check(sale)
