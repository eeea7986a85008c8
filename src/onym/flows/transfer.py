"""Moving a handle on the platform: order, last look, answer, read-back; each a flow of its own."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.db import transaction
from django.db.models import F, Q

from onym import ports
from onym.core import handle
from onym.core import sale as sales
from onym.core import term as core_term
from onym.core import transfer as core
from onym.core.errors import PlatformUnavailable
from onym.core.events import Event, instant
from onym.core.names import canon, is_handle, placeholder
from onym.core.term import Term
from onym.flows import (
    hook,
    invitation,
    listing,
    names,
    offer,
    record,
    remedy,
    standing,
    term,
    waiting,
)
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks
from onym.store.models import Handle, Listing, Sale, Tenure, Transfer

SIGNS = ("last_login_at", "last_post_at", "last_api_at", "last_payment_at")
"""The account table's signs of activity."""


def start(sale: Sale, *, row: Handle, to: str, now: datetime) -> Transfer:
    """Order the move of `row` (locked by the caller) to account `to`, for whom the sale waits."""
    fence, id_ = term.next_fence(row), ids.new("trf")
    transfer = Transfer.objects.create(
        id=id_,
        namespace_id=sale.namespace_id,
        handle=row,
        sale=sale,
        source=row.account_id,
        to=to,
        placeholder=placeholder(sale.namespace.profile, row.account_id or to),
        expected_holder=row.account_id,
        fence=fence,
        started_at=now,
        **term.ordered(id_, sale, to=sale.buyer),
    )
    record.defer("transfer.move", lock=transfer.id, transfer_id=transfer.id)
    return transfer


def set_state(transfer: Transfer, to: core.State, *, reason: str = "", now: datetime) -> None:
    """Write a step of the table; a step that the table lacks is refused."""
    snapshot = core.Transfer(
        id=transfer.id,
        source=transfer.source,
        to=transfer.to,
        expected_holder=transfer.expected_holder,
        fence=transfer.fence,
        state=core.State(transfer.state),
    )
    transfer.state = core.move(snapshot, to).state
    transfer.reason, transfer.answered_at = reason[:80], now
    transfer.save()


def hand_over(transfer: Transfer, *, holder: str, now: datetime) -> None:
    """A read-back shows the new holder: row, tenure and log say so from this transaction on."""
    row = transfer.handle
    before = row.account_id
    if before == holder and transfer.hands_to is None:
        return
    change_holder(row, to=holder, cause=_cause(transfer), now=now)
    term.hand(transfer, now=now)
    hook.order(row, before=before, about=transfer.id, now=now)
    record.log(
        _read_back_event(transfer, before=before, after=holder),
        namespace=row.namespace_id,
        at=now,
    )
    if transfer.vacated:
        record.defer("transfer.retain", lock=transfer.id, transfer_id=transfer.id)


def _cause(transfer: Transfer) -> str:
    if transfer.sale is None:
        return "granted"
    return "appeal" if _is_return(transfer.sale) else transfer.sale.kind


def _is_return(sale: Sale) -> bool:
    """Whether an appeal was right, so that the sale's handle is on its way back."""
    return bool(sale.state == sales.State.RETURNING)


def change_holder(row: Handle, *, to: str | None, cause: str, now: datetime) -> None:
    """Close the open tenure and open the next; what was keyed by the handle's text ends (H8)."""
    Tenure.objects.filter(handle=row, held_to=None).update(held_to=now)
    if to is not None:
        Tenure.objects.create(handle=row, account_id=to, held_from=now, cause=cause)
    row.account_id = to
    row.minimum_offer_minor = None
    row.may_not_sell_until = None
    row.changed_hands_at = row.touched_at = now
    row.save()
    _leave_market(row, now=now)
    _lead_nobody_astray(row)
    if to is None:
        waiting.tell(row, since=f"{now:%Y%m%dT%H%M%S}", now=now)


def _lead_nobody_astray(row: Handle) -> None:
    """Handles that lead to this one belonged to whoever holds it no longer: they lead nowhere."""
    leading = Handle.objects.filter(namespace_id=row.namespace_id, redirect_to=row.handle)
    leading.exclude(retained_for=row.account_id).update(redirect_to=None)


