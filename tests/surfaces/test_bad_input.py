"""Every form of every page, sent with what nobody should type; every link, with what it is not.

Forms are found in the pages themselves. Each is sent in a transaction that is undone afterwards,
so that all meet the same market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from tests import make
from tests.flows.banking import Banking

from onym.core.errors import PlatformUnavailable
from onym.core.money import Money
from onym.flows import invitation, listing, offer, people
from onym.queries import notice
from onym.store import reclaim as store
from onym.store.models import Invitation, Notice

pytestmark = pytest.mark.usefixtures("database")

SCRIPT = "<script>alert(1)</script>"
BAD = {
    "nothing": "",
    "blank": " \t\n",
    "markup": f"\"'>{SCRIPT}<img src=x onerror=alert(1)>",
    "turned around": "\u202e\u2066gpj.exe\u2069\u202c",
    "emoji": "🦄" * 200,
    "too much": "x" * 10_000,
    "a huge number": "9" * 400,
    "a nul": "mo\0on-and-the-sea",
    "not a number": "NaN",
    "eastern digits": "٠١٢٣٤",
    "template": "{{ settings.SECRET_KEY }}{% include 'x' %}",
}


@dataclass(slots=True)
class Form:
    """As a browser reads it: where it is sent, its fields, and the buttons that send it."""

    action: str
    method: str
    hidden: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def sendings(self) -> Iterator[dict[str, str]]:
        """What each button sends with the fields as they stand in the page."""
        for name, value in self.buttons or [("", "")]:
            yield self.hidden | self.typed | ({name: value} if name else {})


class Forms(HTMLParser):
    """All forms of a page."""

    def __init__(self, page: str, path: str) -> None:
        super().__init__()
        self.path = path
        self.found: list[Form] = []
        self.open: Form | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.open = Form(has.get("action") or self.path, has.get("method", "get").lower())
            self.found.append(self.open)
        elif self.open is None:
            return
        elif tag == "button" and has.get("type") != "button":
            self.open.buttons.append((has.get("name", ""), has.get("value", "")))
        elif tag in ("input", "select", "textarea") and has.get("name"):
            kind = self.open.hidden if has.get("type") == "hidden" else self.open.typed
            kind[has["name"]] = has.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None


PLAIN: dict[str, list[tuple[str, str]]] = {
    "invoice": [("nadia", "invoices/bil_x")],
    "invoice-pdf": [("nadia", "invoices/bil_x.pdf")],
    "desk-screening": [("ines", "desk/screening")],
    "my-share": [("leila", "me/shares/sal_x")],
    "my-bank": [("leila", "me/bank")],
    "wallet": [("leila", "wallet"), ("leila", "wallet?after=x")],
    "wallet-returned": [("", "wallet/returned")],
    "wallet-onward": [("leila", "wallet/deposits/dep_x/onward")],
    "desk-bank": [("ines", "desk/bank")],
    "home": [("", "")],
    "search": [("", "search?q=mo")],
    "handle": [("nadia", "@moon"), ("leila", "@moon"), ("leila", "@tide"), ("nadia", "@tide")],
    "policies": [("", "policies")],
    "fees": [("", "fees")],
    "offers": [("leila", "offers")],
    "design": [("", "design")],
    "theme": [("", "theme")],
    "sign-in": [("", "sign-in")],
    "sign-out": [("", "sign-out")],
    "problem-page": [("", "problems/expired")],
    "sell": [("leila", "sell")],
    "sell-handle": [("leila", "sell/moon"), ("leila", "sell/lake?price=12.50")],
    "sell-listed": [("leila", "sell/tide/listed")],
    "me": [("leila", "me"), ("nadia", "me")],
    "my-holding": [("leila", "me/holding")],
    "my-buying": [("nadia", "me/buying")],
    "my-selling": [("leila", "me/selling")],
    "my-offers": [("leila", "me/offers")],
    "my-statement": [("leila", "me/statement")],
    "my-payout": [("leila", "me/payout")],
    "my-payout-onward": [("", "me/payout/onward")],
    "my-payout-returned": [("", "me/payout/returned")],
    "my-notices": [("leila", "me/notices")],
    "my-appeals": [("leila", "me/appeals")],
    "my-accounts": [("leila", "me/accounts")],
    "my-accounts-platform": [("leila", "me/accounts/platform")],
    "sign-in-platform": [("", "sign-in/platform")],
    "sign-in-platform-back": [("", "sign-in/platform/back")],
    "my-webhooks": [("leila", "me/webhooks")],
    "my-settings": [("leila", "me/settings")],
    "my-name": [("leila", "me/name"), ("nadia", "me/name?next=/en/me")],
    "my-data": [("leila", "me/settings")],
    "leave": [("leila", "me/leave")],
    "my-alerts": [("leila", "me/alerts")],
    "watches": [("leila", "watches")],
    "alerts": [("", "alerts/nonsense")],
    "guidelines": [("", "guidelines")],
    "policies-version": [("", "policies/x-2023/1")],
    "fees-version": [("", "fees/onym-2026/1")],
    "guidelines-version": [("", "guidelines/onym-2026/1")],
    "log": [("", "log")],
    "leaf": [("", "log/0")],
    "feed": [("", "feeds/listings.atom")],
    "legal": [("", "legal/terms")],
    "language": [("leila", "language")],
    "demo-clock-page": [("", "demo/clock")],
    "sign-in-code": [("", "sign-in/code")],
    "sign-in-factor": [("", "sign-in/factor")],
    "sign-in-passkey": [("", "sign-in/passkey")],
    "sign-in-options": [("", "sign-in/options")],
    "sign-in-demo": [("", "sign-in/demo")],
    "join": [("", "join")],
    "confirm": [("leila", "confirm")],
    "security": [("leila", "security")],
    "address": [("leila", "security/mail")],
    "tokens": [("leila", "security/tokens")],
    "totp": [("leila", "security/totp")],
    "totp-picture": [("leila", "security/totp.svg")],
    "passkey-options": [("leila", "security/options")],
    "sessions": [("leila", "sessions")],
    "desk": [("ines", "desk/")],
    "desk-stock": [("ines", "desk/stock")],
    "desk-handle": [("ines", "desk/handles/river")],
    "desk-campaigns": [("ines", "desk/campaigns")],
    "desk-plans": [("ines", "desk/plans")],
    "desk-calls": [("ines", "desk/calls")],
}
"""Who sees which address: by the name of its route, where no id is needed."""


@pytest.fixture
def pages(database: Any, settings: Any) -> dict[str, list[tuple[str, str]]]:
    """Who sees which address: by the name of its route, on a market where each has its forms."""
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.WALLET = True
    place = make.namespace()
    leila = _joined("leila", account="acc-moon")
    nadia = _joined("nadia", account="acc-nadia")
    ines = _joined("ines")
    people.grant(member=ines.id, role="curator")
    for name in ("moon", "tide", "sea", "lake"):
        make.handle(place, name, account_id="acc-moon")
    make.handle(place, "river", state="released", account_id=None)
    process = make.reclaimed(place, "sunset")
    type(process).objects.update(account_id="acc-moon")
    type(process.handle).objects.filter(pk=process.handle_id).update(account_id="acc-moon")
    banking = Banking(place).install()
    banking.take(banking.came("7.00", "for the moon"))
    made = offer.make(namespace="demo", handle="moon", buyer=nadia.id, price=make.usd(100))
    listing.open_(namespace="demo", handle="tide", seller=leila.id, price=make.usd(10))
    on_sale = listing.open_(namespace="demo", handle="sea", seller=leila.id, price=make.usd(10))
    sale = listing.buy(listing_id=on_sale.id, buyer=nadia.id)
    told = Notice.objects.filter(kind="offer_made").first()
    letter = notice.letter(told.id) if told else None
    assert told is not None
    assert letter is not None
    token = letter.facts["href"].rsplit("/", 1)[1]
    link = _invited(ines.id)
    campaign = Invitation.objects.get().campaign_id
    keep = store.keep_token(
        namespace="demo", handle="sunset", account_id="acc-moon", plan=process.plan_id
    )
    return PLAIN | {
        "sale": [("nadia", f"sales/{sale.id}"), ("leila", f"sales/{sale.id}")],
        "sale-onward": [("leila", f"sales/{sale.id}/onward")],
        "sale-returned": [("", f"sales/{sale.id}/returned")],
        "offer": [
            ("leila", f"offers/{made.id}"),
            ("leila", f"offers/{made.id}?price=12"),
            ("nadia", f"offers/{made.id}"),
            ("", f"offers/{token}"),
        ],
        "invitation": [("nadia", f"invitations/{link}"), ("", f"invitations/{link}")],
        "unsubscribe": [("", f"unsubscribe/{link}")],
        "keep": [("", f"keep/{keep}")],
        "my-notice": [("leila", f"me/notices/{told.id}")],
        "desk-campaign": [("ines", f"desk/campaigns/{campaign}")],
    }


def _joined(name: str, account: str = "") -> Any:
    made = people.join(
        namespace="demo", name=name, mail=f"{name}@mail.example", password="rope-and-anchor"
    )
    if account:
        people.link(member=made.id, account_id=account)
    return made


def _invited(curator: str) -> str:
    made = invitation.propose(
        namespace="demo",
        handle="river",
        by=curator,
        price=Money(90_000, "USD"),
        criteria="they asked",
        recipients=[invitation.Recipient("nadia@mail.example", "Nadia", "en")],
        expires_in_days=14,
    )
    invitation.send(campaign_id=made.id, by=curator)
    row = Invitation.objects.get()
    assert invitation.sending(invitation_id=row.id)
    return Invitation.objects.get().token


def signed_in(who: str) -> Client:
    """A browser of theirs; of nobody's when `who` is empty."""
    client = Client()
    client.raise_request_exception = False
    if who:
        name = people.by_mail(namespace="demo", mail=f"{who}@mail.example").id
        client.force_login(User.objects.get(username=name))
        make.confirmed(client)
    return client


