"""What the database refuses about money at the bank; every named constraint is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from tests import make

from onym.flows import listing
from onym.store.models import (
    BankAccount,
    BankDraw,
    BankFile,
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    Payment,
    WalletReference,
)

pytestmark = pytest.mark.usefixtures("database")
HASH = "0" * 64


@pytest.fixture
def world(database: Any) -> None:
    place = make.namespace()
    seller = make.member(place, account="acc-moon")
    buyer = make.member(place, account="acc-b")
    make.handle(place, "moon", account_id="acc-moon")
    listed = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    told = {"namespace": place, "currency": "USD"}
    statement = BankStatement.objects.create(
        id="bst_1", number="S1", sha256=HASH, opening_minor=0, closing_minor=0, lines=1,
        imported_at=make.NOW, **told,
    )  # fmt: skip
    line = BankLine.objects.create(
        id="bln_1", statement=statement, ref="B1", minor=5, rest_minor=5, outcome="partial",
        sale=sale, waits=True, booked_on=make.NOW.date(), at=make.NOW, **told,
    )  # fmt: skip
    BankOrder.objects.create(
        id="bor_1", kind="return", state="waiting", minor=5, text="", line=line, made_at=make.NOW,
        **told,
    )  # fmt: skip


def twin(model: type[models.Model], **changes: Any) -> Callable[[], Any]:
    return lambda: make.copy(model._default_manager.get(), **changes)


def update(model: type[models.Model], **changes: Any) -> Callable[[], Any]:
    return lambda: model._default_manager.all().update(**changes)


def paying(id_: str) -> BankOrder:
    """Its payout is looked for at the commit only."""
    told = {"namespace_id": "demo", "kind": "payout", "state": "waiting", "minor": 5, "text": ""}
    told |= {"currency": "USD", "payout_id": "out_1", "made_at": make.NOW}
    return BankOrder.objects.create(id=id_, **told)


def refunding(id_: str) -> BankOrder:
    """Its payment is looked for at the commit only."""
    told = {"namespace_id": "demo", "kind": "refund", "state": "waiting", "minor": 5, "text": ""}
    told |= {"currency": "USD", "payment_id": "pay_1", "line_id": "bln_1", "made_at": make.NOW}
    return BankOrder.objects.create(id=id_, **told)


def drawn(minor: int = 1) -> BankDraw:
    return BankDraw.objects.create(line_id="bln_1", sale_id="sal_1", minor=minor)


REFUSED: dict[str, Callable[[], Any]] = {
    "one_import_per_file": twin(BankStatement, id="bst_2", number="S2"),
    "one_import_per_statement": twin(BankStatement, id="bst_2", sha256="1" * 64),
    "one_line_per_reference": twin(BankLine, id="bln_2"),
    "line_rest_within": update(BankLine, rest_minor=6),
    "line_waits_for_a_sale": update(BankLine, sale=None),
    "bank_order_kind": update(BankOrder, kind="payout"),
    "bank_order_state": update(BankOrder, state="lost"),
    "bank_order_positive": update(BankOrder, minor=0),
    "bank_order_done_has_reference": update(BankOrder, state="done"),
    "one_draw_per_line_and_sale": lambda: [drawn(), drawn()],
    "bank_draw_positive": lambda: drawn(minor=0),
    "one_refund_per_line": lambda: [refunding(id_) for id_ in ("bor_2", "bor_3")],
    "one_bank_order_per_payout": lambda: [paying(id_) for id_ in ("bor_2", "bor_3")],
}
TABLES = (
    BankAccount,
    BankDraw,
    BankFile,
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    WalletReference,
)


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(world: None, name: str) -> None:
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        REFUSED[name]()
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's


def test_every_named_constraint_of_the_bank_has_its_row_here() -> None:
    named = {constraint.name for model in TABLES for constraint in model._meta.constraints}
    assert named == set(REFUSED)


def test_a_sale_paid_by_transfer_still_has_one_charge(world: None) -> None:
    line = BankLine.objects.get()
    fields = {"sale_id": line.sale_id, "kind": "charge", "amount_minor": 1, "currency": "USD"}
    Payment.objects.create(id="pay_1", state="paid", made_at=make.NOW, **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(id="pay_2", state="pending", made_at=make.NOW, **fields)
