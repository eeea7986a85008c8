"""Currencies without and with three decimals: from the form to the payout, on their own tables."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from tests import make
from tests import world as worlds
from tests.faults.ways import Way

from onym.core import fees, guidelines
from onym.core.errors import AmountTooSmall, CurrencyMismatch, Malformed, Refusal
from onym.core.money import Money
from onym.flows import form, listing
from onym.queries import ledger
from onym.store.models import Listing, Sale

_numbers = itertools.count(1)

TABLES = {
    "JPY": """
id = "yen"
version = 1
effective_from = 2020-01-01
payer = "buyer"
[currency.JPY]
least_price = "100"
least_commission = "100"
bands = [{ percent = "5", up_to = "500000" }, { percent = "4" }]
""",
    "KWD": """
id = "dinar"
version = 1
effective_from = 2020-01-01
payer = "half"
[currency.KWD]
step = "0.010"
least_price = "0.500"
bands = [{ percent = "5" }]
""",
}


@dataclass(frozen=True, slots=True)
class Case:
    """What is typed in which language, and what it must come to, in minor units."""

    currency: str
    language: str
    typed: str
    price: int
    gross: int
    proceeds: int
    shown: str


CASES = [
    Case("JPY", "en", "12,345", 12_345, 12_962, 12_345, "¥12,345"),
    Case("JPY", "fr", "12 345", 12_345, 12_962, 12_345, "12\u202f345"),
    Case("JPY", "ar", "١٢٣٤٥", 12_345, 12_962, 12_345, "12,345"),
    Case("KWD", "en", "12.350", 12_350, 12_660, 12_050, "12.350"),
    Case("KWD", "fr", "12,350", 12_350, 12_660, 12_050, "12,350"),
]


MORE = (CASES[1], CASES[4])
"""Looked at by `make faults`: the other languages write the same amounts."""


def market(settings: Any, currency: str) -> worlds.World:
    """A namespace that deals in `currency` on tables that its operator brought."""
    world = worlds.market(settings, currency=currency)
    make.document(world.place, kind="fees", name=currency.lower(), text=TABLES[currency], version=2)
    waits = guidelines.built_in().replace("USD = 10000", f"{currency} = 10000")
    make.document(world.place, kind="guidelines", name="own", text=waits, version=2)
    return world


def browser(member: Any) -> Client:
    from django.contrib.auth.models import User

    client = Client()
    member.user = User.objects.create_user(f"currency{next(_numbers)}")
    member.save()
    client.force_login(member.user)
    return make.confirmed(client)


EACH = [pytest.param(one, marks=pytest.mark.faults if one in MORE else ()) for one in CASES]


@pytest.mark.parametrize("case", EACH, ids=lambda case: f"{case.currency}-{case.language}")
def test_a_sale_goes_from_the_form_to_the_payout_to_the_last_unit(
    database: str, settings: Any, case: Case
) -> None:
    world = market(settings, case.currency)
    seller, _, handle = world.holder(mail=f"seller{next(_numbers)}@one.example")
    buyer, _, _ = world.member()
    page = f"/{case.language}/sell/{handle}"
    sums = browser(seller).get(page, {"price": case.typed}).content.decode()
    assert case.shown in sums
    sent = browser(make_again(seller)).post(
        page, {"do": "list", "price": case.typed, "key": f"list-it-{handle}"}
    )
    assert sent.status_code == 302, sent.content
    way = Way("listing", world, handle, buyer, seller, Money(case.price, case.currency))
    sale = listing.buy(listing_id=Listing.objects.get(handle__handle=handle).id, buyer=buyer.id).id
    row = Sale.objects.get(pk=sale)
    figures = (row.price_minor, row.gross_minor, row.proceeds_minor)
    assert figures == (case.price, case.gross, case.proceeds)
    way.pay(sale)
    world.pass_time(days=4)
    way.accept(sale)
    world.pass_time(days=8)
    assert Sale.objects.get(pk=sale).state == "settled"
    assert world.out.taken(sale) == {"charge": case.gross, "transfer": -case.proceeds}
    books = world.out.books()["currencies"][case.currency.lower()]
    assert books["difference"] == 0
    shown = browser(buyer).get(f"/{case.language}/sales/{sale}").content.decode()
    assert case.shown in shown
    lines = ledger.statement(seller.id)["items"]
    amounts = [line["amount"] for line in lines]
    assert amounts == [
        Money(case.proceeds, case.currency),
        Money(-case.proceeds, case.currency),
    ]
    world.check(sale)


def make_again(member: Any) -> Any:
    """The member once more, as a second browser of theirs needs another user row."""
    member.refresh_from_db()
    return member


@pytest.mark.parametrize("case", [CASES[0], CASES[3]], ids=lambda case: case.currency)
def test_a_refund_gives_back_every_unit(database: str, settings: Any, case: Case) -> None:
    world = market(settings, case.currency)
    seller, _, handle = world.holder()
    buyer, _, _ = world.member()
    way = Way("offer", world, handle, buyer, seller, Money(case.price * 1000, case.currency))
    sale = way.agree()
    way.pay(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "cooling"
    way.cancel(sale)
    world.drain(hurry=True)
    assert Sale.objects.get(pk=sale).state == "refunded"
    assert sum(world.out.taken(sale).values()) == 0
    world.check(sale)


@pytest.mark.parametrize("currency", ["JPY", "KWD"])
def test_nothing_is_sold_in_a_currency_whose_tables_nobody_brought(
    database: str, settings: Any, currency: str
) -> None:
    world = worlds.market(settings, currency=currency)
    seller, _, handle = world.holder()
    with pytest.raises(CurrencyMismatch):
        listing.open_(
            namespace="demo", handle=handle, seller=seller.id, price=Money(50_000, currency)
        )


TYPED: list[tuple[str, str, str, int | type[Refusal]]] = [
    ("12.345", "KWD", "en", 12_345),
    ("12,345", "KWD", "en", 12_345_000),
    ("12,345", "KWD", "fr", 12_345),
    ("12.345", "KWD", "fr", 12_345),
    ("12.3", "KWD", "en", 12_300),
    ("12.3456", "KWD", "en", Malformed),
    ("0.001", "KWD", "en", 1),
    ("0.000", "KWD", "en", AmountTooSmall),
    ("١٢٫٣٤٥", "KWD", "ar", 12_345),
    ("12.345", "JPY", "en", Malformed),
    ("12,345", "JPY", "fr", Malformed),
    ("12,345", "JPY", "en", 12_345),
    ("12 345", "JPY", "fr", 12_345),
    ("12.0", "JPY", "en", Malformed),
    ("12.345", "EUR", "en", Malformed),
    ("12.34", "EUR", "en", 1_234),
]


@pytest.mark.parametrize(("typed", "currency", "language", "wanted"), TYPED)
def test_what_is_typed_is_read_by_language_and_currency_or_refused_where_it_may_mean_two_things(
    typed: str, currency: str, language: str, wanted: int | type[Refusal]
) -> None:
    if isinstance(wanted, int):
        read = form.amount(typed, currency=currency, language=language)
        assert read == Money(wanted, currency)
        return
    with pytest.raises(wanted):
        form.amount(typed, currency=currency, language=language)


def test_amounts_that_cannot_be_moved_are_neither_asked_nor_charged() -> None:
    """Stripe moves dinars in steps of ten fils: prices are, and commissions are rounded to them."""
    dinars = fees.Schedule.from_toml(TABLES["KWD"], currency="KWD")
    with pytest.raises(Malformed):
        dinars.check(price=Money(12_345, "KWD"))
    for minor in range(500, 40_000, 10):
        parts = fees.split(price=Money(minor, "KWD"), schedule=dinars)
        assert parts.gross.minor % 10 == parts.proceeds.minor % 10 == 0
        assert parts.gross == parts.proceeds + parts.commission
        assert 0 <= minor * 5 - parts.commission.minor * 100 < 1000
    with pytest.raises(Malformed):
        fees.Schedule.from_toml(TABLES["KWD"].replace("0.500", "0.505"), currency="KWD")
