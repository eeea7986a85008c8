"""Changing the mail address, and tokens for programs: what each takes, tells and stops."""

from __future__ import annotations

import importlib
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from tests import make
from tests import world as worlds
from tests.faults import ways
from tests.surfaces import signing
from tests.surfaces.test_api import Caller

from onym.core.errors import HandleLocked
from onym.flows import address as flow
from onym.flows import listing, people
from onym.queries import token as queries
from onym.store import clock
from onym.store.models import MailAddress, Member, Notice, Token
from onym.web import address, tokens

MAIL, TOKENS = "/en/security/mail", "/en/security/tokens"


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def browser(member: Any) -> Client:
    """The member's browser, just signed in by password."""
    if member.user is None:
        member.user = User.objects.create_user(member.id, password="rope-and-anchor")
        member.save(update_fields=["user"])
    client = Client()
    client.force_login(member.user)
    return make.confirmed(client)


def stale(member: Any) -> Client:
    """The same an hour after the second factor."""
    client = Client()
    client.force_login(member.user)
    return make.confirmed(client, ago=3_600)


def code_for(world: worlds.World, mail: str) -> str:
    world.drain()
    found = re.search(r"\b\d{6}\b", world.out.letters(mail)[-1]["text"])
    assert found
    return found[0]


def changed(world: worlds.World, client: Client, mail: str) -> Any:
    assert client.post(MAIL, {"mail": mail}).status_code == 302
    return client.post(MAIL, {"code": code_for(world, mail)})


def test_the_new_address_is_proven_the_old_one_told_and_nothing_sold_for_thirty_days(
    world: worlds.World,
) -> None:
    member, _, handle = world.holder(mail="old1@one.example")
    client = browser(member)
    assert "The address is changed." in changed(world, client, "new1@one.example").content.decode()
    rows = MailAddress.objects.filter(member=member).order_by("id")
    assert [row.replaced_at is None for row in rows] == [False, True]
    world.drain()
    for mail in ("old1@one.example", "new1@one.example"):
        assert "mail address was changed" in world.out.letters(mail)[-1]["text"]
    with pytest.raises(HandleLocked):
        listing.open_(namespace="demo", handle=handle, seller=member.id, price=make.usd(9))
    world.pass_time(days=31)
    listing.open_(namespace="demo", handle=handle, seller=member.id, price=make.usd(9))


def test_a_wrong_code_another_browser_and_a_spent_code_change_nothing(world: worlds.World) -> None:
    member = make.member(world.place, mail="old2@one.example")
    client = browser(member)
    client.post(MAIL, {"mail": "new2@one.example"})
    code = code_for(world, "new2@one.example")
    wrong = "000000" if code != "000000" else "111111"
    assert client.post(MAIL, {"code": wrong}).status_code == 403
    assert browser(member).post(MAIL, {"code": code}).status_code == 403
    assert flow.IN_SESSION in client.session
    assert client.post(MAIL, {"code": code}).status_code == 200
    assert client.post(MAIL, {"code": code}).status_code == 403
    assert MailAddress.objects.filter(member=member, replaced_at=None).count() == 1


def test_an_address_of_somebody_else_gets_no_code_and_the_page_says_the_same(
    world: worlds.World,
) -> None:
    make.member(world.place, mail="taken@one.example")
    client = browser(make.member(world.place, mail="old3@one.example"))
    asked = []
    for mail in ("taken@one.example", "free@one.example"):
        with CaptureQueriesContext(connection) as seen:
            assert client.post(MAIL, {"mail": mail}).status_code == 302
        asked.append(len(seen))
        assert "is on its way" in client.get(MAIL).content.decode()
    assert asked[0] == asked[1]  # nor does the effort tell
    assert [one.address for one in signing.letters("sign_in_code")] == ["free@one.example"]
    assert client.post(MAIL, {"mail": "no address"}).status_code == 400


def test_who_changes_the_address_has_just_proven_who_they_are(world: worlds.World) -> None:
    member = make.member(world.place, mail="old4@one.example")
    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    make.totp(member)
    answer = stale(member).post(MAIL, {"mail": "new4@one.example"})
    assert answer["Location"].startswith("/en/confirm")
    assert stale(member).post(TOKENS, {"do": "make"})["Location"].startswith("/en/confirm")
    assert not Notice.objects.exists()
    assert not Token.objects.exists()


def test_a_first_address_stops_no_sale(world: worlds.World) -> None:
    member, _, _ = world.holder()
    assert resolve(MAIL).func is address.address
    changed(world, browser(member), "first@one.example")
    assert Member.objects.get(pk=member.id).security_changed_at is None


