"""Every page asks the database at most twelve times, whoever looks and however much there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from tests import lived_in, make
from tests.lived_in import LivedIn

pytestmark = pytest.mark.usefixtures("database")
MOST = 12

PAGES: dict[str, tuple[str, ...]] = {
    "home": ("",),
    "search": (
        "search",
        "search?q=moon",
        "search?q=moo",
        "search?q=moor&sort=handle",
        "search?q=moon&match=exact",
        "search?q=mooon&match=fuzzy",
        "search?q=moon&tier=standard&sale=any&sort=price&max_price=100",
        "search?sort=-price&min_length=2&max_length=9",
    ),
    "handle": ("@moon", "@moor007", "@moor002", "@way1", "@sold3", "@nadia", "@nobody", "@free1"),
    "policies": ("policies",),
    "fees": ("fees",),
    "sale": ("sales/{sale}", "sales/{checkout}"),
    "invoice": ("invoices/{invoice}",),
    "invoice-pdf": ("invoices/{invoice}.pdf",),
    "sale-onward": ("sales/{sale}/onward",),
    "sale-returned": ("sales/{sale}/returned",),
    "offers": ("offers",),
    "offer": ("offers/{offer}", "offers/{offer_token}"),
    "invitation": ("invitations/{invitation}",),
    "unsubscribe": ("unsubscribe/{invitation}",),
    "keep": ("keep/{keep}",),
    "design": ("design",),
    "theme": ("theme",),
    "guidelines": ("guidelines",),
    "policies-version": ("policies/x-2023/3", "policies/x-2023/3?against=2"),
    "fees-version": ("fees/onym-2026/2", "fees/onym-2026/2?against=1&price=100"),
    "guidelines-version": ("guidelines/onym-2026/2?against=1",),
    "log": ("log", "log?type=SaleSettled", "log?q=moon"),
    "leaf": ("log/0", "log/3"),
    "feed": ("feeds/listings.atom", "feeds/sales.rss"),
    "legal": ("legal/terms",),
    "language": ("language",),
    "demo-clock-page": ("demo/clock",),
    "watches": ("watches",),
    "alerts": ("alerts/{alerts}",),
    "sign-in": ("sign-in",),
    "sign-in-code": ("sign-in/code",),
    "sign-in-factor": ("sign-in/factor",),
    "sign-in-passkey": ("sign-in/passkey",),
    "sign-in-options": ("sign-in/options",),
    "sign-in-demo": ("sign-in/demo",),
    "join": ("join",),
    "confirm": ("confirm", "confirm?next=/en/me"),
    "sign-out": ("sign-out",),
    "security": ("security",),
    "address": ("security/mail",),
    "tokens": ("security/tokens",),
    "totp": ("security/totp",),
    "totp-picture": ("security/totp.svg",),
    "passkey-options": ("security/options",),
    "sessions": ("sessions",),
    "problem-page": ("problems/expired",),
    "me": ("me",),
    "my-holding": ("me/holding",),
    "my-buying": ("me/buying",),
    "my-selling": ("me/selling",),
    "my-offers": ("me/offers",),
    "my-alerts": ("me/alerts",),
    "my-statement": ("me/statement",),
    "my-payout": ("me/payout",),
    "my-payout-onward": ("me/payout/onward",),
    "my-payout-returned": ("me/payout/returned",),
    "my-notices": ("me/notices",),
    "my-notice": ("me/notices/ntc_x",),
    "my-appeals": ("me/appeals",),
    "my-accounts": ("me/accounts",),
    "my-accounts-platform": ("me/accounts/platform",),
    "sign-in-platform": ("sign-in/platform",),
    "sign-in-platform-back": ("sign-in/platform/back",),
    "my-webhooks": ("me/webhooks",),
    "my-settings": ("me/settings",),
    "my-name": ("me/name", "me/name?next=/en/me"),
    "my-data": ("me/data.json",),
    "leave": ("me/leave",),
    "my-share": ("me/shares/{sale}",),
    "my-bank": ("me/bank",),
    "wallet": ("wallet", "wallet?after=9999"),
    "wallet-returned": ("wallet/returned",),
    "wallet-onward": ("wallet/deposits/dep_0059/onward",),
    "sell": ("sell",),
    "sell-handle": ("sell/nadia", "sell/nadia?price=1250"),
    "sell-listed": ("sell/nadia/listed",),
    "desk": ("desk/",),
    "desk-overview": ("desk/overview",),
    "desk-screening": ("desk/screening",),
    "desk-bank": ("desk/bank",),
    "desk-bank-file": ("desk/bank/{payment_file}.xml",),
    "desk-sweeps": ("desk/sweeps",),
    "desk-sweep": ("desk/sweeps/{sweep}",),
    "desk-stock": ("desk/stock", "desk/stock?q=moor"),
    "desk-shortlist": ("desk/shortlist",),
    "desk-switches": ("desk/switches", "desk/switches?phase=closed"),
    "desk-calls": ("desk/calls",),
    "desk-handle": ("desk/handles/free1", "desk/handles/moor007"),
    "desk-campaigns": ("desk/campaigns",),
    "desk-campaign": ("desk/campaigns/{campaign}",),
    "desk-plans": ("desk/plans", "desk/plans?plan={plan}"),
}
"""By the name of its route: addresses that show the page at its fullest."""


def routes() -> Iterator[str]:
    """The name of every route whose address begins with a language."""
    yield from _routes(get_resolver().url_patterns, before="")


def _routes(patterns: list[URLPattern | URLResolver], *, before: str) -> Iterator[str]:
    for pattern in patterns:
        whole = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, before=whole)
        elif whole.lstrip("^").startswith(("<lang:lang>/", "(?P<lang>")):
            yield pattern.name or whole


def test_every_page_route_has_a_row_in_the_table() -> None:
    assert sorted(set(routes()) - set(PAGES)) == [], "give it a row in PAGES"
    assert sorted(set(PAGES) - set(routes())) == []


@pytest.fixture
def lived(database: Any, settings: Any) -> LivedIn:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.WALLET = True
    return lived_in.market()


def signed_in(name: str) -> Client:
    client = Client()
    typed = {"mail": f"{name}@mail.example", "password": lived_in.PASSWORD}
    assert client.post("/en/sign-in", typed).status_code == 302
    return make.confirmed(client)


def test_no_page_asks_the_database_more_than_twelve_times(lived: LivedIn) -> None:
    viewers = {"nobody": Client(), "member": signed_in("nadia"), "staff": signed_in("amal")}
    facts = {name: getattr(lived, name) for name in LivedIn.__slots__}  # type: ignore[attr-defined]  # slots=True
    over, counts = [], {}
    for who, client in viewers.items():
        for address in (one.format(**facts) for some in PAGES.values() for one in some):
            asked, answer = _asked(client, f"/en/{address}")
            assert answer.status_code in (200, 302, 403, 404, 405, 422), (who, address)
            if who == "staff" and address.startswith("desk/"):
                assert answer.status_code == 200, "staff must see the desk for it to be counted"
            counts[f"{who} /en/{address}"[:60]] = len(asked)
            if len(asked) > MOST:
                said = "\n".join("    " + query["sql"][:140] for query in asked)
                over.append(f"{who} /en/{address}: {len(asked)}\n{said}")
    worst = sorted(counts.items(), key=lambda item: -item[1])[:8]
    print("most:", *(f"\n  {count} {page}" for page, count in worst))
    assert not over, "\n".join(over)
    assert worst[0][1] > 6, "the pages were not looked at"


def _asked(client: Client, path: str) -> tuple[Any, Any]:
    """The second look's statements: the first one may read what never changes."""
    client.get(path)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path)
    return asked, answer


