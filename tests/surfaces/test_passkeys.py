"""A real browser with an authenticator of its own adds a passkey and signs in with it alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page
from tests import make
from tests.surfaces import live, signing

from onym.store.models import Member

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def site(database: Any, settings: Any) -> Iterator[str]:
    """The site on localhost, as a passkey needs it: http, but by name."""
    settings.NAMESPACE = "demo"
    make.namespace()
    signing.leila()
    with live.served() as port:
        yield f"http://localhost:{port}"


@contextmanager
def browser(*, javascript: bool = True) -> Iterator[Page]:
    """A page whose faults and refused contents end the test, with a virtual authenticator."""
    with live.chromium() as chromium:
        page = chromium.new_context(java_script_enabled=javascript).new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if _is_refusal(said) else None)
        yield page
        assert wrong == []


def _is_refusal(said: Any) -> bool:
    return "Content Security Policy" in said.text


def authenticator(page: Page, *, verified: bool = True) -> tuple[Any, str]:
    """A device's own authenticator (CTAP2, resident keys), its lock opened by a finger or not."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": verified,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, made["authenticatorId"]


def by_password(page: Page, site: str, *, to: str) -> None:
    page.goto(f"{site}/en/sign-in?next={to}")
    page.get_by_label("Mail address").fill(signing.MAIL)
    page.get_by_label("Password", exact=True).fill(signing.PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def test_a_passkey_is_added_and_signs_in_alone_and_confirms(site: str) -> None:
    with browser() as page:
        devtools, id_ = authenticator(page)
        by_password(page, site, to="/en/security")
        page.get_by_label("Name of the passkey").fill("My phone")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_role("heading", name="Your recovery codes").wait_for()
        page.get_by_role("cell", name="My phone").wait_for()
        page.context.clear_cookies()
        page.goto(f"{site}/en/sign-in?next=/en/fees")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{site}/en/fees")
        page.goto(f"{site}/en/confirm?next=/en/sessions")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{site}/en/sessions")
        page.context.clear_cookies()
        by_password(page, site, to="/en/me")
        page.wait_for_url(f"{site}/en/sign-in/factor")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(f"{site}/en/me")
        found = devtools.send("WebAuthn.getCredentials", {"authenticatorId": id_})["credentials"]
        assert [one["rpId"] for one in found] == ["localhost"]
    assert Member.objects.get(is_house=False).security_changed_at is not None


def test_a_passkey_whose_lock_stays_shut_or_that_is_unknown_signs_nobody_in(site: str) -> None:
    with browser() as page:
        devtools, id_ = authenticator(page)
        by_password(page, site, to="/en/security")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_role("heading", name="Your recovery codes").wait_for()
        page.context.clear_cookies()
        shut = {"authenticatorId": id_, "isUserVerified": False}
        devtools.send("WebAuthn.setUserVerified", shut)
        page.goto(f"{site}/en/sign-in")
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("The passkey was not used.").wait_for()
        devtools.send("WebAuthn.setUserVerified", shut | {"isUserVerified": True})
        forget_passkeys(site)
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("This passkey opens nothing here.").wait_for()


def forget_passkeys(site: str) -> None:
    """In a thread of its own: the browser's event loop runs in this one."""
    from allauth.mfa.models import Authenticator
    from django.db import connection

    def forget() -> None:
        Authenticator.objects.all().delete()
        connection.close()

    thread = threading.Thread(target=forget)
    thread.start()
    thread.join()


def test_without_javascript_totp_and_mail_codes_are_offered_and_no_dead_button(site: str) -> None:
    with browser(javascript=False) as page:
        page.goto(f"{site}/en/sign-in")
        assert page.get_by_role("button", name="Use a passkey").count() == 0
        page.get_by_role("link", name="Mail me a code").click()
        page.get_by_label("Mail address").fill(signing.MAIL)
        page.get_by_role("button", name="Mail me a code").click()
        page.get_by_label("Code").wait_for()
        by_password(page, site, to="/en/security")
        page.get_by_role("link", name="Set up an authenticator app").click()
        drawn = page.get_by_alt_text("The secret as a QR code")
        assert drawn.bounding_box()["width"] == 220  # type: ignore[index]  # it is shown
        assert page.get_by_role("button", name="Add a passkey").count() == 0
