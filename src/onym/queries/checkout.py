"""What a job must know to lead somebody to the provider's own page, and what came of it.

A buyer is led there for a sale, a member for a deposit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

from onym.core import checkout
from onym.core.money import Money
from onym.core.sale import PaymentState, funds_arrive_late
from onym.ports.payments import Visit
from onym.store.models import Deposit, Member, Payment, Sale

ASKED = (PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.ACTION)
Whose = Literal["ours", "not_known", "stray"]


def offered() -> bool:
    """Whether a card may be entered at the provider."""
    return bool(settings.CARD_ENTRY != "methods")


def methods_offered() -> bool:
    """Whether the provider's test methods are offered on our page."""
    return bool(settings.CARD_ENTRY != "checkout")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the provider's. `is_wanted`: whether what is agreed to there would be taken;
    `takes` decides it, once somebody has agreed. May refuse `screening_stale`.
    """

    namespace: str
    visit: Visit
    provider_id: str | None
    checkout_id: str
    is_wanted: Callable[[], bool]
    takes: Callable[[], bool]


def of_sale(payment_id: str) -> Page:
    """The page of a payment of a sale; the same visit at each time of asking."""
    row = Payment.objects.select_related("sale").get(pk=payment_id)
    return Page(
        namespace=row.sale.namespace_id,
        visit=visit(payment_id),
        provider_id=row.provider_id,
        checkout_id=row.checkout_id,
        is_wanted=lambda: is_wanted(payment_id),
        takes=lambda: is_wanted(payment_id),
    )


def of_deposit(deposit_id: str, *, takes: Callable[[], bool]) -> Page:
    """The page of a deposit, which is wanted while the deposit waits for it."""
    row = Deposit.objects.select_related("member", "namespace").get(pk=deposit_id)
    back = f"{settings.BASE_URL}/wallet"
    with translation.override(row.member.language or "en"):
        title = f"{gettext('Wallet')} · {row.namespace.title}"
    return Page(
        namespace=row.namespace_id,
        visit=Visit(
            key=row.id,
            amount=row.amount,
            sale_id=row.id,
            title=title,
            until=int(row.gives_up_at.timestamp()),
            success_url=f"{back}/returned",
            cancel_url=f"{back}/left",
            language=row.member.language,
            mail=_mail(row.member),
        ),
        provider_id=row.provider_id,
        checkout_id=row.checkout_id,
        is_wanted=lambda: Deposit.objects.filter(pk=deposit_id, state__in=ASKED).exists(),
        takes=takes,
    )


def _mail(member: Member) -> str:
    row = member.mailaddress_set.filter(replaced_at=None).order_by("-id").first()
    return row.address if row else ""


def visit(payment_id: str) -> Visit:
    """What the page of a sale is asked for; the same at each time of asking."""
    row = Payment.objects.select_related("sale__handle", "sale__buyer").get(pk=payment_id)
    sale, until = row.sale, row.checkout_until
    if until is None:
        raise LookupError(f"{payment_id} is paid without a page")
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
        mail=_mail(sale.buyer),
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


def address_of_deposit(deposit_id: str, *, member: str) -> str:
    """The page that its member is led to; empty if there is none, and for anybody else."""
    rows = Deposit.objects.filter(
        pk=deposit_id, member_id=member, method=checkout.METHOD, state__in=ASKED
    )
    return rows.values_list("action_url", flat=True).first() or ""


def whose(*, sale_id: str, intent_id: str) -> Whose:
    """Whether a payment that the provider tells of is one of the sale's that is open or paid, or
    the one of a deposit, which is its own sale there.

    `not_known`: it may belong to a page that is still being asked about.
    """
    live = (*ASKED, PaymentState.PAID)
    living: list[Payment | Deposit] = [
        *Payment.objects.filter(sale_id=sale_id, kind="charge", state__in=live),
        *Deposit.objects.filter(pk=sale_id, state__in=live),
    ]
    if any(row.provider_id == intent_id for row in living):
        return "ours"
    waits = any(row.method == checkout.METHOD and row.provider_id is None for row in living)
    return "not_known" if waits else "stray"


def price(sale_id: str) -> tuple[str, Money]:
    """The namespace of a sale and what its buyer pays; of a deposit, what is put in."""
    put = Deposit.objects.filter(pk=sale_id).first()
    if put is not None:
        return put.namespace_id, put.amount
    row = Sale.objects.get(pk=sale_id)
    return row.namespace_id, row.money("gross")