def _leave_market(row: Handle, *, now: datetime) -> None:
    """What the last holder offered, or was offered, ends with the tenure."""
    open_ = Listing.objects.filter(handle=row, state="open").first()
    if open_ is not None:
        listing.close(row, now=now)
        names.free_slot(row, ref=open_.id)
    offer.close_for(row, now=now)
    invitation.close_for(row, why="sold", now=now)


def _read_back_event(transfer: Transfer, *, before: str | None, after: str) -> Event:
    body: dict[str, object] = {
        "handle": transfer.handle.handle,
        "holder_before": before,
        "holder_after": after,
        "transfer": transfer.id,
    }
    if transfer.sale_id:
        body["sale"] = transfer.sale_id
    if transfer.hands_to_id is not None:
        body |= {"term": Term.ACCOUNT.value, "wiped": list(wiped(transfer))}
    last = _last_delivered(transfer)
    if last is not None:
        body["previous_ref"] = last.id
    else:
        body |= _import_path(transfer)
    return Event("TransferReadBack", transfer.id, body)


def wiped(order: Transfer) -> tuple[str, ...]:
    """What the platform destroys with this hand-over of an account, beside its sessions."""
    sale = order.sale
    if sale is None or order.hands_to_id != sale.buyer_id:
        return ()
    return core_term.wiped(is_primary=sale.kind == sales.Kind.PRIMARY)


def _last_delivered(transfer: Transfer) -> Transfer | None:
    """The hand-over before this one, unless an import has told since who holds what."""
    earlier = Transfer.objects.filter(
        handle=transfer.handle, fence__lt=transfer.fence, read_back_account_id=F("to")
    )
    since = names.imported_at(transfer.namespace_id)
    if since is not None:
        earlier = earlier.filter(read_back_at__gt=since)
    return earlier.order_by("-fence").first()


def _import_path(transfer: Transfer) -> dict[str, object]:
    """Where the handle stands in the last import's root, for its first transfer."""
    path = names.import_path(namespace=transfer.namespace_id, handle=transfer.handle.handle)
    return {"imported": path} if path else {}


def look(
    *,
    transfer_id: str,
    holder: str | None,
    last_seen: datetime | None,
    vacated: str | None,
    retains: bool = True,
    unfit: str = "",
) -> core.Look:
    """The last look's answers: mark the transfer as sent, or give the sale up.

    `vacated` is the name that the buyer's account goes by now and gives up, `retains` whether the
    platform can keep it; `unfit` why an account that is sold whole may not change hands.
    """
    with transaction.atomic():
        row = rowlocks.transfer(transfer_id)
        now = clock.now()
        sale = row.sale
        if row.state != core.State.PENDING or sale is None:
            return core.Look.GO if row.state in ASKED else core.Look.WAIT
        verdict = core.last_look(
            holder=holder,
            expected_holder=row.expected_holder,
            to=row.to,
            last_seen=last_seen,
            known_last_seen=last_known(sale),
            funded_at=sale.funded_at if _may_return(sale) else None,
            is_over=sale.delivery_until is not None and now >= sale.delivery_until,
            unfit="" if row.hands_to is None else unfit,
        )
        if verdict is core.Look.GO and _gives_up_a_locked_one(row):
            verdict = core.Look.WAIT
        if verdict is core.Look.GO:
            row.vacated = None if row.hands_to else _handle_of(vacated, row.namespace.profile)
            row.retains = retains
            set_state(row, core.State.SENT, now=now)
        elif verdict is core.Look.THERE:
            _was_there(row, sale, holder=row.to, now=now)
        elif verdict is not core.Look.WAIT:
            _abandon(row, sale, verdict, holder=holder, now=now)
        return verdict


def _was_there(row: Transfer, sale: Sale, *, holder: str, now: datetime) -> None:
    """The platform was never asked: what its own ways have brought about is as good."""
    set_state(row, core.State.SENT, reason=core.Look.THERE.value, now=now)
    row.read_back_account_id, row.read_back_at = holder, now
    sale.read_back_at = now
    _arrived(row, sale, now=now)


def _abandon(
    row: Transfer, sale: Sale, verdict: core.Look, *, holder: str | None, now: datetime
) -> None:
    set_state(row, core.State.ABANDONED, reason=verdict.value, now=now)
    sale.read_back_at = now
    why = "not_delivered" if verdict is core.Look.LATE else f"holder_{verdict.value}"
    _end(row, sale, holder=holder, why=why, now=now)
    if verdict in (core.Look.RETURNED, core.Look.GONE):
        _recognise(sale.handle, holder=holder, now=now)


