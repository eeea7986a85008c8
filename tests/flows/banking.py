"""A bank for tests: statements that follow one another, imported into a market with a sale."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.flows.test_sale import sold

from onym import ports
from onym.flows import bank
from onym.flows import statement as statements
from onym.jobs import payout as payouts
from onym.ports.bank import Bank
from onym.queries import audit
from onym.store.models import BankStatement, Sale
from onym_demo.bank import IBAN, Movement, sent, statement


@dataclass(slots=True)
class Banking:
    """Each statement begins where the last one ended."""

    place: Any
    balance: Decimal = Decimal(0)
    numbers: int = 0
    refs: int = 0
    texts: list[str] = field(default_factory=list)

    def install(self) -> Banking:
        ports.install(banks={self.place.id: Bank(iban=IBAN, beneficiary="Plaza")})
        return self

    def write(self, *movements: Movement, **changes: Any) -> str:
        """The text of the next statement, which is not imported."""
        self.numbers += 1
        fields = {"id": f"S{self.numbers}", "opening": self.balance} | changes
        return statement(movements, **fields)

    def came(self, amount: float | str, text: str = "", **changes: Any) -> Movement:
        self.refs += 1
        return Movement(Decimal(str(amount)), f"B{self.refs}", text, **changes)

    def take(self, *movements: Movement, **changes: Any) -> BankStatement:
        """Write and import it."""
        made = self.bring(self.write(*movements, **changes))
        self.balance += sum((one.amount for one in movements), Decimal(0))
        return made

    def bring(self, text: str, *, by: str | None = None) -> BankStatement:
        self.texts.append(text)
        file = io.BytesIO(text.encode())
        return statements.book(namespace=self.place.id, file=file, by=by)

    def pay(self, file: str) -> BankStatement:
        """The bank has carried a payment file out."""
        return self.take(*sent(file, prefix=f"P{self.numbers}"))


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO = True
    yield make.namespace()
    ports.clear()


@pytest.fixture
def people(place: Any) -> tuple[Any, Any]:
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    buyer = make.member(place, account="acc-nadia", mail="buyer@two.example")
    make.handle(place, "moon", account_id="acc-moon")
    return seller, buyer


@pytest.fixture
def bank_(place: Any) -> Banking:
    return Banking(place).install()


@pytest.fixture
def asked(place: Any, people: Any, bank_: Banking) -> tuple[Sale, str]:
    """A sale of 420.00 gross whose buyer was told how to transfer."""
    made = sold(place, people)
    return made, bank.begin(sale_id=made.id, by=made.buyer_id).reference


def fresh(made: Sale) -> Sale:
    return Sale.objects.get(pk=made.id)


def clean() -> None:
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken


def sent_anew() -> None:
    """The last order of the account's flow, done as a worker does it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select args ->> 'member_id' from procrastinate_jobs"
            " where task_name = 'payout.send_anew' and status = 'todo' order by id desc"
        )
        payouts.send_anew(member_id=cursor.fetchone()[0])
        cursor.execute("delete from procrastinate_jobs where task_name = 'payout.send_anew'")
