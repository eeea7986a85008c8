"""Who is sent held money whose sender's account no statement told: a person finds out, a second
one approves where it is much or the name is like a listed one. docs/guides/bank-transfer.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access, bank
from onym.core.errors import AlreadyClosed
from onym.core.events import amount
from onym.flows import record, screening, staff
from onym.flows import sale as sale_flow
from onym.store import clock, rowlocks, secrets
from onym.store.models import Approval, BankOrder

DIGEST_LETTERS = 16


def name(*, order_id: str, by: str, iban: str, holder: str) -> BankOrder | Approval:
    """`by` says which account an order goes to. Until a second person approves it, where one is
    needed, it waits in no payment file, and may be said otherwise.

    Refuses `malformed`, `not_found`, `not_allowed`, `already_closed`, `screening_stale`.
    """
    number, called = bank.iban(iban), bank.holder(holder)
    with transaction.atomic():
        row = rowlocks.bank_order(order_id)
        now = clock.now()
        staff.expect(by, access.Action.BANK, namespace=row.namespace_id)
        _expect_no_place(row)
        row.iban_sealed = secrets.seal(number, place=f"bankorder.iban/{row.id}")
        row.name_sealed = secrets.seal(called, place=f"bankorder.name/{row.id}")
        row.completed_by_id = by
        row.save(update_fields=["iban_sealed", "name_sealed", "completed_by"])
        facts = _facts(row)
        rules = sale_flow.guidelines_of(row.namespace_id, now)
        if not rules.needs_two(row.amount) and not facts["like_listed"]:
            return _send(row)
        return record.propose(
            namespace=row.namespace_id,
            action="bank_order",
            payload={"order": row.id, "amount": amount(row.amount)},
            facts=facts,
            by=by,
            now=now,
        )


def facts_of(approval: Approval) -> Mapping[str, Any]:
    """What both people see of the locked order: its account's end, and a digest of who was named
    by whom; the name itself stands on the bank's page.
    """
    return _facts(rowlocks.bank_order(str(approval.payload["order"])))


def name_approved(approval: Approval, now: datetime) -> BankOrder:  # noqa: ARG001 - an act's shape
    """The second person has approved the account: it goes into the next payment file."""
    row = rowlocks.bank_order(str(approval.payload["order"]))
    _expect_no_place(row)
    return _send(row)


def _expect_no_place(row: BankOrder) -> None:
    if row.state != bank.OrderState.NO_PLACE:
        raise AlreadyClosed(f"the order is {row.state}", state=row.state)


def _facts(row: BankOrder) -> Mapping[str, Any]:
    number, called = row.opened("iban"), row.opened("name")
    about = f"{row.id}/{number}/{called}/{row.completed_by_id}"
    return {
        "state": row.state,
        "ends_in": number[-4:],
        "receiver": secrets.index(about, purpose="bankorder.receiver")[:DIGEST_LETTERS],
        "like_listed": screening.is_listed(called, namespace=row.namespace_id),
    }


def _send(row: BankOrder) -> BankOrder:
    row.state = bank.OrderState.WAITING
    row.save(update_fields=["state"])
    return row
