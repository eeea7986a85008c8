"""Invoices and credit notes of currencies without and with three decimals, in each language."""

from __future__ import annotations

import html
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import typst
from django.test import Client
from django.utils import translation
from PIL import Image
from tests import make
from tests.flows.test_sale import paid
from tests.surfaces.test_bank import browser
from tests.surfaces.test_currencies import TABLES
from tests.surfaces.test_desk import text_of

from onym.core import guidelines
from onym.core.money import Money
from onym.core.sale import PaymentState
from onym.flows import documents, listing, people, sale
from onym.flows import payments as paying
from onym.queries import invoice as queries
from onym.store.models import Invoice, Member, Namespace, Payment
from onym.web import invoice as pages

pytestmark = pytest.mark.usefixtures("database")
TAX = """
id = "own"
version = 1
effective_from = 2020-01-01
[[rate]]
country = "FR"
name = "TVA"
percent = "10"
kind = "*"
on = "price"
"""
PRICES = {"JPY": 12_345, "KWD": 12_350}
TITLES = {
    "en": ("Invoice", "Credit note"),
    "fr": ("Facture", "Avoir"),
    "ar": ("فاتورة", "إشعار دائن"),
}
SAID = {
    ("JPY", "en"): ("¥12,345", "¥617", "¥1,296", "¥14,258"),
    ("JPY", "fr"): ("12\u202f345 JPY", "617 JPY", "1\u202f296 JPY", "14\u202f258 JPY"),
    ("JPY", "ar"): ("12,345 JP¥", "617 JP¥", "1,296 JP¥", "14,258 JP¥"),
    ("KWD", "en"): ("KWD12.350", "KWD0.310", "KWD1.270", "KWD13.930"),
    ("KWD", "fr"): ("12,350 KWD", "0,310 KWD", "1,270 KWD", "13,930 KWD"),
    ("KWD", "ar"): ("12.350 د.ك.", "0.310 د.ك.", "1.270 د.ك.", "13.930 د.ك."),
}
"""Price, commission, tax and their sum, as each language writes them."""


@pytest.fixture
def nadia(database: Any, settings: Any, request: pytest.FixtureRequest) -> Client:
    """A buyer whose sale in this currency was paid and given back."""
    currency = request.param
    settings.DEMO, settings.NAMESPACE = True, "demo"
    settings.INVOICE_ISSUER = "Plaza GmbH\n1 Long Street"
    place = make.namespace(currency=currency)
    make.document(place, kind="fees", name="own", text=TABLES[currency], version=2)
    rules = guidelines.built_in().replace("USD = 10000", f"{currency} = 10000")
    make.document(place, kind="guidelines", name="own", text=rules, version=2)
    documents.publish(namespace="demo", kind="tax", text=TAX)
    client = browser(place, "nadia", "acc-nadia")
    buyer = Member.objects.get(user__pk=client.session["_auth_user_id"])
    people.set_country(member=buyer.id, country="FR")
    people.set_name(member=buyer.id, name="نادية Roux")
    back(bought(place, buyer, Money(PRICES[currency], currency)))
    return client


def bought(place: Namespace, buyer: Member, price: Money) -> Any:
    seller = make.member(place, account="acc-moon")
    make.handle(place, "moon", account_id="acc-moon")
    made = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=price)
    return paid(listing.buy(listing_id=made.id, buyer=buyer.id))


def back(made: Any) -> None:
    sale.give_up(made, holder="acc-moon", why="not_delivered", now=datetime.now(UTC))
    paying.record_refund(
        payment_id=Payment.objects.get(kind="refund").id,
        state=PaymentState.DONE,
        provider="stripe",
        provider_id="re_1",
    )


def plain(text: str) -> str:
    """Without marks of direction; every space of a kind that does not break is a space."""
    return re.sub("[\u2066-\u2069\u200f]", "", text).replace("\u00a0", " ")


@pytest.mark.parametrize("nadia", ["JPY", "KWD"], indirect=True)
def test_page_and_paper_say_every_unit_in_each_language(nadia: Client) -> None:
    billed, credited = Invoice.objects.order_by("issued_at", "id")
    for lang, titles in TITLES.items():
        *lines, total = SAID[billed.currency, lang]
        for row, title in zip((billed, credited), titles, strict=True):
            with translation.override(lang):
                said = pages._said(queries.invoice(row.id, viewer=row.member_id, sees_all_of=""))
            assert (said["title"], said["number"]) == (title, row.number)
            assert [plain(line[1]) for line in said["lines"]] == lines
            assert plain(said["total"]) == total
            page = plain(html.unescape(text_of(nadia, f"/{lang}/invoices/{row.id}")))
            assert [word for word in (title, row.number, *lines, total) if word not in page] == []
            paper = nadia.get(f"/{lang}/invoices/{row.id}.pdf").content
            assert paper == pages.paper(said), "the paper says what the page says"
            assert paper.startswith(b"%PDF-1.7")
    assert credited.gross == billed.gross == Money(billed.gross_minor, billed.currency)


@pytest.mark.parametrize("nadia", ["KWD"], indirect=True)
def test_arabic_letters_are_joined_on_the_paper(nadia: Client) -> None:
    """Set apart by marks that forbid joining, the same words are another picture."""
    row = Invoice.objects.order_by("issued_at", "id")[0]
    with translation.override("ar"):
        said = pages._said(queries.invoice(row.id, viewer=row.member_id, sees_all_of=""))
    apart = said | {"title": "\u200c".join(said["title"])}
    shown = [
        typst.compile(
            pages._template(),
            font_paths=[str(pages.HERE / "fonts")],
            ignore_system_fonts=True,
            sys_inputs={"said": json.dumps(one)},
            format="png",
            ppi=40,
        )
        for one in (said, apart)
    ]
    joined, parted = (_title(picture) for picture in shown)
    assert joined[0] > 165, "it stands on the right, where Arabic begins"
    assert parted[1] - parted[0] > (joined[1] - joined[0]) * 1.1


def _title(picture: Any) -> tuple[int, int]:
    """From where to where the first line's ink goes, in dots from the left."""
    page = Image.open(io.BytesIO(picture)).convert("L").point(lambda dot: 255 if dot < 128 else 0)
    box = page.crop((0, 0, page.width, page.height // 8)).getbbox()
    assert box is not None
    return box[0], box[2]
