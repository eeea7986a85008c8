"""What stands beside a price before one agrees is what the sale then charges, to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from tests import make
from tests.core.test_tax import TABLE
from tests.surfaces.test_api import Caller

from onym import ports
from onym.core import fees as schedules
from onym.core.errors import Refusal
from onym.core.money import Money
from onym.core.sale import Kind
from onym.flows import documents, invitation, listing, offer
from onym.flows import sale as flow
from onym.queries import fees
from onym.store import clock, rowlocks
from onym.store.models import Document, Invitation, Member, Sale
from onym.web.templatetags.market import money as shown

pytestmark = pytest.mark.usefixtures("database")
PARTS = ("price", "gross", "commission", "fee", "tax", "share", "proceeds")


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    yield make.namespace()
    ports.clear()


def set_fees(payer: str, *, initiate: str, displaced: str, step: str) -> None:
    row = Document.objects.get(kind="fees")
    row.text = f"""
id = "onym-2026"
version = 1
effective_from = 2020-01-01
payer = "{payer}"
[currency.USD]
initiate = "{initiate}"
displaced = "{displaced}"
step = "{step}"
bands = [{{ percent = "5", up_to = "5000" }}, {{ percent = "2.5" }}]
"""
    row.save()


class Undo(Exception):
    """Ends a transaction whose sale was only looked at."""


def agreed(kind: Kind, row: Any, buyer: Member, seller: Member, price: Money) -> Any:
    """What the real flow writes into the sale, or refuses; nothing of it stays."""
    found: dict[str, Money] = {}
    try:
        with transaction.atomic():
            locked = rowlocks.handle(namespace="demo", handle=row.handle)
            made = flow.agree(
                row=locked,
                kind=kind,
                mechanism="listing",
                by="x",
                buyer=Member.objects.get(pk=buyer.id),
                seller=seller,
                price=price,
                now=clock.now(),
            )
            found = {part: made.money(part) for part in PARTS}
            raise Undo
    except Undo:
        return found
    except Refusal as refusal:
        return refusal.code


def before(kind: str, buyer: Member | None, price: Money, *, displaces: bool) -> Any:
    try:
        found = fees.sums(
            "demo",
            price=price,
            kind=kind,  # type: ignore[arg-type]  # one of both
            buyer=buyer.id if buyer else None,
            displaces=displaces,
        )
    except Refusal as refusal:
        return refusal.code
    if found.tax_later:
        return "country_needed"
    return {part: getattr(found, part) for part in PARTS}


def test_the_sums_are_what_the_sale_charges_whatever_fees_taxes_and_price(place: Any) -> None:
    chance = Random(68)
    held = make.handle(place, "moon", account_id="acc-moon")
    freed = make.handle(place, "noon", state="released", account_id="acc-noon")
    empty = make.handle(place, "soon", state="released", account_id=None)
    seller, buyer = make.member(place, account="acc-moon"), make.member(place, account="acc-b")
    house = listing.house("demo")
    documents.publish(namespace="demo", kind="tax", text=TABLE)
    ways = [
        (Kind.TRADE, held, seller, False),
        (Kind.PRIMARY, freed, house, True),
        (Kind.PRIMARY, empty, house, False),
    ]
    seen = set()
    for _ in range(60):
        set_fees(
            chance.choice(("buyer", "seller", "half")),
            initiate=chance.choice(("0", "3.10", "50")),
            displaced=chance.choice(("0", "10", "33.3333", "100")),
            step=chance.choice(("0.01", "0.10")),
        )
        Member.objects.filter(pk=buyer.pk).update(country=chance.choice(("", "FR", "DE", "SA")))
        kind, row, sells, displaces = chance.choice(ways)
        price = Money(chance.choice((1, 10)) * chance.randrange(5, 3_000_000), "USD")
        told = before(kind.value, buyer, price, displaces=displaces)
        assert told == agreed(kind, row, buyer, sells, price)
        if isinstance(told, dict):
            seen |= {part for part in PARTS if told[part].minor}
            assert told["gross"].minor == sum(
                told[part].minor for part in ("proceeds", "commission", "fee", "tax", "share")
            )
        else:
            seen.add(told)
    assert {*PARTS, "country_needed"} <= seen


# Where it stands


@pytest.fixture
def taxed(place: Any) -> tuple[Any, Any]:
    """Seller and buyer of @moon, the buyer in France; a tenth for whoever lost a handle."""
    set_fees("buyer", initiate="3.10", displaced="10", step="0.01")
    documents.publish(namespace="demo", kind="tax", text=TABLE)
    make.handle(place, "moon", account_id="acc-moon")
    return make.member(place, account="acc-moon"), make.member(place, account="acc-b", country="FR")


def page(member: Any, path: str) -> str:
    client = Client()
    if member is not None:
        if member.user is None:
            member.user = User.objects.create_user(member.id)
            member.save(update_fields=["user"])
        client.force_login(member.user)
    return str(client.get(path).content.decode())


def figure(minor: int) -> str:
    return str(shown(Money(minor, "USD")))


def test_the_handles_page_says_what_its_buyer_pays_with_tax(place: Any, taxed: Any) -> None:
    seller, buyer = taxed
    made = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(400))
    mine, anybodys = page(buyer, "/en/@moon"), page(None, "/en/@moon")
    assert "Tax is added before you pay" in anybodys
    assert "Tax is added" not in mine
    sale = listing.buy(listing_id=made.id, buyer=buyer.id)
    assert sale.tax_minor == 127  # 5.5 % of 20.00 + 3.10
    for amount in (sale.gross_minor, sale.tax_minor, sale.fee_minor):
        assert figure(amount) in mine
    assert figure(sale.gross_minor - sale.tax_minor) in anybodys
    assert figure(sale.tax_minor) in page(buyer, f"/en/sales/{sale.id}")


def test_the_offers_thread_shows_the_buyer_their_tax_and_the_holder_nobodys_country(
    place: Any, taxed: Any
) -> None:
    seller, buyer = taxed
    made = offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(300))
    offer.counter(offer_id=made.id, by=seller.id, price=make.usd(400))
    mine, theirs = page(buyer, f"/en/offers/{made.id}"), page(seller, f"/en/offers/{made.id}")
    other = page(buyer, f"/en/offers/{made.id}?price=500")
    sale = offer.accept(offer_id=made.id, by=buyer.id)
    assert figure(sale.gross_minor) in mine
    assert figure(sale.tax_minor) in mine
    assert figure(sale.tax_minor) not in theirs
    assert "Tax is added before you pay" in theirs or "what you receive stays the same" in theirs
    assert figure(52_965) in other  # 500.00 + 25.00 + 3.10 + 1.55 of tax


def test_the_seller_is_told_that_tax_comes_on_top(place: Any, taxed: Any) -> None:
    told = page(taxed[0], "/en/sell/moon?price=400")
    assert "what you receive stays the same" in told
    assert figure(40_000) in told


def test_the_invited_see_tax_and_the_share_before_they_accept(place: Any, taxed: Any) -> None:
    from onym.store import secrets
    from onym.store.models import MailAddress

    row = make.handle(place, "noon", state="released", account_id="acc-noon")
    team = make.member(place, roles="curator").id
    campaign = make.campaign(row, mails="b@mail.example", by=team)
    invitation.send(campaign_id=campaign.id, by=team)
    found = Invitation.objects.get()
    assert invitation.sending(invitation_id=found.id)
    buyer = taxed[1]
    MailAddress.objects.create(
        namespace=place,
        member=buyer,
        address_sealed=secrets.seal("b@mail.example", place=MailAddress.place(buyer.id)),
        address_index=secrets.index("b@mail.example", purpose="mail"),
        verified_at=make.LONG_AGO,
    )
    mine = page(buyer, f"/en/invitations/{found.token}")
    sale = invitation.accept(token=found.token, by=buyer.id)
    assert (sale.share_minor, sale.tax_minor) == (9_000, 18_062)  # 20 % of 900.00 + 3.10
    for amount in (sale.gross_minor, sale.tax_minor, sale.share_minor):
        assert figure(amount) in mine
    assert figure(sale.share_minor) in page(buyer, f"/en/sales/{sale.id}")


def test_the_apis_quote_is_what_is_then_charged(place: Any, taxed: Any) -> None:
    seller, buyer = taxed
    caller = Caller(buyer)
    assert caller.send("GET", "/handles/moon/quote").status_code == 400
    named = caller.send("GET", "/handles/moon/quote?price_minor=50000").json()
    assert named["gross"] == {"minor": 52_965, "currency": "USD"}
    made = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(400))
    told = caller.send("GET", "/handles/MOON/quote").json()
    assert Caller(seller).send("GET", "/handles/moon/quote").json()["tax_later"] is True
    sale = caller.send("POST", f"/listings/{made.id}/buy", {}).json()
    assert {part: told[part] for part in PARTS} == {part: sale[part] for part in PARTS}
    assert told["versions"]["fees"] == sale["versions"]["fees"]
    assert (told["tax_later"], Sale.objects.count()) == (False, 1)


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_the_fees_page_speaks_of_the_share_and_of_tax(
    place: Any, taxed: Any, language: str
) -> None:
    from django.utils import translation

    with translation.override(language):
        lost = translation.gettext(
            "Of a sale by the platform, for the account that lost the handle"
        )
        tax = translation.gettext("Tax")
    told = page(None, f"/{language}/fees")
    assert lost in told
    assert f"<h2>{tax}</h2>" in told
    assert "TVA" in told
    Document.objects.filter(kind="tax").delete()
    assert "TVA" not in page(None, f"/{language}/fees")


def test_without_a_tax_table_nothing_is_said_of_tax(place: Any) -> None:
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.member(place, account="acc-moon")
    listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(400))
    assert "Tax" not in page(make.member(place, account="acc-b"), "/en/@moon")
    assert schedules.built_in("onym-2026", currency="USD").displaced_ppm == 0
