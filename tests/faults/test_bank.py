"""kill -9 in the middle of an import: the file is booked whole or not at all, and never twice."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db import connection, transaction
from tests import make
from tests.faults.points import Points, in_a_child
from tests.flows.banking import Banking
from tests.flows.test_sale import balance, sold

from onym import ports
from onym.core.errors import StatementKnown
from onym.flows import bank
from onym.queries import audit
from onym.store.models import BankLine, BankStatement, Sale

KILLED = -9
SHORT = 8


@pytest.fixture
def waiting(database: Any, settings: Any) -> tuple[Sale, str, Banking]:
    """A sale that waits for a transfer, and a statement that pays it, in part names nothing."""
    settings.DEMO = True
    place = make.namespace()
    seller, buyer = make.member(place, account="acc-moon"), make.member(place, account="acc-b")
    make.handle(place, "moon", account_id="acc-moon")
    banking = Banking(place).install()
    made = sold(place, (seller, buyer))
    reference = bank.begin(sale_id=made.id, by=buyer.id).reference
    pays, unknown = banking.came("500.00", reference), banking.came("7.00", "what?")
    return made, banking.write(pays, unknown), banking


def dies_at(at: int, banking: Banking, text: str) -> int:
    def act() -> None:
        points = Points(at)
        points.watch_database()
        banking.bring(text)

    return in_a_child(act)


def points_of(banking: Banking, text: str) -> int:
    """How many statements and commits an import passes, counted in a transaction that is undone."""
    points = Points()
    connection.execute_wrappers.append(points._statement)
    with transaction.atomic():
        banking.bring(text)
        transaction.set_rollback(True)
    connection.execute_wrappers.remove(points._statement)
    return len(points.passed)


def judge(made: Sale, banking: Banking, text: str) -> None:
    """Nothing or all; a second import of the same file makes it all."""
    statements = BankStatement.objects.count()
    assert BankLine.objects.count() == 2 * statements
    assert balance("world:bank") == -50_700 * statements
    try:
        banking.bring(text)
    except StatementKnown:
        assert statements == 1
    assert (BankStatement.objects.count(), BankLine.objects.count()) == (1, 2)
    assert Sale.objects.get(pk=made.id).state == "delivering"
    assert (balance(f"escrow:{made.id}"), balance("suspense")) == (42_000, 8_700)
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken
    ports.clear()


def numbers(count: int) -> list[int]:
    return sorted(random.Random(11).sample(range(1, count + 1), min(SHORT, count)))


@pytest.mark.parametrize("part", range(SHORT))
def test_killed_somewhere_in_the_import_all_of_it_is_booked_once(
    waiting: tuple[Sale, str, Banking], part: int
) -> None:
    made, text, banking = waiting
    count = points_of(banking, text)
    assert count > 40
    assert dies_at(numbers(count)[part], banking, text) == KILLED
    judge(made, banking, text)


@pytest.mark.parametrize("name", ["commit before", "commit after"])
def test_killed_around_the_commit_it_is_booked_once(
    waiting: tuple[Sale, str, Banking], name: str
) -> None:
    made, text, banking = waiting

    def act() -> None:
        points = Points(1, only=name)
        points.watch_database()
        banking.bring(text)

    assert in_a_child(act) == KILLED
    assert BankStatement.objects.count() == (1 if name == "commit after" else 0)
    judge(made, banking, text)