def routes(
    patterns: list[URLPattern | URLResolver] | None = None, before: str = ""
) -> dict[str, str]:
    """Every route of the pages that has a language, by name: its pattern."""
    found: dict[str, str] = {}
    for pattern in patterns or get_resolver().url_patterns:
        whole = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            found |= routes(pattern.url_patterns, whole)
        elif whole.lstrip("^").startswith("<lang:lang>/"):
            found[pattern.name or whole] = whole
    return found


def test_every_page_is_looked_at(pages: dict[str, list[tuple[str, str]]]) -> None:
    assert sorted(set(routes()) - set(pages)) == [], "give it a row in `pages`"


APART = ("idempotentrequest", "ratewindow", "disclosure")
"""Tables that a refused form may write to: its answer, how often somebody tried, who looked."""


def everything() -> list[Any]:
    """What all other tables hold, in one statement."""
    with connection.cursor() as cursor:
        names = [n for n in connection.introspection.table_names(cursor) if n.startswith("store_")]
        asked = " union all ".join(
            f"select '{name}', count(*), sum(hashtext(t::text)::bigint) from {name} t"
            for name in sorted(names)
            if not name.endswith(APART)
        )
        cursor.execute(asked)
        return cursor.fetchall()


def collected(pages: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, Form]]:
    """Each form once, with who sees it."""
    seen = set()
    for rows in pages.values():
        for who, path in rows:
            answer = signed_in(who).get(f"/en/{path}")
            assert answer.status_code in (200, 302, 403, 404, 405), (path, answer.status_code)
            for form in Forms(answer.content.decode(), f"/en/{path}").found:
                action = urlsplit(form.action).path
                name = (who if form.method == "post" else "", action, *form.typed, *form.buttons)
                if name not in seen:
                    seen.add(name)
                    yield who, form


