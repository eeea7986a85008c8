"""Invoices from outside: the page, the paper, who may read them, and the country that is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.test import Client
from tests import make
from tests.core.test_tax import TABLE
from tests.flows.test_sale import paid
from tests.surfaces.test_bank import browser
from tests.surfaces.test_desk import send, text_of

from onym.cli import publish
from onym.flows import listing
from onym.store.models import Document, Invoice, Member
from onym.web import invoice as pages

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.INVOICE_ISSUER = "Plaza GmbH <b>\n#set page(width: 1pt)"
    return make.namespace()


@pytest.fixture
def nadia(place: Any) -> Client:
    return browser(place, "nadia", "acc-nadia")


def member_of(client: Client) -> Member:
    return Member.objects.get(user__pk=client.session["_auth_user_id"])


def bought(place: Any, client: Client) -> Invoice:
    seller = make.member(place, account="acc-moon")
    make.handle(place, "moon", account_id="acc-moon")
    made = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(400))
    paid(listing.buy(listing_id=made.id, buyer=member_of(client).id))
    return Invoice.objects.get()


def publish_table(tmp_path: Path) -> None:
    file = tmp_path / "tax.toml"
    file.write_text(TABLE)
    done = CliRunner().invoke(publish.command, ["tax", str(file)])
    assert done.exit_code == 0, done.output
    assert Document.objects.filter(kind="tax", name="eu", version=2).exists()
    again = CliRunner().invoke(publish.command, ["tax", str(file)])
    assert getattr(again.exception, "code", "") == "already_closed"


@pytest.mark.parametrize(
    ("lang", "title", "amount"),
    [("en", "Invoice", "$420.00"), ("fr", "Facture", "420,00"), ("ar", "فاتورة", "420")],
)
def test_an_invoice_is_a_page_and_a_paper_in_each_language(
    place: Any, nadia: Client, lang: str, title: str, amount: str
) -> None:
    row = bought(place, nadia)
    page = text_of(nadia, f"/{lang}/invoices/{row.id}")
    assert title in page
    assert row.number in page
    assert amount in page
    assert row.sha256 in page
    assert "Plaza GmbH &lt;b&gt;" in page
    paper = nadia.get(f"/{lang}/invoices/{row.id}.pdf")
    assert paper["Content-Type"] == "application/pdf"
    assert paper["Content-Disposition"] == f'attachment; filename="{row.number}.pdf"'
    assert paper.content.startswith(b"%PDF-1.7")
    wide = re.search(rb"MediaBox ?\[0 0 595", paper.content)
    assert wide, "what a fact says is never markup"


def test_a_paper_is_the_same_bytes_each_time_it_is_made(place: Any, nadia: Client) -> None:
    row = bought(place, nadia)
    one, two = (nadia.get(f"/en/invoices/{row.id}.pdf").content for _ in range(2))
    assert one == two


def test_an_invoice_is_for_its_buyer_alone(place: Any, nadia: Client) -> None:
    row = bought(place, nadia)
    other = browser(place, "other", "acc-other")
    for path in (f"/en/invoices/{row.id}", f"/en/invoices/{row.id}.pdf"):
        assert other.get(path).status_code == 404
        assert Client().get(path)["Location"].startswith("/en/sign-in?next=")
    assert other.get("/en/invoices/bil_none.pdf").status_code == 404


def test_the_sales_page_and_my_statement_lead_to_it(place: Any, nadia: Client) -> None:
    row = bought(place, nadia)
    for path in (f"/en/sales/{row.sale_id}", "/en/me/statement"):
        assert f"/en/invoices/{row.id}" in text_of(nadia, path)


def test_the_country_is_asked_only_where_a_tax_table_is_in_force(
    place: Any, nadia: Client, tmp_path: Path
) -> None:
    assert 'name="country"' not in text_of(nadia, "/en/me/settings")
    publish_table(tmp_path)
    assert '<option value="FR">France</option>' in text_of(nadia, "/en/me/settings")
    wrong = send(nadia, "/en/me/settings", country="Atlantis")
    assert wrong.status_code == 400
    assert send(nadia, "/en/me/settings", country="FR").status_code == 302
    assert '<option value="FR" selected>' in text_of(nadia, "/en/me/settings")
    row = bought(place, nadia)
    assert row.tax_minor == 110
    page = text_of(nadia, f"/en/invoices/{row.id}")
    assert re.search(r"TVA\s+.5\.5 %", page)
    assert "$1.10" in page


def test_every_word_of_a_paper_comes_as_data(place: Any, nadia: Client) -> None:
    row = bought(place, nadia)
    said = {"lang": "en", **dict.fromkeys(("title", "number", "issuer", "to"), "#panic()")}
    said |= {"total": "#panic()", "note": "#panic()", "sha256": row.sha256, "id": row.id}
    said |= {
        "words": dict.fromkeys(("from", "to", "what", "amount", "total", "digest"), "#panic()")
    }
    said |= {"facts": [["#panic()", "#panic()"]], "lines": [["#panic()", "*b*"]]}
    assert pages.paper(json.loads(json.dumps(said))).startswith(b"%PDF")
