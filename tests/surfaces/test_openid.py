"""Signing in with the platform and linking by it, against the demo platform's own provider."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from tests import make
from tests import world as worlds
from tests.demo import plaza as plazas

from onym import ports
from onym.flows import openid as flow
from onym.ports.openid import Provider
from onym.store.models import Link, Member, Notice

BEGIN = "/fr/sign-in/platform?next=/fr/me/holding"


@pytest.fixture
def world(database: str, settings: Any) -> Any:
    made = worlds.market(settings)
    provider = Provider(
        issuer=made.out.plaza.program.base,
        client_id="onym",
        client_secret=plazas.CLIENT_SECRET,
        redirect_uri=plazas.BACK,
    )
    ports.install(openid={"demo": provider})
    yield made
    ports.clear()


def at_the_platform(address: str, **said: str) -> str:
    """What a person does there: presses a button of its page. Where they are led back to."""
    page = requests.get(address, timeout=10)
    assert page.status_code == 200, page.text
    form = page.text.split("<form", 2)[2].split("</form>")[0]
    hidden = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    fields = {name: unescape(value) for name, value in hidden} | said
    where = urlsplit(address)
    answer = requests.post(
        f"{where.scheme}://{where.netloc}/oidc/authorize",
        data=fields,
        allow_redirects=False,
        timeout=10,
    )
    assert answer.status_code == 303, answer.text
    assert f"form-action 'self' {plazas.BACK[:17]}" in page.headers["Content-Security-Policy"]
    return answer.headers["Location"]


def come_back(client: Client, address: str) -> Any:
    """Follow the way back as a browser does: the bare address leads to the page's language."""
    parts = urlsplit(address)
    led = client.get(f"{parts.path}?{parts.query}")
    assert led["Location"].startswith("/fr/sign-in/platform/back?"), led["Location"]
    return client.get(led["Location"])


def test_a_first_sign_in_makes_a_member_and_the_next_one_finds_them(world: worlds.World) -> None:
    account, handle = world.account()
    client = Client()
    assert "/fr/sign-in/platform" in client.get("/fr/sign-in").content.decode()
    back = at_the_platform(client.get(BEGIN)["Location"], handle=handle)
    assert come_back(client, back)["Location"] == "/fr/security/mail"
    link = Link.objects.get(account_id=account)
    assert (link.is_primary, link.member.language) == (True, "fr")
    assert client.get("/fr/me").status_code == 200
    told = Notice.objects.get(kind="account_linked")
    assert (told.channel, told.account_id, told.language) == ("platform", account, "fr")
    other = Client()
    come_back(other, at_the_platform(other.get(BEGIN)["Location"], handle=handle))
    assert Link.objects.filter(account_id=account).count() == 1
    assert other.session["_auth_user_id"] == client.session["_auth_user_id"]


def test_whoever_has_a_second_factor_is_asked_for_it(world: worlds.World) -> None:
    member, _, handle = world.member(mail="ines@one.example")
    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    secret = make.totp(member)
    client = Client()
    back = at_the_platform(client.get(BEGIN)["Location"], handle=handle)
    assert come_back(client, back)["Location"] == "/fr/sign-in/factor"
    assert "_auth_user_id" not in client.session
    answer = client.post("/fr/sign-in/factor", {"code": make.totp_code(secret)})
    assert answer["Location"] == "/fr/me/holding"


def signed_in(member: Any) -> Client:
    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    client = Client()
    client.force_login(member.user)
    return client


def test_a_member_links_an_account_by_it(world: worlds.World) -> None:
    account, handle = world.account()
    member = make.member(world.place)
    client = signed_in(member)
    asked = client.get("/fr/me/accounts/platform")["Location"]
    assert come_back(client, at_the_platform(asked, handle=handle))["Location"] == "/fr/me/accounts"
    assert Link.objects.get(account_id=account).member_id == member.id
    stranger = signed_in(make.member(world.place))
    asked = stranger.get("/fr/me/accounts/platform")["Location"]
    assert come_back(stranger, at_the_platform(asked, handle=handle)).status_code == 403
    assert Link.objects.get(account_id=account).member_id == member.id


def test_an_answer_belongs_to_the_browser_that_asked_and_is_good_once(world: worlds.World) -> None:
    _, handle = world.account()
    client, thief = Client(), Client()
    back = at_the_platform(client.get(BEGIN)["Location"], handle=handle)
    thief.get(BEGIN)
    assert come_back(thief, back).status_code == 403  # another browser's state
    query = urlsplit(back).query
    assert Client().get(f"/fr/sign-in/platform/back?{query}").status_code == 403
    assert come_back(client, back).status_code == 302
    assert client.get(f"/fr/sign-in/platform/back?{query}").status_code == 403
    assert Member.objects.filter(is_house=False, staffrole=None).count() == 1


def test_a_code_that_somebody_slips_in_is_worth_nothing_without_its_verifier(
    world: worlds.World,
) -> None:
    _, handle = world.account()
    victim, thief = Client(), Client()
    stolen = parse_qs(
        urlsplit(at_the_platform(victim.get(BEGIN)["Location"], handle=handle)).query
    )["code"][0]
    state = parse_qs(urlsplit(thief.get(BEGIN)["Location"]).query)["state"][0]
    answer = thief.get(f"/fr/sign-in/platform/back?state={state}&code={stolen}")
    assert answer.status_code == 403
    assert not Link.objects.exists()


def test_too_late_is_too_late_and_no_is_no(world: worlds.World) -> None:
    _, handle = world.account()
    client = Client()
    back = at_the_platform(client.get(BEGIN)["Location"], handle=handle)
    session = client.session
    session[flow.WAITING] = session[flow.WAITING] | {"at": 0}
    session.save()
    led = client.get(f"/sign-in/platform/back?{urlsplit(back).query}")
    assert client.get(led["Location"]).status_code == 410
    back = at_the_platform(client.get(BEGIN)["Location"], do="no")
    assert come_back(client, back)["Location"] == "/fr/sign-in?refused=platform"
    page = client.get("/fr/sign-in?refused=platform").content.decode()
    assert "La plateforme ne vous a pas connecté." in page


def test_a_platform_that_is_away_is_said_and_nobody_is_made(world: worlds.World) -> None:
    dead = Provider(
        issuer="http://127.0.0.1:9",
        client_id="onym",
        client_secret="x",
        redirect_uri=plazas.BACK,
        timeout=1,
    )
    ports.install(openid={"demo": dead})
    assert Client().get(BEGIN).status_code == 503
    assert not Link.objects.exists()


def test_where_no_provider_is_named_nothing_offers_it(world: worlds.World) -> None:
    ports.clear()
    client = signed_in(make.member(world.place))
    assert client.get("/fr/me/accounts/platform").status_code == 404
    assert "/sign-in/platform" not in Client().get("/fr/sign-in").content.decode()
    assert "/me/accounts/platform" not in client.get("/fr/me/accounts").content.decode()
