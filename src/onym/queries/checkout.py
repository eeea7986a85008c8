"""What a job must know to lead a buyer to the provider's own page, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings

from onym.core import checkout
from onym.core.money import Money
from onym.core.sale import PaymentState, funds_arrive_late
from onym.ports.payments import Visit
from onym.store.models import Payment, Sale

ASKED = (PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.ACTION)
Whose = Literal["ours", "not_known", "stray"]


def offered() -> bool:
    """Whether a buyer may enter a card at the provider."""
    return bool(settings.CARD_ENTRY != "methods")


def methods_offered() -> bool:
    """Whether the provider's test methods are offered on our page."""
    return bool(settings.CARD_ENTRY != "checkout")


def visit(payment_id: str) -> Visit:
    """What the page is asked for; the same at each time of asking."""
    row = Payment.objects.select_related("sale__handle", "sale__buyer").get(pk=payment_id)
    sale, until = row.sale, row.checkout_until
    if until is None:
        raise LookupError(f"{payment_id} is paid without a page")
    mail = sale.buyer.mailaddress_set.filter(replaced_at=None).order_by("-id").first()
    back = f"{settings.BASE_URL}/sales/{sale.id}"
    return Visit(
        key=row.id,
        amount=Money(row.amount_minor, row.currency),
        sale_id=sale.id,
        title=f"@{sale.handle.display}",
        until=int(until.timestamp()),
        success_url=f"{back}/returned",
        cancel_url=f"{back}/left",
        language=sale.buyer.language,
        mail=mail.address if mail else "",
    )


def is_wanted(payment_id: str) -> bool:
    """Whether the sale still waits for this payment: then what was agreed to is taken."""
    row = Payment.objects.select_related("sale").get(pk=payment_id)
    return row.state in ASKED and not funds_arrive_late(row.sale.snapshot())


@dataclass(frozen=True, slots=True)
class Opened:
    """The page of one payment; without `url` while it is not known, or no longer open."""

    state: str
    reason: str
    url: str
    expires_at: datetime | None


def opened(payment_id: str) -> Opened:
    """How the page stands, for whoever waits for it."""
    row = Payment.objects.get(pk=payment_id)
    return Opened(row.state, row.reason, row.action_url, row.checkout_until)


def address(sale_id: str, *, buyer: str) -> str:
    """The page that the sale's buyer is led to; empty if there is none, and for anybody else."""
    rows = Payment.objects.filter(
        sale_id=sale_id, sale__buyer_id=buyer, method=checkout.METHOD, state__in=ASKED
    )
    return rows.values_list("action_url", flat=True).first() or ""


def whose(*, sale_id: str, intent_id: str) -> Whose:
    """Whether a payment that the provider tells of is one of the sale's that is open or paid.

    `not_known`: it may belong to a page that is still being asked about.
    """
    rows = Payment.objects.filter(sale_id=sale_id, kind="charge")
    living = list(rows.filter(state__in=(*ASKED, PaymentState.PAID)))
    if any(row.provider_id == intent_id for row in living):
        return "ours"
    waits = any(row.method == checkout.METHOD and row.provider_id is None for row in living)
    return "not_known" if waits else "stray"


def price(sale_id: str) -> tuple[str, Money]:
    """The sale's namespace, and what its buyer pays."""
    row = Sale.objects.get(pk=sale_id)
    return row.namespace_id, row.money("gross")
