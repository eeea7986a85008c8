"""Chargebacks: what the bank took is booked, the sale is frozen, and its decision is followed.

The provider is asked by a job; what it says of each chargeback is recorded here, once, whatever
the order that it became known in. docs/concepts/chargebacks.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from onym.core import chargeback as core
from onym.core import handle, ledger
from onym.core import sale as sales
from onym.core.events import Event
from onym.flows import dispute, names, record, recovery, term
from onym.flows import ledger as books
from onym.flows import sale as sale_flow
from onym.ports.payments import Chargeback as Told
from onym.store import clock, ids, rowlocks
from onym.store.models import Approval, Chargeback, Payment, Payout, Sale, SaleSlot

REASON = "charged_back"


def record_all(*, sale_id: str, provider: str, told: Sequence[Told]) -> None:
    """Write down what the provider says of a sale's chargebacks; what is known stays as it is."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        for one in told:
            known = Chargeback.objects.filter(provider=provider, provider_id=one.id).first()
            row = known or _open(sale, one, provider=provider, now=now)
            status = core.Status(one.status)
            if row.status == core.Status.OPEN and status is not core.Status.OPEN:
                _close(sale, row, status, now=now)
        _thaw(sale)


def _open(sale: Sale, told: Told, *, provider: str, now: datetime) -> Chargeback:
    """The bank has taken the money: it is booked, and nothing of the sale moves any more."""
    source = core.source(
        sales.State(sale.state),
        is_whole=told.amount == sale.money("gross"),
        is_refunded=_refunds(sale).exists()
        or sale.chargeback_set.exclude(status=core.Status.WON).exists(),
    )
    row = Chargeback.objects.create(
        id=ids.new("cbk"),
        sale=sale,
        provider=provider,
        provider_id=told.id,
        status=core.Status.OPEN,
        source=source,
        amount_minor=told.amount.minor,
        currency=told.amount.currency,
        reason=told.reason[:60],
        opened_at=now,
    )
    _book(sale, _taken(row), at=now)
    sale.frozen = True
    sale.save(update_fields=["frozen"])
    _hold_handle(sale)
    sale_flow.tell(sale, "chargeback_opened", now=now)
    return row


def _refunds(sale: Sale) -> QuerySet[Payment]:
    """What left for the buyer, or may have left."""
    return sale.payment_set.filter(kind="refund").exclude(state=sales.PaymentState.REFUSED)


def _taken(row: Chargeback) -> ledger.Entry:
    return ledger.charged_back(
        chargeback=row.id,
        amount=row.amount,
        out_of=_account(row),
        provider=row.provider,
        provider_id=row.provider_id,
    )


def _account(row: Chargeback) -> str:
    is_escrow = row.source == core.Source.ESCROW
    return ledger.escrow(str(row.sale_id)) if is_escrow else ledger.RECEIVABLE


def _book(sale: Sale, entry: ledger.Entry, *, at: datetime) -> None:
    books.book(entry, namespace=sale.namespace_id, at=at)


def _hold_handle(sale: Sale) -> None:
    """A handle that was sold and is still with its buyer is not passed on meanwhile."""
    row = sale.handle
    with_buyer = row.account_id == sale.buyer_account_id and term.is_still_with_buyer(sale)
    if sale.state in core.SHARED_OUT and with_buyer:
        row.dispute_open = True
        row.save(update_fields=["dispute_open"])


def _close(sale: Sale, row: Chargeback, status: core.Status, *, now: datetime) -> None:
    row.status, row.closed_at = status, now
    row.save(update_fields=["status", "closed_at"])
    if status is core.Status.WON:
        _book(sale, ledger.reinstated(_taken(row)), at=now)
        sale_flow.tell(sale, "chargeback_won", now=now)
    else:
        _log_end(sale, now=now)
        sale_flow.tell(sale, "chargeback_lost", now=now)
    record.defer("chargeback.follow", lock=f"{sale.id}:chargeback", sale_id=sale.id)


def _log_end(sale: Sale, *, now: datetime) -> None:
    """One leaf a sale: it closed as disputed."""
    lost = sale.chargeback_set.filter(status=core.Status.LOST).count()
    if lost > 1 or sale.state in (sales.State.EXPIRED, sales.State.CANCELLED):
        return
    body = {
        "sale": sale.id,
        "handle": sale.handle.handle,
        "outcome": "disputed",
        "reason": REASON,
    }
    record.log(Event("SaleClosed", sale.id, body), namespace=sale.namespace_id, at=now)


def _thaw(sale: Sale) -> None:
    """Frozen is a sale with a chargeback that is open."""
    is_open = sale.chargeback_set.filter(status=core.Status.OPEN).exists()
    if sale.frozen and not is_open:
        sale.frozen = False
        sale.save(update_fields=["frozen"])
        dispute.thaw_handle(sale)


def follow(*, sale_id: str) -> bool:
    """Do what the bank's last word means for the sale. False: ask again later, something is under
    way whose outcome must be known first.
    """
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        if sale.chargeback_set.filter(status=core.Status.OPEN).exists():
            return True
        if not recovery.losses(sale):
            return _go_on(sale, now=now)
        return _after_loss(sale, now=now)


