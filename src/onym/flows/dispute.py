"""Deciding a dispute: the sale settles after all, or the handle goes back and then the money.

Going back is a transfer like any other: ordered here, asked for by a job, believed on a read-back.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from onym.core import access
from onym.core import chargeback as chargebacks
from onym.core import sale as core
from onym.core import transfer as transfers
from onym.core.errors import AlreadyClosed, InProgress, Malformed, NotAllowed
from onym.core.names import placeholder
from onym.flows import record, recovery, staff, term, transfer
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks
from onym.store.models import Sale, Transfer

OPEN = (transfers.State.PENDING, transfers.State.SENT, transfers.State.UNKNOWN)


def decide(*, sale_id: str, by: str, outcome: str) -> Sale:
    """`settle` pays the seller; `return` brings the handle back, then refunds the buyer.

    Refuses `not_allowed` (also to settle what the buyer's bank has taken back), `malformed`,
    `already_closed` for a sale that is not disputed, and `in_progress` while the handle is on its
    way back or the bank is deciding.
    """
    if outcome not in ("settle", "return"):
        raise Malformed("a dispute is decided by settle or return")
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        staff.expect(by, access.Action.DECIDE_CLAIM, namespace=sale.namespace_id)
        if sale.state != core.State.DISPUTED:
            raise AlreadyClosed(f"the sale is {sale.state}", state=sale.state)
        core.expect_thawed(sale.snapshot())
        if is_returning(sale):
            raise InProgress("the handle is on its way back")
        if outcome == "return":
            order_return(sale, now=now)
        elif not chargebacks.rest(recovery.losses(sale), gross=sale.gross_minor):
            raise NotAllowed("the buyer's bank has taken the money back")
        else:
            sale_flow.settle(sale, core.uphold(sale.snapshot()), now=now)
            thaw_handle(sale)
        return sale


def thaw_handle(sale: Sale) -> None:
    """Its handle may be passed on, unless this or another sale of it is disputed, or was shared out
    and its bank is deciding."""
    open_ = Q(state=core.State.DISPUTED) | Q(frozen=True, state__in=chargebacks.SHARED_OUT)
    row = sale.handle
    if row.dispute_open and not Sale.objects.filter(open_, handle=row).exists():
        row.dispute_open = False
        row.save(update_fields=["dispute_open"])


def _back_to(sale: Sale) -> str:
    return sale.seller_account_id or sale.namespace.custodian_account_id


def is_returning(sale: Sale) -> bool:
    """Whether a move back is ordered and its outcome not known."""
    return bool(sale.transfer_set.filter(to=_back_to(sale), state__in=OPEN).exists())


def order_return(sale: Sale, *, now: datetime) -> None:
    """Have what a disputed sale sold brought back; its money follows the read-back."""
    rules = sale_flow.pinned(sale)
    sale_flow.write(sale, core.send_back(sale.snapshot(), guidelines=rules, now=now))
    row = sale.handle
    fence, id_ = term.next_fence(row), ids.new("trf")
    order = Transfer.objects.create(
        id=id_,
        namespace_id=sale.namespace_id,
        handle=row,
        sale=sale,
        source=sale.buyer_account_id,
        to=_back_to(sale),
        placeholder=placeholder(sale.namespace.profile, sale.buyer_account_id),
        expected_holder=sale.buyer_account_id,
        fence=fence,
        started_at=now,
        **term.ordered(id_, sale, to=sale.seller),
    )
    record.defer("dispute.take_back", lock=order.id, transfer_id=order.id)


def return_late(*, transfer_id: str) -> None:
    """The way back is not answered for long: its job is ordered anew where none is left."""
    with transaction.atomic():
        order = rowlocks.transfer(transfer_id)
        clock.now()
        if order.state in OPEN and not record.ordered("dispute.take_back", locks=[order.id]):
            record.defer("dispute.take_back", lock=order.id, transfer_id=order.id)


def asking(*, transfer_id: str) -> bool:
    """The job is about to ask the platform. False once the outcome is known."""
    with transaction.atomic():
        order = rowlocks.transfer(transfer_id)
        now = clock.now()
        if order.state == transfers.State.PENDING:
            transfer.set_state(order, transfers.State.SENT, now=now)
        return order.state in OPEN


def record_return(*, transfer_id: str, state: transfers.State, holder: str | None) -> bool:
    """What the platform answered and who holds the handle now. True when nothing is left to ask.

    The money goes back only once the platform has answered and the handle is seen where it came
    from: a read alone may be old news. A refused return leaves the sale disputed, for the desk to
    decide anew.
    """
    with transaction.atomic():
        order = rowlocks.transfer(transfer_id)
        now = clock.now()
        sale = order.sale
        if sale is None or sale.state != core.State.DISPUTED or order.state not in OPEN:
            return True
        if holder == order.to and state is not transfers.State.UNKNOWN:
            transfer.set_state(order, transfers.State.DONE, now=now)
            _returned(order, sale, holder=holder, now=now)
            return True
        known = transfers.State.REFUSED if state is transfers.State.REFUSED else None
        transfer.set_state(order, known or transfers.State.UNKNOWN, reason="return", now=now)
        return state is transfers.State.REFUSED


def _returned(order: Transfer, sale: Sale, *, holder: str, now: datetime) -> None:
    order.read_back_account_id, order.read_back_at = holder, now
    order.save(update_fields=["read_back_account_id", "read_back_at"])
    transfer.hand_over(order, holder=holder, now=now)
    sale.read_back_at = now
    sale_flow.give_up(sale, holder=holder, why="dispute_upheld", now=now)
    thaw_handle(sale)
