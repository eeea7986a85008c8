"""A whole account as a sale's term, from outside: what is refused, what passes over and what ends,
and that money follows only what the demo's platform says of the hand-over.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from tests import make
from tests import world as worlds
from tests.demo.plaza import fresh_key
from tests.faults import handing, ways
from tests.faults.handing import delivered, mail_of, private, settled
from tests.faults.ways import Way
from tests.surfaces.test_api import Caller

from onym.core.errors import Refusal
from onym.flows import appeal, log
from onym.flows.people import link
from onym.jobs import notice
from onym.ports.account import address_digest
from onym.queries import export
from onym.store.models import (
    Event,
    Handle,
    Kinship,
    Link,
    Listing,
    Namespace,
    Reclaim,
    Sale,
)
from onym.store.reclaim import keep_token

PRICE = {"minor": 40_000, "currency": "USD"}


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


@pytest.mark.parametrize("check", handing.CHECKS, ids=lambda check: check.__name__)
def test_of_an_account_that_is_sold(world: worlds.World, check: handing.Check) -> None:
    check(world)


def test_the_feed_says_that_an_account_has_changed_hands_whole(world: worlds.World) -> None:
    way = ways.account(world)
    sale = delivered(way)
    account = sale.buyer_account_id
    log.integrate()
    (item,) = Client().get("/api/v1/handovers").json()["items"]
    assert (item["term"], item["holder_before"], item["holder_after"]) == (
        "account",
        account,
        account,
    )
    said = Client().get(f"/api/v1/handles/{way.handle}").json()
    assert said["valid_since"] == item["valid_since"] > sale.agreed_at.isoformat()[:19]


def test_a_buyer_who_links_the_account_by_hand_is_not_one_with_its_seller(
    world: worlds.World,
) -> None:
    way = ways.account(world)
    link(member=way.buyer.id, account_id=delivered(way).buyer_account_id)
    assert not Kinship.objects.exists()


def test_nothing_of_an_address_stays_in_leaves(world: worlds.World) -> None:
    way = ways.account(world)
    sale = delivered(way)
    digest = address_digest(mail_of(way.buyer))
    for row in Event.objects.all():
        assert mail_of(way.buyer).encode() not in bytes(row.entry)
        assert digest.encode() not in bytes(row.entry)
    assert sale.term == "account"


def asked(world: worlds.World) -> tuple[Way, Caller, Caller]:
    way = ways.account(world)
    return way, Caller(way.seller), Caller(way.buyer)


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content


def test_it_is_off_until_the_desk_switches_it_on_and_the_platform_must_do_it(
    world: worlds.World,
) -> None:
    way, seller, buyer = asked(world)
    Namespace.objects.update(whole_accounts=False)
    wish = {"handle": way.handle, "price": PRICE, "term": "account"}
    refused(seller.send("POST", "/listings", wish), 403, "not_allowed")
    offer = {"price": PRICE, "term": "account", "consent": True}
    refused(buyer.send("POST", f"/handles/{way.handle}/offers", offer), 403, "not_allowed")
    refused(seller.send("POST", "/desk/whole-accounts", {"on": True}), 403, "not_allowed")
    team = Caller(make.member(world.place, roles="curator"))
    assert team.send("POST", "/desk/whole-accounts", {"on": True}).json() == {
        "whole_accounts": True
    }
    refused(team.send("POST", "/desk/whole-accounts", {"on": True}), 409, "already_closed")
    assert seller.send("POST", "/listings", wish).status_code == 201
    assert Event.objects.filter(type="WholeAccountsSet").count() == 1


class Unable(handing.Port):
    """A platform that says that it hands nothing over."""

    def capabilities(self) -> Any:
        return dataclasses.replace(self._port.capabilities(), hand_over=False)


def test_it_is_not_switched_on_where_the_platform_cannot(world: worlds.World) -> None:
    world.install(platform=Unable(world.out.platform()))
    team = Caller(make.member(world.place, roles="curator"))
    refused(team.send("POST", "/desk/whole-accounts", {"on": True}), 403, "not_allowed")
    assert not Namespace.objects.get().whole_accounts


def only_account(way: Way) -> None:
    Link.objects.filter(member=way.seller).order_by("-id").first().delete()  # type: ignore[union-attr]  # there are two


def no_address(way: Way) -> None:
    way.seller.mailaddress_set.all().delete()


def appealed(way: Way) -> None:
    Handle.objects.filter(handle=way.handle).update(appeal_open=True)


def bought_for(way: Way) -> None:
    """The seller is about to buy another handle on that very account."""
    other = ways.Way(
        "listing", way.world, way.world.stock(), way.seller, None, way.price, way.world.team[0]
    )
    other.agree()


WRONG = {
    "a member's only account": (only_account, 422, "not_linked"),
    "a seller without an address": (no_address, 403, "not_allowed"),
    "an account under appeal": (appealed, 409, "handle_locked"),
    "an account that a purchase is under way for": (bought_for, 409, "handle_locked"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_account_that_may_not_be_listed_is_refused(world: worlds.World, case: str) -> None:
    spoil, status, code = WRONG[case]
    way, seller, _ = asked(world)
    spoil(way)
    wish = {"handle": way.handle, "price": PRICE, "term": "account"}
    refused(seller.send("POST", "/listings", wish), status, code)
    assert seller.send("POST", "/listings", wish | {"term": "house"}).status_code == 400


def test_a_purchase_needs_consent_an_address_and_a_stranger(world: worlds.World) -> None:
    way, seller, buyer = asked(world)
    wish = {"handle": way.handle, "price": PRICE, "term": "account"}
    listed = seller.send("POST", "/listings", wish).json()
    path = f"/listings/{listed['id']}/buy"
    assert listed["term"] == "account"
    refused(buyer.send("POST", path), 400, "malformed")
    refused(buyer.send("POST", path, {"consent": False}), 400, "malformed")
    refused(seller.send("POST", path, {"consent": True}), 422, "own_handle")
    nobody = Caller(world.member()[0])
    refused(nobody.send("POST", path, {"consent": True}), 403, "not_allowed")
    sale = buyer.send("POST", path, {"consent": True}).json()
    assert (sale["term"], sale["consented_at"] is None) == ("account", False)


def test_a_buyer_whose_own_account_is_being_sold_cannot_buy_on_it(world: worlds.World) -> None:
    way = ways.account(world)
    way.agree()
    other = ways.Way("listing", world, world.stock(), way.seller, None, way.price, world.team[0])
    with pytest.raises(Refusal) as told:
        other.agree()
    assert told.value.code == "handle_locked"


def test_an_offer_for_an_account_is_accepted_by_its_holder(world: worlds.World) -> None:
    way, seller, buyer = asked(world)
    wish = {"price": PRICE, "term": "account"}
    path = f"/handles/{way.handle}/offers"
    refused(buyer.send("POST", path, wish), 400, "malformed")
    made = buyer.send("POST", path, wish | {"consent": True}).json()
    assert made["term"] == "account"
    sale = seller.send("POST", f"/offers/{made['id']}/accept").json()
    assert sale["term"] == "account"
    way.pay(sale["id"])
    world.drain(hurry=True)
    account = Handle.objects.get(handle=way.handle).account_id or ""
    assert private(world, account)["email"] == mail_of(way.buyer)
    way.accept(sale["id"])
    world.drain(hurry=True)
    world.check(sale["id"])


def test_an_order_that_failed_is_asked_for_again_and_hands_over_once(
    world: worlds.World,
) -> None:
    way = ways.account(world)
    world.out.plaza.arm("error", on="hand-over")
    sale = settled(way)
    assert private(world, sale.buyer_account_id)["credentials"] == 2


def test_a_seller_who_ends_it_while_it_cools_off_keeps_the_account(world: worlds.World) -> None:
    way = ways.account(world, price=600)
    way.ends = "cancel"
    way.go()
    sale = way.sale()
    assert sale is not None
    assert sale.state == "refunded"
    assert private(world, sale.buyer_account_id)["credentials"] == 1
    world.check(sale.id)


def test_whoever_had_the_idle_account_may_appeal_and_is_compensated_and_its_buyer_may_not(
    world: worlds.World,
) -> None:
    way = ways.idle_account(world)
    sale = delivered(way)
    way.accept(sale.id)
    world.drain(hurry=True)
    with pytest.raises(Refusal) as told:
        appeal.open_(namespace="demo", handle=way.handle, by=way.buyer.id, text="mine")
    assert told.value.code == "not_allowed"
    process = Reclaim.objects.select_related("handle", "plan").get(handle__handle=way.handle)
    whose = {"handle": way.handle, "account_id": process.account_id, "plan": process.plan_id}
    made = appeal.open_by_link(token=keep_token(namespace="demo", **whose), text="mine")
    assert not Handle.objects.get(handle=way.handle).appeal_open, "its buyer is not held up"
    judge = make.member(world.place, roles="reviewer")
    decided = appeal.decide(appeal_id=made.id, by=judge.id, outcome="upheld")
    assert (decided.remedy, decided.member_id) == ("compensate", None)
    assert decided.compensation_minor > 0
    assert world.holds(way.handle) == sale.buyer_account_id
    world.drain(hurry=True)
    world.check(sale.id)


def test_what_a_buyer_exports_has_the_term_and_the_consent(world: worlds.World) -> None:
    way = ways.account(world)
    delivered(way)
    (sale,) = export.export(way.buyer.id)["sales"]
    assert (sale["term"], sale["consented_at"] is None) == ("account", False)


def browser(member: Any) -> Client:
    """The member's browser, its second factor fresh."""
    user = User.objects.create(username=f"user-{member.id}")
    type(member).objects.filter(pk=member.id).update(user=user)
    found = Client()
    found.force_login(user)
    return make.confirmed(found)  # type: ignore[no-any-return]  # a client like any


