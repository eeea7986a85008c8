"""Proving an account by signing in on a real PDS, in a real browser, and what goes wrong there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect
from tests import make
from tests.demo import pds as pdses
from tests.surfaces import at_pds, live

from onym import ports
from onym.flows import openid as flow
from onym.ports import atproto_oauth
from onym.ports.atproto_oauth import AtprotoOAuth
from onym.site import keys
from onym.store import clock
from onym.store.models import Link, Notice

BACK = "/sign-in/platform/back"


@pytest.fixture
def world(database: str, settings: Any) -> Iterator[pdses.World]:
    made = pdses.market(settings)
    settings.ALLOWED_HOSTS = [pdses.MARKET, "127.0.0.1", "testserver"]
    offer(settings, "http://127.0.0.1:8000")
    yield made
    ports.clear()


def offer(settings: Any, base: str, **changes: str) -> AtprotoOAuth:
    """Sign-in by the PDS, of a market that is found at `base`."""
    pds = pdses.running()
    known = atproto_oauth.client(
        base, name="Market", back=BACK, key=lambda: keys.sign_in_key(settings.DATA)
    )
    where = {"pds": pds.base, "issuer": pds.issuer} | changes
    made = AtprotoOAuth(**where, client=known, now=clock.now, timeout=5)
    ports.install(openid={"demo": made})
    return made


def signed_in(member: Any) -> Client:
    if member.user is None:
        member.user = User.objects.create_user(member.id)
        member.save(update_fields=["user"])
    client = Client()
    client.force_login(member.user)
    return client


@contextmanager
def browsing(settings: Any) -> Iterator[tuple[str, Any]]:
    """The market with https at a name of its own, and a browser that finds it there."""
    cert, key = pdses.certificate(pdses.running().data.parent)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    rules = f"--host-resolver-rules=MAP {pdses.MARKET} 127.0.0.1"
    with live.served(tls) as port, live.chromium(rules, "--ignore-certificate-errors") as chrome:
        base = f"https://{pdses.MARKET}:{port}"
        offer(settings, base)
        yield base, chrome


def entered(chrome: Any, base: str, client: Client | None = None) -> BrowserContext:
    """A browser of its own; with a client's session, if one is given."""
    context = chrome.new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    if client is not None:
        session = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": base}])
    return context


def watched(page: Page) -> list[str]:
    """The addresses at which the PDS leads back to the market."""
    seen: list[str] = []
    page.on("request", lambda one: seen.append(one.url) if f"{BACK}?" in one.url else None)
    return seen


def test_an_account_is_proven_on_the_pds_and_signs_in_from_then_on(
    world: pdses.World, settings: Any
) -> None:
    """The market is a client with a key of its own; the PDS reads who it is from the market."""
    member = make.member(world.place)
    did, label = world.account()
    password = pdses.running().passwords[did]
    client = signed_in(member)
    with browsing(settings) as (base, chrome):
        page = entered(chrome, base, client).new_page()
        led = watched(page)
        page.goto(f"{base}/en/me/accounts")
        page.get_by_role("link", name="Prove with Bluesky").click()
        at_pds.sign_in(page, handle=label, password=password)
        expect(page.get_by_text(pdses.MARKET).first).to_be_visible()  # the PDS says to whom
        at_pds.answer(page, "Authorize")
        page.wait_for_url(f"{base}/en/me/accounts")
        expect(page.get_by_text(did)).to_be_visible()

        again = page.goto(led[0])
        assert again is not None
        assert again.status == 403, "an answer is good once"
        stranger = entered(chrome, base).new_page()
        elsewhere = stranger.goto(led[0])
        assert elsewhere is not None
        assert elsewhere.status == 403, "and only in the browser that asked"

        stranger.goto(f"{base}/en/sign-in?next=/en/me/accounts")
        stranger.get_by_role("link", name="Sign in with Bluesky").click()
        at_pds.sign_in(stranger, handle=label, password=password)
        stranger.wait_for_url(f"{base}/en/me/accounts")
        expect(stranger.get_by_text(did)).to_be_visible()
    link = Link.objects.get(account_id=did)
    assert (link.member_id, link.is_primary) == (member.id, True)
    assert Notice.objects.get(kind="account_linked").account_id == did


