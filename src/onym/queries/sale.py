"""Sales as their parties see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.core.sale import LIVE, PaymentState, State
from onym.store.models import Payment, Payout, Sale

AMOUNTS = ("price", "gross", "commission", "proceeds", "fee", "tax", "share")


def sale(sale_id: str, *, viewer: str, staff_of: str = "") -> dict[str, Any]:
    """One sale. Whoever is no party and no staff of its namespace finds nothing."""
    row = Sale.objects.select_related("handle").filter(pk=sale_id).first()
    if row is None or not (row.namespace_id == staff_of or viewer in (row.buyer_id, row.seller_id)):
        raise NotFound("no such sale")
    return view(row) | ({"action_url": _action(row)} if viewer == row.buyer_id else {})


def _action(row: Sale) -> str | None:
    """Where the buyer must confirm the payment under way, if that is what the sale waits for."""
    if row.state != State.FUNDING:
        return None
    waiting = row.payment_set.filter(kind="charge", state=PaymentState.ACTION)
    found: str | None = waiting.values_list("action_url", flat=True).first()
    return found or None


def sales(
    namespace: str, *, viewer: str, is_staff: bool, after: str, limit: int
) -> Mapping[str, Any]:
    """A member's own sales, or all of them for staff; the latest first."""
    rows = Sale.objects.select_related("handle").filter(namespace_id=namespace)
    if not is_staff:
        rows = rows.filter(Q(buyer_id=viewer) | Q(seller_id=viewer))
    if after:
        rows = rows.filter(id__lt=after)
    found = list(rows.order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def of_member(namespace: str, *, member: str, limit: int = 200) -> dict[str, list[dict[str, Any]]]:
    """A member's own sales, the latest first: `bought` and `sold`, each with its payout if any."""
    rows = Sale.objects.select_related("handle", "payout").filter(namespace_id=namespace)
    found = rows.filter(Q(buyer_id=member) | Q(seller_id=member)).order_by("-id")[:limit]
    sides: dict[str, list[dict[str, Any]]] = {"bought": [], "sold": []}
    for row in found:
        seen = view(row) | {"is_live": row.state in LIVE, "payout": _payout(row)}
        sides["bought" if row.buyer_id == member else "sold"].append(seen)
    return sides


def _payout(row: Sale) -> dict[str, Any] | None:
    paid: Payout | None = getattr(row, "payout", None)
    if paid is None:
        return None
    amount = Money(paid.amount_minor, paid.currency)
    return {"state": paid.state, "amount": amount, "due_at": paid.due_at, "at": paid.answered_at}


def view(row: Sale) -> dict[str, Any]:
    """The shape of `GET /sales/{id}`."""
    read_back = None
    if row.read_back_at is not None:
        read_back = {"account_id": row.read_back_account_id, "at": row.read_back_at}
    return {
        "id": row.id,
        "handle": row.handle.handle,
        "kind": row.kind,
        "mechanism": row.mechanism,
        "term": row.term,
        "consented_at": row.consented_at,
        "state": row.state,
        "frozen": row.frozen,
        "buyer": row.buyer_id,
        "seller": row.seller_id,
        **{name: row.money(name) for name in AMOUNTS},
        "agreed_at": row.agreed_at,
        "clocks": {
            "funding": row.funding_until,
            "cooling": row.cooling_until,
            "delivery": row.delivery_until,
            "inspection": row.inspection_until,
        },
        "versions": row.versions,
        "why": row.why or None,
        "read_back": read_back,
        "receipt": f"/sales/{row.id}/receipt.tlog-proof",
        "action_url": None,
    }


def payment(payment_id: str) -> tuple[str, str]:
    """State and reason of one payment, for whoever waits for the provider's answer."""
    row = Payment.objects.only("state", "reason").get(pk=payment_id)
    return row.state, row.reason


def waits_for_buyer(sale_id: str) -> bool:
    """Whether a payment of the sale still waits for the buyer's word at the bank."""
    waiting = Payment.objects.filter(sale_id=sale_id, kind="charge", state=PaymentState.ACTION)
    return waiting.exists()


def is_asked_for(sale_id: str) -> bool:
    """Whether a payment of the sale is ordered and the provider has not been heard yet."""
    asked = Payment.objects.filter(sale_id=sale_id, kind="charge", state=PaymentState.PENDING)
    return asked.exists()


def refunded(sale_id: str) -> bool:
    """Whether the buyer's money has left again."""
    return Payment.objects.filter(sale_id=sale_id, kind="refund", state="done").exists()


def paying(sale_id: str) -> tuple[str, str, str] | None:
    """State, reason and method of the sale's last charge, as its page tells; None before any."""
    rows = Payment.objects.filter(sale_id=sale_id, kind="charge").order_by("-id")
    found: tuple[str, str, str] | None = rows.values_list("state", "reason", "method").first()
    return found