def _go_on(sale: Sale, *, now: datetime) -> bool:
    """The money is ours again: a refund that the bank had stood in the way of is ordered."""
    if sale.state in core.GIVING_BACK and not _refunds(sale).exists():
        sale_flow.order_refund(sale, now=now)
    return True


def _after_loss(sale: Sale, *, now: datetime) -> bool:
    lost = recovery.losses(sale)
    payout = Payout.objects.filter(sale=sale).first()
    rest = core.rest(lost, gross=sale.gross_minor)
    following = core.after_loss(
        sales.State(sale.state),
        is_whole=not rest,
        payout=sales.PayoutState(payout.state) if payout else None,
        with_buyer=_is_with_buyer(sale)
        and not any(row.recovered_minor for row in rowlocks.chargebacks(one.id for one in lost))
        and (payout is None or _is_whole(payout, sale)),
    )
    match following:
        case core.Next.WAIT:
            return False
        case core.Next.END:
            _end(sale, now=now)
        case core.Next.REFUND_REST:
            _meet_from_escrow(sale, rest=rest, now=now)
        case core.Next.TAKE_BACK:
            _take_back(sale, payout=payout, now=now)
        case core.Next.STAND:
            _stand(sale, now=now)
    return True


def _stand(sale: Sale, *, now: datetime) -> None:
    """The sale stands: the house meets a part of its own sale, a seller's is met by a payout."""
    if sale.state == sales.State.SETTLED and sale_flow.is_of_the_house(sale):
        for entry in recovery.from_revenue([sale], now=now):
            _book(sale, entry, at=now)


def write_off_approved(approval: Approval, now: datetime) -> Mapping[str, Any]:
    """The second person has approved: what is left of a claim is a loss."""
    row, entry = recovery.written_off(approval)
    books.book(entry, namespace=approval.namespace_id, at=now)
    given_up = {"minor": row.written_off_minor, "currency": row.currency}
    return {"id": row.id, "written_off": given_up}


def _is_whole(payout: Payout, sale: Sale) -> bool:
    """Whether it is the seller's, and all of the proceeds still are there to be taken back."""
    return payout.member_id == sale.seller_id and not payout.recovered_minor


def _is_with_buyer(sale: Sale) -> bool:
    """Whether the handle is free to be taken back: with the buyer, and not being sold again."""
    row = sale.handle
    taken = SaleSlot.objects.filter(handle=row).exclude(ref=sale.id).exists()
    mine = row.locked_by in (None, sale.id) and not row.appeal_open
    there = row.account_id == sale.buyer_account_id and term.is_still_with_buyer(sale)
    return mine and not taken and there


def _end(sale: Sale, *, now: datetime) -> None:
    """The handle is not with the buyer, the money is: the bank has refunded the sale."""
    if sale.state == sales.State.COOLING:
        _unlock(sale)
        sale.why, sale.read_back_at = REASON, now
        seen = term.with_whom(sale, holder=sale.handle.account_id)
        sale_flow.write(sale, sales.give_up(sale.snapshot(), holder=seen))
    _meet_from_escrow(sale, rest=0, now=now)


def _meet_from_escrow(sale: Sale, *, rest: int, now: datetime) -> None:
    """What lies in escrow bears the loss, and the `rest` goes back to the buyer. A refund that has
    left, or may have, is its own answer: if it is refused, this is asked for again."""
    if sale.state not in core.GIVING_BACK or _refunds(sale).exists():
        return
    for entry in recovery.from_escrow(sale):
        _book(sale, entry, at=now)
    if rest:
        sale_flow.refund_rest(sale, minor=rest, now=now)
    elif sale.state == sales.State.REFUNDING:
        decided = sales.move(sale.snapshot(), sales.State.REFUNDED)
        sale_flow.finish(sale, decided, why=REASON, now=now)


def _unlock(sale: Sale) -> None:
    sale.handle.locked_by = None
    sale.handle.save(update_fields=["locked_by"])


def _take_back(sale: Sale, *, payout: Payout | None, now: datetime) -> None:
    """The buyer has the money, so the handle goes back; a settlement not paid out is undone."""
    if sale.state == sales.State.SETTLED:
        _undo_settlement(sale, payout=payout, now=now)
    else:
        _reopen(sale)
    if not dispute.is_returning(sale):
        dispute.order_return(sale, now=now)


def _undo_settlement(sale: Sale, *, payout: Payout | None, now: datetime) -> None:
    _book(sale, ledger.reversed_(sale_flow.entry_of(sale)), at=now)
    for entry in recovery.from_escrow(sale):
        _book(sale, entry, at=now)
    if payout is not None:
        payout.state, payout.reason, payout.answered_at = (
            sales.PayoutState.WITHHELD,
            REASON,
            now,
        )
        payout.save()
    held = handle.lock(sale.handle.snapshot(), sale=sale.id)
    sale.handle.locked_by = held.locked_by
    sale.handle.save(update_fields=["locked_by"])
    names.fill_slot(sale.handle, kind="sale", ref=sale.id, instead_of=None, now=now)
    _reopen(sale)


def _reopen(sale: Sale) -> None:
    """Disputed, until a read-back shows the handle where it came from."""
    if sale.state != sales.State.DISPUTED:
        sale_flow.write(sale, sales.move(sale.snapshot(), sales.State.DISPUTED))
    sale.handle.dispute_open = True
    sale.handle.save(update_fields=["dispute_open"])