def test_a_no_on_the_pds_is_said_on_the_page_and_links_nothing(
    world: pdses.World, settings: Any
) -> None:
    """And who asks for one account alone is asked by the PDS for that one."""
    did, label = world.account()
    client = signed_in(make.member(world.place))
    client.post("/en/me/accounts", {"do": "code", "handle": label})
    with browsing(settings) as (base, chrome):
        page = entered(chrome, base, client).new_page()
        page.goto(f"{base}/en/me/accounts")
        page.get_by_role("link", name=f"Or sign in there as @{label}").click()
        expect(page.locator("input[name=username]")).to_have_value(f"{label}.test")
        at_pds.sign_in(page, handle="", password=pdses.running().passwords[did])
        at_pds.answer(page, "Deny access")
        page.wait_for_url(f"{base}/en/me/accounts?refused=platform")
        expect(page.get_by_role("alert")).to_have_text("The platform did not sign you in.")
    assert not Link.objects.exists()


def state(client: Client) -> str:
    return str(client.session[flow.WAITING]["state"])


def back(client: Client, **said: str) -> Any:
    issuer = pdses.running().issuer
    query = {"state": state(client), "iss": issuer, "code": "cod-x"} | said
    return client.get(f"/en{BACK}", query)


def test_what_was_not_asked_for_came_too_late_or_was_made_up_links_nothing(
    world: pdses.World,
) -> None:
    client = signed_in(make.member(world.place))
    asked = client.get("/en/me/accounts/platform")
    assert parse_qs(urlsplit(asked["Location"]).query).keys() == {"client_id", "request_uri"}
    assert back(client).status_code == 403  # a code that the PDS never gave
    client.get("/en/me/accounts/platform")
    assert back(client, iss="https://auth.other").status_code == 403
    client.get("/en/me/accounts/platform")
    assert back(client, state="another").status_code == 403
    client.get("/en/me/accounts/platform")
    session = client.session
    session[flow.WAITING] = session[flow.WAITING] | {"at": 0}
    session.save()
    assert back(client).status_code == 410
    assert not Link.objects.exists()


class Naming:
    """Names an account whoever signs in: what the port may answer is tests/ports' to show."""

    kind = "atproto"

    def __init__(self, did: str) -> None:
        self.did, self.hint = did, ""

    def begin(self, *, state: str, nonce: str, verifier: str, hint: str = "") -> str:
        self.hint = hint
        return "http://localhost/"

    def finish(self, *, code: str, nonce: str, verifier: str, issuer: str) -> str:
        return self.did

    def document(self) -> None:
        """None."""


def test_another_account_than_the_one_to_be_proven_is_not_linked(world: pdses.World) -> None:
    wanted, label = world.account()
    other, _ = world.account()
    naming = Naming(other)
    ports.install(openid={"demo": naming})
    client = signed_in(make.member(world.place))
    client.get("/en/me/accounts/platform", {"handle": label.upper()})
    assert naming.hint == wanted
    assert back(client).status_code == 403
    assert not Link.objects.exists()
    naming.did = wanted
    client.get("/en/me/accounts/platform", {"handle": label})
    assert back(client)["Location"] == "/en/me/accounts"
    assert Link.objects.get().account_id == wanted
    assert client.get("/en/me/accounts/platform", {"handle": "nobody-at-all"}).status_code == 404


def test_an_account_of_somebody_else_stays_theirs(world: pdses.World) -> None:
    did, _ = world.account()
    ports.install(openid={"demo": Naming(did)})
    first, second = (make.member(world.place) for _ in range(2))
    for member, status in ((first, 302), (second, 403)):
        client = signed_in(member)
        client.get("/en/me/accounts/platform")
        assert back(client).status_code == status
    assert Link.objects.get().member_id == first.id


def test_a_pds_that_is_away_is_said_before_and_after(world: pdses.World, settings: Any) -> None:
    client = signed_in(make.member(world.place))
    client.get("/en/me/accounts/platform")
    offer(settings, "http://127.0.0.1:8000", pds="http://127.0.0.1:9", issuer="http://localhost:9")
    assert back(client, iss="http://localhost:9").status_code == 503
    assert client.get("/en/me/accounts/platform").status_code == 503
    assert not Link.objects.exists()


def test_the_document_is_there_for_a_market_with_https_alone(
    world: pdses.World, settings: Any
) -> None:
    assert Client().get("/oauth/client-metadata.json").status_code == 404
    offer(settings, "https://market.example")
    told = Client().get("/oauth/client-metadata.json").json()
    assert told["client_id"] == "https://market.example/oauth/client-metadata.json"
    assert (told["scope"], told["grant_types"]) == ("atproto", ["authorization_code"])
    assert [sorted(one) for one in told["jwks"]["keys"]] == [
        ["alg", "crv", "kid", "kty", "use", "x", "y"]
    ]
