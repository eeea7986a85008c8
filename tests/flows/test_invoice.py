"""Taxes in the sale's gross; invoices and credit notes numbered without gaps and never changed."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from tests import make
from tests.core.test_tax import TABLE
from tests.flows.test_sale import balance, moved, paid

from onym.core import invoice as core
from onym.core.errors import CountryNeeded, Malformed
from onym.core.money import Money
from onym.core.sale import PaymentState, State
from onym.flows import documents, listing, offer, payments, people, sale
from onym.queries import audit
from onym.queries import invoice as queries
from onym.store import clock as clocks
from onym.store.invoice import Invoice, InvoiceSeries
from onym.store.models import Event, Payment, Sale

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.INVOICE_ISSUER = "Plaza GmbH\n1 Long Street"
    return make.namespace()


@pytest.fixture
def parties(place: Any) -> tuple[Any, Any]:
    seller = make.member(place, account="acc-moon")
    buyer = make.member(place, account="acc-nadia")
    return seller, buyer


def sold(place: Any, parties: Any, name: str = "moon") -> Sale:
    seller, buyer = parties
    make.handle(place, name, account_id="acc-moon")
    made = listing.open_(namespace="demo", handle=name, seller=seller.id, price=make.usd(400))
    return listing.buy(listing_id=made.id, buyer=buyer.id)


def taxed() -> None:
    documents.publish(namespace="demo", kind="tax", text=TABLE)


def clean() -> None:
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken


def test_the_tax_of_the_buyers_country_is_in_the_gross_and_ends_in_its_own_account(
    place: Any, parties: Any
) -> None:
    taxed()
    people.set_country(member=parties[1].id, country="fr")
    made = sold(place, parties)
    assert (made.tax_minor, made.gross_minor) == (110, 42_110)
    assert made.versions["tax"] == "eu/2"
    moved(paid(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    assert Sale.objects.get(pk=made.id).state == State.SETTLED
    assert (balance("tax"), balance(f"escrow:{made.id}")) == (110, 0)
    assert Event.objects.filter(type="TaxPublished").count() == 1
    clean()


def test_a_table_asks_every_buyer_for_the_country_before_anything_is_agreed(
    place: Any, parties: Any
) -> None:
    taxed()
    with pytest.raises(CountryNeeded):
        sold(place, parties)
    assert not Sale.objects.exists()
    with pytest.raises(CountryNeeded):
        offer.make(namespace="demo", handle="moon", buyer=parties[1].id, price=make.usd(50))
    with pytest.raises(Malformed):
        people.set_country(member=parties[1].id, country="France")


def test_without_a_table_nobody_is_asked_and_nothing_is_added(place: Any, parties: Any) -> None:
    made = sold(place, parties)
    assert (made.tax_minor, made.gross_minor, "tax" in made.versions) == (0, 42_000, False)


def test_a_funded_sale_has_an_invoice_that_says_what_was_paid(place: Any, parties: Any) -> None:
    taxed()
    people.set_country(member=parties[1].id, country="FR")
    made = paid(sold(place, parties))
    (row,) = Invoice.objects.all()
    year = clocks.now().year
    assert (row.number, row.member_id, row.gross_minor) == (
        f"I-{year}-000001",
        made.buyer_id,
        42_110,
    )
    facts = row.facts
    assert [(line["what"], line["minor"]) for line in facts["lines"]] == [
        ("price", "40000"),
        ("commission", "2000"),
        ("tax", "110"),
    ]
    assert facts["tax"]["percent"] == "5.5"
    assert facts["issuer"] == "Plaza GmbH\n1 Long Street"
    assert queries.of_sale(made.id, viewer=made.seller_id, sees_all=False) == []
    assert len(queries.of_sale(made.id, viewer=made.buyer_id, sees_all=False)) == 1


def test_a_refund_takes_the_invoice_back_once(place: Any, parties: Any) -> None:
    made = paid(sold(place, parties))
    sale.give_up(made, holder="acc-moon", why="not_delivered", now=clocks.now())
    refund = Payment.objects.get(kind="refund")
    for _ in range(2):
        payments.record_refund(
            payment_id=refund.id, state=PaymentState.DONE, provider="stripe", provider_id="re_1"
        )
    billed, credited = Invoice.objects.order_by("issued_at", "id")
    assert (billed.kind, credited.kind) == ("invoice", "credit_note")
    assert credited.facts["credits"] == billed.number
    assert credited.number == f"C-{clocks.now().year}-000001"
    assert credited.gross == billed.gross


def test_numbers_have_no_gaps_even_where_a_flow_is_undone(place: Any, parties: Any) -> None:
    paid(sold(place, parties, "one"))
    undone = sold(place, parties, "two")
    with transaction.atomic():
        paid(undone)
        transaction.set_rollback(True)
    Payment.objects.all().filter(sale=undone).delete()
    paid(Sale.objects.get(pk=undone.id))
    assert sorted(Invoice.objects.values_list("place", flat=True)) == [1, 2]


def test_twelve_at_once_get_twelve_numbers(place: Any, parties: Any) -> None:
    names = [f"n{n}" for n in range(12)]
    made = [sold(place, parties, name) for name in names]
    gate = threading.Barrier(len(made))

    def pay(one: Sale) -> None:
        gate.wait()
        try:
            paid(one)
        finally:
            connection.close()

    threads = [threading.Thread(target=pay, args=(one,)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = sorted(Invoice.objects.values_list("place", flat=True))
    assert places == list(range(1, 13))
    assert InvoiceSeries.objects.get().last == 12


def test_an_issued_document_is_never_changed_and_a_changed_one_is_noticed(
    place: Any, parties: Any
) -> None:
    made = paid(sold(place, parties))
    row = Invoice.objects.get()
    for act in (
        lambda: Invoice.objects.update(gross_minor=1),
        lambda: Invoice.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            act()
    row.sha256 = "0" * 64
    with pytest.raises(ValueError, match="not what was issued"):
        assert row.facts
    assert made.buyer_id == row.member_id


REFUSED = {
    "one_invoice": {"id": "bil_2", "kind": "invoice"},
    "one_invoice_per_sale": {"id": "bil_2", "place": 2},
    "invoice_kind": {"id": "bil_2", "kind": "poem"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(place: Any, parties: Any, name: str) -> None:
    paid(sold(place, parties))
    changes: dict[str, Any] = dict(REFUSED[name])
    if name == "one_invoice":
        changes["sale"] = sold(place, parties, "other")
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        make.copy(Invoice.objects.get(), **changes)
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's


def test_a_series_stands_once(place: Any, parties: Any) -> None:
    paid(sold(place, parties))
    with pytest.raises(IntegrityError), transaction.atomic():
        make.copy(InvoiceSeries.objects.get())
    named = {c.name for m in (Invoice, InvoiceSeries) for c in m._meta.constraints}
    assert named == {*REFUSED, "one_invoice_series"}


def test_lines_that_are_not_the_gross_are_a_fault() -> None:
    lines = core.lines(
        price=Money(10, "USD"), commission=Money(0, "USD"), fee=Money(1, "USD"), tax=Money(2, "USD")
    )
    assert [line["what"] for line in lines] == ["price", "fee", "tax"]
    told = {"number": "I-1", "kind": core.Kind.INVOICE, "at": make.NOW, "tax": {}, "about": {}}
    core.facts(gross=Money(13, "USD"), lines=lines, **told)
    with pytest.raises(ValueError, match="sum to the gross"):
        core.facts(gross=Money(12, "USD"), lines=lines, **told)