def posted(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, {"key": f"a-form-of-its-own-{fresh_key()}", **fields})


def test_the_pages_say_what_passes_over_and_a_tick_is_the_buyers_consent(
    world: worlds.World,
) -> None:
    way = ways.account(world)
    seller, buyer = browser(way.seller), browser(way.buyer)
    wizard = f"/en/sell/{way.handle}?price=400&term=account"
    asked = seller.get(wizard).content.decode()
    assert 'data-term="account"' in asked
    assert "List the whole account at" in asked
    listed = posted(seller, wizard, price="400", term="account", do="list")
    assert listed.status_code == 302, listed.content
    page = buyer.get(f"/en/@{way.handle}").content.decode()
    assert 'data-term="account"' in page
    (listing,) = Client().get("/api/v1/listings").json()["items"]
    where = f"/en/@{way.handle}"
    unticked = posted(buyer, where, do="buy", listing=listing["id"])
    assert unticked.status_code == 400
    bought = posted(buyer, where, do="buy", listing=listing["id"], consent="1")
    assert bought.status_code == 302
    tracker = buyer.get(bought["Location"]).content.decode()
    assert "The platform hands over the whole account." in tracker
    assert "The buyer consented" in tracker
    assert Sale.objects.get().term == "account"


def test_a_page_offers_for_the_account_and_the_thread_says_so(world: worlds.World) -> None:
    way = ways.account(world)
    seller, buyer = browser(way.seller), browser(way.buyer)
    made = posted(buyer, f"/en/@{way.handle}", do="offer", price="400", term="account")
    assert made.status_code == 302, made.content
    assert "for the whole account" in seller.get(made["Location"]).content.decode()
    Namespace.objects.update(whole_accounts=False)
    assert "whole account?" not in buyer.get(f"/en/@{way.handle}").content.decode()