def test_a_trade_is_told_to_the_address_that_was_replaced_lately_too(world: worlds.World) -> None:
    way = ways.trade(world)
    row = MailAddress.objects.get(member=way.seller)
    old = row.address
    make.copy(row, address_index="x" * 64, replaced_at=clock.now() - make.days(31))
    MailAddress.objects.filter(pk=row.pk).update(replaced_at=clock.now() - make.days(29))
    way.pay(way.agree())
    world.drain(hurry=True)
    told = Notice.objects.filter(kind="trade_cooling", channel="mail")
    assert told.count() == 1
    assert [one["subject"] for one in world.out.letters(old)]


# Tokens


def make_token(client: Client, *scopes: str, **fields: str) -> Any:
    wish = {"do": "make", "name": "shop", "days": f"{tokens.DAYS[0]}"} | fields
    return client.post(TOKENS, wish | {f"may_{one}": "1" for one in scopes})


def text_of(answer: Any) -> str:
    found = re.search(r'<code dir="ltr">([^<]{30,})</code>', answer.content.decode())
    assert found
    return found[1]


def test_a_token_does_what_it_allows_until_it_is_taken_back(world: worlds.World) -> None:
    member = make.member(world.place)
    client = browser(member)
    answer = make_token(client, "read")
    assert answer["Cache-Control"] == "no-store"
    text = text_of(answer)
    assert text not in client.get(TOKENS).content.decode()
    caller = Caller(member)
    caller.token = text
    assert caller.send("GET", "/sales").status_code == 200
    assert caller.send("POST", "/watches", {"handle": "moon"}).status_code == 403
    stranger = browser(make.member(world.place))
    ref = Token.objects.get(name="shop").digest[:16]
    assert stranger.post(TOKENS, {"do": "revoke", "token": ref}).status_code == 404
    assert client.post(TOKENS, {"do": "revoke", "token": ref[:3]}).status_code == 404
    assert client.post(TOKENS, {"do": "revoke", "token": ref}).status_code == 302
    assert caller.send("GET", "/sales").status_code == 401
    assert "shop" not in [one["name"] for one in queries.tokens(member.id)]


@pytest.mark.parametrize("scope", ["buy", "sell"])
def test_what_binds_is_granted_only_after_a_fresh_second_factor(
    world: worlds.World, scope: str
) -> None:
    member = make.member(world.place)
    member.user = User.objects.create_user(member.id, password="rope-and-anchor")
    member.save(update_fields=["user"])
    plain = Client()
    plain.force_login(member.user)
    session = plain.session
    session["account_authentication_methods"] = [
        {"method": "password", "at": clock.machine().timestamp()}
    ]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    assert make_token(plain, "read").status_code == 200
    assert make_token(plain, "read", scope)["Location"].startswith("/en/confirm")
    assert not Token.objects.filter(scopes__contains=[scope]).exists()
    assert make_token(browser(member), scope).status_code == 200
    row = Token.objects.get(scopes__contains=[scope])
    assert (row.expires_at - row.made_at).days == 30


def test_tokens_that_may_buy_of_members_without_a_second_factor_are_taken_back(
    world: worlds.World,
) -> None:
    plain, safe = make.member(world.place), make.member(world.place)
    browser(safe)
    make.totp(safe)
    for member, scopes, name in (
        (plain, ["buy"], "shop"),
        (plain, ["read"], "reader"),
        (plain, ["buy"], ""),
        (safe, ["buy"], "shop"),
    ):
        people.give_token(member=member.id, scopes=scopes, name=name)
    importlib.import_module("onym.store.migrations.0055_buy_tokens").take_back(apps, None)
    ended = Token.objects.exclude(revoked_at=None)
    assert [(one.member_id, one.name) for one in ended] == [(plain.id, "shop")]


WRONG = [{"name": ""}, {"days": "7"}, {"days": ""}, {}]


@pytest.mark.parametrize("fields", WRONG)
def test_a_token_without_name_end_or_scope_is_refused(
    world: worlds.World, fields: dict[str, str]
) -> None:
    client = browser(make.member(world.place))
    scopes = ("read",) if fields else ()
    assert make_token(client, *scopes, **fields).status_code == 400
    assert not Token.objects.exists()


def test_the_desk_is_for_the_handle_team(world: worlds.World) -> None:
    assert make_token(browser(make.member(world.place)), "desk").status_code == 403
    assert make_token(browser(make.member(world.place, roles="curator")), "desk").status_code == 200
