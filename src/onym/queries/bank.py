"""Bank transfers as buyers, members and the desk see them."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, Sum

from onym import ports
from onym.core.errors import NotFound
from onym.core.money import Money
from onym.queries.ground import Ground
from onym.store.models import (
    BankAccount,
    BankFile,
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    WalletReference,
)

SHOWN = 100


def offered(namespace: str) -> bool:
    """Whether a sale may be paid by bank transfer."""
    return ports.bank(namespace) is not None


def instructions(sale_id: str) -> dict[str, Any] | None:
    """What the buyer writes on the transfer, and what of it is still missing; None before that."""
    row = BankReference.objects.select_related("sale").filter(sale_id=sale_id).first()
    account = ports.bank(row.sale.namespace_id) if row else None
    if row is None or account is None:
        return None
    waits = BankLine.objects.filter(sale_id=sale_id, waits=True)
    there = waits.aggregate(sum=Sum("rest_minor"))["sum"] or 0
    gross = row.sale.money("gross")
    return {
        "beneficiary": account.beneficiary,
        "iban": account.iban,
        "bic": account.bic,
        "reference": row.reference,
        "amount": gross,
        "arrived": Money(there, gross.currency),
        "missing": Money(max(gross.minor - there, 0), gross.currency),
    }


def into_wallet(member: str) -> dict[str, Any] | None:
    """What the member writes on a transfer into the wallet; None before they asked for it."""
    row = WalletReference.objects.select_related("member").filter(member=member).first()
    account = ports.bank(row.member.namespace_id) if row else None
    if row is None or account is None:
        return None
    return {
        "beneficiary": account.beneficiary,
        "iban": account.iban,
        "bic": account.bic,
        "reference": row.reference,
    }


def account_of(member: str) -> str | None:
    """The last letters of the account that a member is paid to by the bank."""
    rows = BankAccount.objects.filter(pk=member)
    found: str | None = rows.values_list("ends_in", flat=True).first()
    return found


def movements(looked: Ground) -> dict[str, list[dict[str, Any]]]:
    """What still asks for somebody's eye, the oldest first: `suspense` (nobody knows what it is
    for), `waiting` (parts of a sale's money), `unordered` (what the bank took by itself).
    """
    open_ = Q(rest_minor__gt=0) | Q(outcome="taken")
    rows = BankLine.objects.filter(open_, namespace=looked.place).select_related("sale__handle")
    told: dict[str, list[dict[str, Any]]] = {"suspense": [], "waiting": [], "unordered": []}
    for row in rows.order_by("at", "id")[:SHOWN]:
        kind = "waiting" if row.waits else "suspense" if row.rest_minor else "unordered"
        told[kind].append(_line(row))
    return told


def _line(row: BankLine) -> dict[str, Any]:
    return {
        "id": row.id,
        "ref": row.ref,
        "amount": row.amount,
        "rest": row.rest,
        "booked_on": row.booked_on,
        "outcome": row.outcome,
        "sale": row.sale_id,
        "handle": row.sale.handle.display if row.sale else None,
        "text": row.opened("text"),
        "name": row.opened("name"),
    }


def orders(looked: Ground) -> list[dict[str, Any]]:
    """What the bank is to send and has not sent, as far as statements say."""
    open_ = BankOrder.objects.exclude(state__in=("done", "returned"))
    rows = open_.filter(namespace=looked.place).order_by("id")
    return [_order(row) for row in rows[:SHOWN]]


def _order(row: BankOrder) -> dict[str, Any]:
    """With its receiver; the whole account only while a second person has to look at it."""
    iban = row.opened("iban")
    asked = iban if row.state == "no_place" else ""
    told = {"name": row.opened("name"), "ends_in": iban[-4:], "iban": asked, "text": row.text}
    return order_view(row) | told


def order_view(row: BankOrder) -> dict[str, Any]:
    """An order without who receives it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "amount": row.amount,
        "made_at": row.made_at,
    }


def statements(looked: Ground) -> list[dict[str, Any]]:
    """The last statements that were imported, the latest first."""
    rows = BankStatement.objects.filter(namespace=looked.place).order_by("-imported_at", "-id")
    return [statement_view(row) for row in rows[:20]]


def statement_view(row: BankStatement) -> dict[str, Any]:
    """A statement's figures."""
    return {
        "id": row.id,
        "number": row.number,
        "lines": row.lines,
        "opening": Money(row.opening_minor, row.currency),
        "closing": Money(row.closing_minor, row.currency),
        "sha256": row.sha256,
        "imported_at": row.imported_at,
    }


def found(statement_id: str) -> dict[str, int]:
    """How many movements of a statement were found to be what."""
    rows = BankLine.objects.filter(statement_id=statement_id).values_list("outcome", flat=True)
    counted: dict[str, int] = {}
    for outcome in rows:
        counted[outcome] = counted.get(outcome, 0) + 1
    return counted


def files(looked: Ground) -> list[dict[str, Any]]:
    """The last payment files, the latest first."""
    rows = BankFile.objects.filter(namespace=looked.place).order_by("-made_at", "-id")[:20]
    return [
        {
            "id": row.id,
            "orders": row.orders,
            "total": Money(row.total_minor, row.currency),
            "made_at": row.made_at,
        }
        for row in rows
    ]


def file_text(file_id: str, *, namespace: str) -> str:
    """A payment file as it was made. Refuses `not_found`."""
    row = BankFile.objects.filter(pk=file_id, namespace_id=namespace).first()
    if row is None:
        raise NotFound("no such payment file")
    return row.text


def line_view(row: BankLine) -> dict[str, Any]:
    """A movement after a decision about it."""
    return {"id": row.id, "outcome": row.outcome, "rest": row.rest, "sale": row.sale_id}