def _handle_of(name: str | None, profile: str) -> str | None:
    """A name of the platform's as a handle here: one that cannot be is nobody's business."""
    return canon(name, profile) if name is not None and is_handle(name, profile) else None


def _may_return(sale: Sale) -> bool:
    """Whether the account that loses the handle may still win it back by a sign of life."""
    return bool(sale.seller.is_house) and not _is_return(sale)


def _end(row: Transfer, sale: Sale, *, holder: str | None, why: str, now: datetime) -> None:
    """The move will not happen: the buyer's money goes back, or stays where it was settled."""
    term.forget_address(row)
    if not _is_return(sale):
        sale_flow.give_up(sale, holder=holder, why=why, now=now)
    else:
        remedy.left_sold(sale, why=why, now=now)


def _gives_up_a_locked_one(row: Transfer) -> bool:
    """Whether the buyer's account holds a handle in escrow, or is about to be given one, which
    would then go with this move (H6). Moves to one account are looked at one after the other.
    """
    if row.hands_to is not None:
        return False
    rowlocks.account(namespace=row.namespace_id, account_id=row.to)
    held = Handle.objects.filter(namespace_id=row.namespace_id, account_id=row.to)
    if held.filter(locked_by__isnull=False).exists():
        return True
    others = Transfer.objects.filter(namespace_id=row.namespace_id, to=row.to).exclude(pk=row.pk)
    coming = Q(sale__state__in=DELIVERING) | Q(
        sale__state=sales.State.RETURNING, sale__seller_account_id=row.to
    )
    return others.filter(coming, state__in=MOVING).exists()


MOVING = (core.State.SENT, core.State.UNKNOWN, core.State.DONE)
ASKED = (core.State.SENT, core.State.UNKNOWN)


def _recognise(row: Handle, *, holder: str | None, now: datetime) -> None:
    """The platform says who holds the handle: the market writes down what is already so."""
    row.state = handle.State.HELD if holder else handle.State.FREE
    before = row.account_id
    if before != holder:
        change_holder(row, to=holder, cause="platform", now=now)
        hook.order(row, before=before, about=f"{row.id}-{now:%Y%m%dT%H%M%S%f}", now=now)
    row.save()


def last_known(sale: Sale) -> datetime | None:
    """The latest sign of activity that the sale's handle was released on."""
    known = names.directory(sale.namespace_id)
    account = known.by_account(sale.seller_account_id) if known and sale.seller_account_id else None
    seen = [account[sign] for sign in SIGNS if account.get(sign)] if account else []
    known_at = standing.swept_at(sale.handle, sale.seller_account_id)
    # A login that a later import brought is news: it is not what the handle was released on.
    return min(max(seen), known_at) if seen and known_at else max(seen, default=None)


def record_move(*, transfer_id: str, state: core.State, reason: str = "") -> None:
    """What the platform said of a move. Unknown is a state of the sale, too."""
    with transaction.atomic():
        row = rowlocks.transfer(transfer_id)
        now = clock.now()
        if core.State(row.state) in core.FINAL:
            return
        set_state(row, state, reason=reason, now=now)
        sale = row.sale
        if state is core.State.UNKNOWN and sale and sale.state == sales.State.DELIVERING:
            sale_flow.write(sale, sales.move(sale.snapshot(), sales.State.DELIVERY_UNKNOWN))


def record_read_back(*, transfer_id: str, holder: str | None) -> bool:
    """Who holds the handle now, as the platform says. True when nothing is left to be asked.

    The buyer does: the handle has moved and inspection begins. Somebody else does: once the
    platform has refused the move, or time is over and the fence is raised, the money goes back.
    """
    with transaction.atomic():
        row = rowlocks.transfer(transfer_id)
        now = clock.now()
        sale = row.sale
        if sale is None or not sales.awaits(sale.snapshot(), to=row.to):
            return True
        row.read_back_account_id, row.read_back_at = holder, now
        row.save()
        sale.read_back_at = now
        follows = core.after_read_back(
            holder=holder,
            to=row.to,
            state=core.State(row.state),
            answered_at=row.answered_at,
            delivery_until=sale.delivery_until,
            bar=row.bar(),
            now=now,
        )
        if follows is core.Next.DELIVERED:
            _arrived(row, sale, now=now)
        elif follows is core.Next.BAR:
            _order_bar(row, holder=holder)
        elif follows is core.Next.GIVE_UP:
            _end(row, sale, holder=holder, why=_why(row), now=now)
            if row.hands_to is None and holder != row.expected_holder:
                _recognise(sale.handle, holder=holder, now=now)
        return follows in (core.Next.DELIVERED, core.Next.GIVE_UP)


