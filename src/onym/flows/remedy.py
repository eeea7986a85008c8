"""What an appeal brings that was right after the sale: a part of the price, or the sale undone.

Every function runs in the transaction of the flow that calls it, under the handle's row lock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from onym.core import appeal as core
from onym.core import ledger, reclaim
from onym.core import sale as sales
from onym.core.money import MINOR_DIGITS, Money
from onym.flows import ledger as books
from onym.flows import names, record
from onym.flows import sale as sale_flow
from onym.store import ids
from onym.store.models import Appeal, Payout, Reclaim, Sale, Transfer


def sale_of(appeal: Appeal) -> Sale | None:
    """The settled sale in which the platform took the handle from the appeal's account."""
    sold = Sale.objects.filter(
        handle=appeal.handle,
        seller_account_id=appeal.account_id,
        kind=sales.Kind.PRIMARY,
        state=sales.State.SETTLED,
        seller__is_house=True,
    )
    return sold.order_by("-closed_at").first()


def is_with_its_buyer(sale: Sale) -> bool:
    """Whether the buyer has held the handle ever since: nothing was handed over after this sale."""
    last = Transfer.objects.filter(handle=sale.handle, read_back_account_id__isnull=False)
    handed = last.order_by("-fence").first()
    is_last = handed is not None and handed.sale_id == sale.id
    return is_last and bool(sale.handle.account_id == sale.buyer_account_id)


def compensate(appeal: Appeal, sale: Sale, *, now: datetime) -> None:
    """A part of the price, from the platform's revenue to the holder, or set aside for them."""
    percent = appeal.process.plan.periods["compensate_percent"]
    due = core.compensation(Money(sale.proceeds_minor, sale.currency), percent=percent)
    appeal.sale, appeal.compensation_minor = sale, due.minor
    if not due:
        return
    entry = ledger.compensated(appeal=appeal.id, amount=due, member=appeal.member_id)
    books.book(entry, namespace=appeal.namespace_id, at=now)
    if appeal.member is not None:
        Payout.objects.create(
            id=ids.new("out"),
            sale=sale,
            member=appeal.member,
            amount_minor=due.minor,
            currency=due.currency,
            due_at=now,
        )


def returned(sale: Sale, *, holder: str, now: datetime) -> None:
    """A read-back shows the handle with whom it was taken from: the settlement is reversed in the
    books, so that the gross lies in escrow again, and the buyer is refunded in full.
    """
    appeal = Appeal.objects.get(sale=sale, remedy=core.Remedy.RETURN)
    entry = ledger.reversed_(sale_flow.entry_of(sale))
    books.book(entry, namespace=sale.namespace_id, at=now)
    sale.why, sale.read_back_at = "appeal_upheld", now
    sale_flow.write(sale, sales.taken_back(sale.snapshot(), holder=holder))
    _unlock(sale)
    sale_flow.order_refund(sale, now=now)
    ended = {"ended_at": now, "ending": reclaim.Ending.UPHELD, "next_at": None}
    Reclaim.objects.filter(pk=appeal.process_id, ended_at=None).update(**ended)
    tell(appeal, "handle_returned", now=now)


def left_sold(sale: Sale, *, why: str, now: datetime) -> None:
    """The handle could not be given back: the sale stands, and its price is shared instead."""
    appeal = Appeal.objects.get(sale=sale, remedy=core.Remedy.RETURN)
    sale_flow.write(sale, sales.left_sold(sale.snapshot()))
    _unlock(sale)
    names.free_slot(sale.handle, ref=sale.id)
    appeal.remedy, appeal.instead_of_return = core.Remedy.COMPENSATE, why[:40]
    compensate(appeal, sale, now=now)
    appeal.save()
    tell(appeal, "return_failed", now=now, amount=amount(appeal))
    tell_buyer(sale, "sale_stands", now=now)


def _unlock(sale: Sale) -> None:
    sale.handle.locked_by = None
    sale.handle.save(update_fields=["locked_by"])


def answered_by_refund(sale: Sale) -> dict[str, str]:
    """The appeal that a refund of this sale answers, as its leaf names it."""
    rows = Appeal.objects.filter(sale=sale, remedy=core.Remedy.RETURN)
    found = rows.values_list("id", flat=True).first()
    return {"appeal": found} if found else {}


def amount(appeal: Appeal) -> str:
    """The compensation as a letter writes it, such as `250.00 USD`."""
    currency = appeal.sale.currency if appeal.sale else appeal.namespace.currency
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(appeal.compensation_minor, 10**digits)
    return f"{whole}.{part:0{digits}d} {currency}" if digits else f"{whole} {currency}"


def tell_buyer(sale: Sale, kind: str, *, now: datetime) -> None:
    """What an appeal about it means for the sale's buyer."""
    record.notify(
        namespace=sale.namespace_id,
        kind=kind,
        about=sale.id,
        member=sale.buyer_id,
        now=now,
        facts={"sale": sale.id, "handle": sale.handle.display},
    )


def tell(appeal: Appeal, kind: str, *, now: datetime, **facts: Any) -> None:
    """Tell whoever appealed, as a member or by what the directory knows of the account."""
    known = names.directory(appeal.namespace_id)
    record.notify(
        namespace=appeal.namespace_id,
        kind=kind,
        about=appeal.id,
        now=now,
        member=appeal.member_id,
        account_id=appeal.account_id,
        address=known.email(appeal.account_id) if known and not appeal.member_id else None,
        language=names.spoken_by(appeal.namespace_id, appeal.account_id),
        facts={"handle": appeal.handle.display, **facts},
    )
