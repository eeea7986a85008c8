"""What a job must know to ask the provider about a payment or a payout, and a member of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from onym.core.money import Money
from onym.store.models import Payment, Payout, PayoutAccount


@dataclass(frozen=True, slots=True)
class Order:
    """`key` names the request at the provider for ever; `provider_id` once it is known."""

    key: str
    namespace: str
    sale: str
    kind: str
    state: str
    amount: Money
    method: str
    provider_id: str | None


def order(payment_id: str) -> Order:
    """One charge or refund."""
    row = Payment.objects.select_related("sale").get(pk=payment_id)
    return Order(
        key=row.id,
        namespace=row.sale.namespace_id,
        sale=row.sale_id,
        kind=row.kind,
        state=row.state,
        amount=Money(row.amount_minor, row.currency),
        method=row.method,
        provider_id=row.provider_id,
    )


def charged_intent(sale_id: str) -> str:
    """The provider's id of the charge that a refund gives back."""
    paid = Payment.objects.filter(sale_id=sale_id, kind="charge", state="paid")
    found = paid.values_list("provider_id", flat=True).first()
    if found is None:
        raise LookupError(f"{sale_id} was never paid")
    return found


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A payout and the connected account that it goes to, None while there is none."""

    key: str
    namespace: str
    sale: str
    state: str
    amount: Money
    account: str | None


def payout_order(payout_id: str) -> PayoutOrder:
    """One payout."""
    row = Payout.objects.select_related("sale", "member__payoutaccount").get(pk=payout_id)
    account = getattr(row.member, "payoutaccount", None)
    return PayoutOrder(
        key=row.id,
        namespace=row.sale.namespace_id,
        sale=row.sale_id,
        state=row.state,
        amount=Money(row.amount_minor, row.currency),
        account=account.account if account and account.ready_at else None,
    )


@dataclass(frozen=True, slots=True)
class PayoutPlace:
    """Where a member's proceeds go to; not ready: the provider still wants to know something."""

    provider: str
    ready: bool


def payout_place(member: str) -> PayoutPlace | None:
    """None: the member has set none up, and proceeds wait."""
    row = PayoutAccount.objects.filter(pk=member).first()
    return PayoutPlace(row.provider, row.ready_at is not None) if row else None