def send(client: Client, form: Form, fields: dict[str, str], before: list[Any]) -> Any:
    """Sent and undone; a refusal leaves every table as it was, and no markup comes back alive."""
    cookies = client.cookies.copy()  # one of the forms signs out
    with transaction.atomic():
        answer = getattr(client, form.method)(form.action, fields)
        client.cookies = cookies
        said = f"{form.method} {form.action} {str(fields)[:300]} -> {answer.status_code}"
        away = answer.status_code == PlatformUnavailable.status  # none is connected here
        assert answer.status_code < 500 or away, said
        assert SCRIPT.encode() not in answer.content, said
        if answer.status_code >= 400 or form.method == "get":
            assert everything() == before, said
        transaction.set_rollback(True)
    return answer


def test_no_form_breaks_whatever_is_typed(pages: dict[str, list[tuple[str, str]]]) -> None:
    sent, kept = 0, 0
    clients: dict[str, Client] = {}
    before = everything()
    for who, form in list(collected(pages)):
        client = clients.setdefault(who, signed_in(who))
        for fields in form.sendings():
            for bad in BAD.values():
                named = [name for name in form.hidden if name != "key"]
                for some in filter(None, (form.typed, named, ["key"][: "key" in form.hidden])):
                    answer = send(client, form, fields | dict.fromkeys(some, bad), before)
                    sent += 1
                    kept += answer.status_code >= 400
            send(client, form, {}, before)
    assert sent > 500
    assert kept > 100


def test_no_address_breaks_whatever_stands_in_it(pages: dict[str, list[tuple[str, str]]]) -> None:
    looked = 0
    client = signed_in("leila")
    unchanged = everything()
    for pattern in routes().values():
        before, argument, after = pattern.replace("<lang:lang>", "en").partition("<")
        if not argument:
            continue
        for bad in (*BAD.values(), "..", "off_", "off_x", "%00", "\\"):
            path = f"/{before}{quote(bad or ' ')}{after.partition('>')[2]}"
            for method in (client.get, client.head, client.post):
                with transaction.atomic():
                    answer = method(path)
                    assert answer.status_code < 500, (path[:200], answer.status_code)
                    assert SCRIPT.encode() not in answer.content
                    assert everything() == unchanged
                    transaction.set_rollback(True)
                looked += 1
    assert looked > 300


def test_what_was_typed_stands_escaped_in_the_field_again(
    pages: dict[str, list[tuple[str, str]]],
) -> None:
    client = signed_in("leila")
    page = client.get("/en/sell/moon", {"price": BAD["markup"]}).content.decode()
    assert 'value="&quot;&#x27;&gt;&lt;script&gt;' in page
    assert 'aria-invalid="true"' in page
    keep = client.post(f"/en/{pages['keep'][0][1]}", {"do": "appeal", "text": SCRIPT * 900})
    assert keep.status_code == 400
    assert "&lt;script&gt;" in keep.content.decode()