def _why(row: Transfer) -> str:
    """A platform without an atomic move says when somebody came between its two steps."""
    return row.reason if row.reason == "taken_between" else "not_delivered"


def _order_bar(row: Transfer, *, holder: str | None) -> None:
    """A fence above the move's, for the job to raise on the platform before it reads again."""
    row.bar_fence, row.bar_holder, row.bar_done = term.next_fence(row.handle), holder, None
    row.save(update_fields=["bar_fence", "bar_holder", "bar_done"])


def record_bar(*, transfer_id: str, fence: int, done: bool) -> None:
    """What the platform said of the bar with this fence; of an older one nothing is kept."""
    with transaction.atomic():
        row = rowlocks.transfer(transfer_id)
        if row.bar_fence == fence and row.bar_done is None:
            row.bar_done = done
            row.save(update_fields=["bar_done"])


DELIVERING = (sales.State.DELIVERING, sales.State.DELIVERY_UNKNOWN)


def _arrived(row: Transfer, sale: Sale, *, now: datetime) -> None:
    if row.state != core.State.DONE:
        set_state(row, core.State.DONE, now=now)
    if _is_return(sale):
        _returned(row, sale, holder=row.to, now=now)
    else:
        _delivered(row, sale, holder=row.to, now=now)


def _returned(row: Transfer, sale: Sale, *, holder: str, now: datetime) -> None:
    hand_over(row, holder=holder, now=now)
    row.handle.state = handle.State.HELD
    row.handle.save()
    remedy.returned(sale, holder=holder, now=now)


def _delivered(row: Transfer, sale: Sale, *, holder: str, now: datetime) -> None:
    rules = sale_flow.pinned(sale)
    decided = sales.read_back(sale.snapshot(), holder=holder, guidelines=rules, now=now)
    sale_flow.write(sale, decided)
    hand_over(row, holder=holder, now=now)
    row.handle.state = handle.State.HELD
    row.handle.save()
    until = cast(datetime, sale.inspection_until)
    sale_flow.tell(sale, "sale_delivered", now=now, until_at=instant(until))


def cooled(*, sale_id: str) -> None:
    """Cooling-off is over: delivery begins. Early or repeated calls do nothing."""
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        if sale.state != sales.State.COOLING or now < (sale.cooling_until or now):
            return
        rules = sale_flow.pinned(sale)
        sale_flow.write(sale, sales.cool(sale.snapshot(), guidelines=rules, now=now))
        start(sale, row=sale.handle, to=sale.buyer_account_id, now=now)


def look_while_cooling(*, sale_id: str, by: str) -> None:
    """Before a party calls a sale off: whom the platform names as holder is written down, so that
    no money goes back to who has the handle already. No answer changes nothing.

    Outside every transaction.
    """
    found = Sale.objects.select_related("handle").filter(pk=sale_id, term=Term.HANDLE).first()
    if found is None or found.state != sales.State.COOLING:
        return
    if by not in (found.buyer_id, found.seller_id):
        return
    try:
        told = ports.platform(found.namespace_id).holder(handle=found.handle.handle)
    except PlatformUnavailable:
        return
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        if sale.state == sales.State.COOLING:
            sale.read_back_account_id, sale.read_back_at = told.account_id, now
            sale.save(update_fields=["read_back_account_id", "read_back_at"])


def delivery_over(*, sale_id: str) -> None:
    """Time to deliver, or to give back, is over: the platform is asked at once. What was never
    asked for is abandoned on its answer, and the money goes back, or stays; what was asked for
    must be known first.
    """
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        is_under_way = sale.state in DELIVERING or _is_return(sale)
        if not is_under_way or now < (sale.delivery_until or now):
            return
        last = sale.transfer_set.order_by("fence").last()
        if last is not None:
            record.hasten("transfer.move", lock=last.id, transfer_id=last.id)