FULL = ("", "search?q=moo", "search?q=moon&sort=price", "@moon", "@moor007", "offers")
FULL += ("me/statement", "me/alerts", "wallet")


def test_the_fullest_pages_do_show_what_there_is(lived: LivedIn) -> None:
    """Counting on empty pages would prove nothing."""
    client = signed_in("nadia")
    shown = {path: client.get(f"/en/{path}") for path in FULL}
    assert {path: answer.status_code for path, answer in shown.items()} == dict.fromkeys(FULL, 200)
    assert len(shown[""].context["listings"]) == 24
    assert len(shown[""].context["sold"]) == 6
    assert shown[""].context["ending"]
    for path in FULL[1:3]:
        assert len(shown[path].context["found"]["items"]) == 24
    assert len(shown["@moon"].context["similar"]) == 8
    assert shown["@moor007"].context["handle"]["state"] in ("warned", "resting", "released")
    assert len(shown["me/statement"].context["statement"]["items"]) >= 50
    assert len(shown["wallet"].context["entries"]) == 50
    assert shown["wallet"].context["coming"]
    assert shown["wallet"].context["payouts"]
    assert len(shown["me/alerts"].context["alerts"]["watches"]) == 11
    assert len(shown["me/alerts"].context["alerts"]["hits"]) == 9
    assert shown["@moon"].context["watch"]
    assert len(shown["offers"].context["offers"]) == 25
