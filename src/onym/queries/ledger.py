"""A member's statement: every posting on their accounts, with what it was for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onym.core.money import Money
from onym.store.models import BookAccount, Posting, Sale


def statement(member: str, *, month: str = "") -> dict[str, Any]:
    """Balances, and lines in order; purchases are listed beside, as they never touch a balance.

    `month` as 2026-11 narrows lines and purchases to it; `months` are those with any of them.
    """
    lines, purchases = _named(list(_lines(member))), list(_purchases(member))
    months = sorted({f"{one['at']:%Y-%m}" for one in (*lines, *purchases)}, reverse=True)
    return {
        "balances": balances(member),
        "items": [one for one in lines if _within(one, month)],
        "purchases": [one for one in purchases if _within(one, month)],
        "months": months,
    }


def balances(member: str) -> list[dict[str, Any]]:
    """What the member's book accounts hold now."""
    return [
        {"account": row.code, "balance": Money(row.balance_minor or 0, row.currency)}
        for row in BookAccount.objects.filter(member_id=member).order_by("code")
    ]


def unpaid(member: str) -> list[Money]:
    """Balances that wait because the member has no payout account that is ready."""
    rows = BookAccount.objects.filter(member_id=member, balance_minor__gt=0)
    rows = rows.filter(code__endswith=":payable")
    waiting = rows.filter(member__payoutaccount__ready_at=None, member__bankaccount=None)
    waiting = waiting.order_by("code")
    return [Money(row.balance_minor or 0, row.currency) for row in waiting]


def _named(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each line with the handle of the sale that it is about; None: about something else."""
    sales = Sale.objects.filter(pk__in={line["ref"] for line in lines}).select_related("handle")
    handles = {sale.id: sale.handle.handle for sale in sales}
    return [line | {"handle": handles.get(line["ref"])} for line in lines]


def _within(line: dict[str, Any], month: str) -> bool:
    return not month or f"{line['at']:%Y-%m}" == month


def _lines(member: str) -> Iterator[dict[str, Any]]:
    running: dict[int, int] = {}
    rows = Posting.objects.filter(account__member_id=member).select_related("entry", "account")
    for row in rows.order_by("id"):
        running[row.account_id] = running.get(row.account_id, 0) + row.minor
        yield {
            "id": row.entry_id,
            "at": row.entry.at,
            "kind": row.entry.kind,
            "ref": row.entry.ref,
            "account": row.account.code,
            "amount": Money(row.minor, row.currency),
            "balance": Money(running[row.account_id], row.currency),
        }


def _purchases(member: str) -> Iterator[dict[str, Any]]:
    rows = Sale.objects.filter(buyer_id=member).select_related("handle").order_by("id")
    for row in rows.exclude(funded_at=None):
        yield {
            "sale": row.id,
            "handle": row.handle.handle,
            "at": row.funded_at,
            "gross": row.money("gross"),
            "state": row.state,
        }