def test_the_desk_switches_it_and_lists_an_idle_account(world: worlds.World) -> None:
    way = ways.idle_account(world)
    Namespace.objects.update(whole_accounts=False)
    team = browser(way.staff)
    page = f"/en/desk/handles/{way.handle}"
    assert 'name="term"' not in team.get(page).content.decode()
    on = posted(team, "/en/desk/switches", do="whole_accounts", on="1")
    assert on.status_code == 302, on.content
    assert "whole accounts may be sold" in team.get("/en/desk/switches").content.decode()
    assert 'name="term"' in team.get(page).content.decode()
    checked = posted(team, page, do="check-list", price="400", term="account").content.decode()
    assert '<input type="hidden" name="term" value="account">' in checked
    assert posted(team, page, do="list", price="400", term="account").status_code == 302
    assert Listing.objects.get().term == "account"


@pytest.mark.parametrize(("lang", "whole"), [("en", "whole account"), ("fr", "compte entier")])
@pytest.mark.parametrize("kind", ["offer_made", "sale_agreed", "sale_delivered"])
def test_a_letter_about_an_account_does_not_speak_of_its_handle_alone(
    kind: str, lang: str, whole: str
) -> None:
    for term in ("handle", "account"):
        _, text, _ = notice.render(kind, language=lang, facts={"handle": "moon", "term": term})
        assert (whole in text) == (term == "account")
