"""A member's accounts: linked by a code in the profile on the demo's platform, one primary, let go
after thirty days; of two who want one account at the same moment, one has it."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from tests import make
from tests import world as worlds

from onym.core import link as core
from onym.core.errors import NotAllowed
from onym.flows import link as flow
from onym.flows import listing, offer, people
from onym.queries import link as queries
from onym.store import clock
from onym.store.models import Kinship, Link, LinkCode, Member, Notice, Offer

PAGE = "/en/me/accounts"


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def write(world: worlds.World, account: str, bio: str) -> None:
    made = world.out.plaza.program.pull("/demo/bio", account_id=account, bio=bio)
    assert made.status_code == 200, made.text


def test_an_account_is_linked_by_a_code_in_its_profile(world: worlds.World) -> None:
    account, handle = world.account()
    member = make.member(world.place, mail="nadia@one.example")
    client = make.browser(member)
    assert client.post(PAGE, {"do": "code", "handle": handle.upper()}).status_code == 302
    code = LinkCode.objects.get().code
    assert code in client.get(PAGE).content.decode()
    early = client.post(PAGE, {"do": "prove"})
    assert "not in the profile yet" in early.content.decode()
    assert not Link.objects.exists()
    write(world, account, f"Painter. {code}")
    assert client.post(PAGE, {"do": "prove"}).status_code == 302
    link = Link.objects.get()
    assert (link.member_id, link.account_id, link.is_primary) == (member.id, account, True)
    assert not LinkCode.objects.exists()
    world.drain()
    told = Notice.objects.filter(kind="account_linked")
    assert {row.channel: row.state for row in told} == {"mail": "sent", "platform": "sent"}
    assert account in client.get(PAGE).content.decode()


def test_a_code_is_good_for_the_account_and_the_hour_that_it_was_asked_for(
    world: worlds.World,
) -> None:
    _, handle = world.account()
    other, _ = world.account()
    client = make.browser(make.member(world.place))
    client.post(PAGE, {"do": "code", "handle": handle})
    code = LinkCode.objects.get()
    write(world, other, code.code)
    client.post(PAGE, {"do": "prove"})
    assert not Link.objects.exists()
    write(world, code.account_id, code.code)
    LinkCode.objects.update(ordered_at=clock.machine() - core.CODE_LASTS)
    assert client.post(PAGE, {"do": "prove"}).status_code == 410
    assert not Link.objects.exists()
    assert client.post(PAGE, {"do": "prove"}).status_code == 410


UNKNOWN = [("nobody_at_all", 404), ("mo on", 422), ("", 422), ("plaza_custody", 404)]


@pytest.mark.parametrize(("handle", "status"), UNKNOWN)
def test_no_code_is_given_for_what_nobody_holds(
    world: worlds.World, handle: str, status: int
) -> None:
    client = make.browser(make.member(world.place))
    answer = client.post(PAGE, {"do": "code", "handle": handle})
    assert answer.status_code == status
    assert not LinkCode.objects.exists()


def test_a_platform_that_is_away_links_nobody_and_is_said(world: worlds.World) -> None:
    account, handle = world.account()
    client = make.browser(make.member(world.place))
    client.post(PAGE, {"do": "code", "handle": handle})
    write(world, account, LinkCode.objects.get().code)
    world.out.plaza.arm("error", on="reads", times=1)
    assert client.post(PAGE, {"do": "prove"}).status_code == 503
    assert client.post(PAGE, {"do": "prove"}).status_code == 302
    assert Link.objects.count() == 1


def race(*runs: Any) -> list[str]:
    """What each answers, run at the same moment over connections of their own."""
    gate, said = threading.Barrier(len(runs)), []

    def go(run: Any) -> None:
        gate.wait()
        try:
            run()
            said.append("done")
        except NotAllowed:
            said.append("not_allowed")
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(said)


def test_of_two_members_who_link_one_account_at_the_same_moment_one_has_it(
    database: str, settings: Any
) -> None:
    settings.NAMESPACE = "demo"
    place = make.namespace()
    one, two = make.member(place), make.member(place)
    link = lambda who: lambda: people.link(member=who.id, account_id="7")  # noqa: E731
    assert race(link(one), link(two)) == ["done", "not_allowed"]
    assert Link.objects.filter(account_id="7", unlinked_at=None).count() == 1
    holder = Link.objects.get().member
    assert race(link(holder), link(holder)) == ["done", "done"]
    assert Link.objects.count() == 1


def test_of_two_first_sign_ins_with_one_account_there_is_one_member(
    database: str, settings: Any
) -> None:
    settings.NAMESPACE = "demo"
    make.namespace()
    come = lambda: people.arrive(namespace="demo", account_id="7", language="en")  # noqa: E731
    assert race(come, come) == ["done", "not_allowed"]
    assert Member.objects.filter(is_house=False).count() == 1
    assert User.objects.count() == 1


def test_the_primary_account_is_chosen_and_the_next_one_follows_it(world: worlds.World) -> None:
    member = make.member(world.place)
    for account in ("1", "2", "3"):
        people.link(member=member.id, account_id=account)
    client = make.browser(member)
    assert Member.objects.get(pk=member.id).snapshot().accounts == ("1", "2", "3")
    assert client.post(PAGE, {"do": "primary", "account": "3"}).status_code == 302
    assert Member.objects.get(pk=member.id).snapshot().accounts == ("3", "1", "2")
    assert client.post(PAGE, {"do": "primary", "account": "3"}).status_code == 409
    assert client.post(PAGE, {"do": "primary", "account": "9"}).status_code == 404
    assert client.post(PAGE, {"do": "unlink", "account": "3"}).status_code == 302
    world.pass_time(days=30)
    assert Member.objects.get(pk=member.id).snapshot().accounts == ("1", "2")
    assert Link.objects.get(is_primary=True).account_id == "1"


def test_whoever_lets_an_account_go_counts_as_its_holder_for_thirty_days_more(
    world: worlds.World,
) -> None:
    member, account, handle = world.holder(mail="leila@one.example")
    Link.objects.filter(member=member).update(is_primary=True)
    people.link(member=member.id, account_id="spare")
    client = make.browser(member)
    stale = Client()
    stale.force_login(member.user)
    asked = stale.post(PAGE, {"do": "unlink", "account": account})
    assert "/sign-in" in asked["Location"] or "/confirm" in asked["Location"]
    assert client.post(PAGE, {"do": "unlink", "account": account}).status_code == 302
    assert client.post(PAGE, {"do": "unlink", "account": account}).status_code == 409
    until = Link.objects.get(account_id=account).unlinks_at
    assert until - clock.now() > timedelta(days=29)
    who = Member.objects.get(pk=member.id).snapshot()
    assert account in who.accounts  # one's own handle, and no second account, until then
    with pytest.raises(NotAllowed):
        people.link(member=make.member(world.place).id, account_id=account)
    world.pass_time(days=29)
    assert Link.objects.get(account_id=account).unlinked_at is None
    world.pass_time(days=2)
    assert Link.objects.get(account_id=account).unlinked_at is not None
    heir = make.member(world.place)
    people.link(member=heir.id, account_id=account)
    assert Kinship.objects.filter(reason="same_account").count() == 1
    assert member.id in Member.objects.get(pk=heir.id).snapshot().kin
    assert handle


def test_linked_again_it_stays(world: worlds.World) -> None:
    member = make.member(world.place)
    people.link(member=member.id, account_id="1")
    until = flow.unlink(member=member.id, account_id="1")
    assert [one["unlinks_at"] for one in queries.accounts(member.id)] == [until]
    people.link(member=member.id, account_id="1")
    assert Link.objects.get().unlinks_at is None
    world.pass_time(days=40)
    assert Link.objects.get().unlinked_at is None


def test_an_open_listing_offer_or_sale_keeps_an_account_linked(world: worlds.World) -> None:
    member, account, handle = world.holder()
    client = make.browser(member)
    made = listing.open_(namespace="demo", handle=handle, seller=member.id, price=make.usd(40))
    assert client.post(PAGE, {"do": "unlink", "account": account}).status_code == 409
    listing.withdraw(listing_id=made.id, by=member.id)
    assert client.post(PAGE, {"do": "unlink", "account": account}).status_code == 302
    buyer, _, _ = world.member()
    until = Link.objects.get(account_id=account).unlinks_at
    assert until is not None
    world.pass_time(days=28)
    offer.make(namespace="demo", handle=handle, buyer=buyer.id, price=make.usd(40))
    world.pass_time(to=until)
    row = Link.objects.get(account_id=account)
    assert (row.unlinked_at, row.unlinks_at > until + core.POSTPONED / 2) == (None, True)
    world.pass_time(days=10)  # the offer has lapsed by then
    assert Link.objects.get(account_id=account).unlinked_at is not None


def test_whoever_is_no_member_answers_an_offer_from_the_platforms_own_notice(
    world: worlds.World,
) -> None:
    account, handle = world.account()
    make.handle(world.place, handle, account_id=account)
    buyer, _, _ = world.member()
    offer.make(namespace="demo", handle=handle, buyer=buyer.id, price=make.usd(40))
    world.drain()
    shown = world.out.plaza.program.get(f"/@{handle}").text
    link = re.search(r'href="[^"]*(/en/offers/[^"]+)"', shown)
    assert link
    somebody = Client()
    assert somebody.get(link[1]).status_code == 200
    assert somebody.post(link[1], {"do": "decline"})["Location"] == link[1]
    assert Offer.objects.get().state == "declined"
    assert not Link.objects.filter(account_id=account).exists()
