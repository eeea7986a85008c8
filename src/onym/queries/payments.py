"""What a job must know to ask the provider about a payment or a payout, and a member of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from onym.core.money import Money
from onym.store.models import Payment, Payout, PayoutAccount, Sale


@dataclass(frozen=True, slots=True)
class Order:
    """`key` names the request at the provider for ever; `provider_id` once it is known.

    `return_url` is where the buyer comes back to after a confirmation at the bank.
    """

    key: str
    namespace: str
    sale: str
    kind: str
    state: str
    amount: Money
    method: str
    provider_id: str | None
    return_url: str = ""


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
        return_url=f"{settings.BASE_URL}/sales/{row.sale_id}/returned",
    )


def charged_intent(sale_id: str) -> str:
    """The provider's id of the charge that a refund gives back."""
    paid = Payment.objects.filter(sale_id=sale_id, kind="charge", state="paid")
    found = paid.values_list("provider_id", flat=True).first()
    if found is None:
        raise LookupError(f"{sale_id} was never paid")
    return found


def paid_intents(sale_id: str) -> tuple[str, list[str]]:
    """The sale's namespace, and the provider's ids of the payments that were captured for it."""
    place = Sale.objects.values_list("namespace_id", flat=True).get(pk=sale_id)
    paid = Payment.objects.filter(sale_id=sale_id, kind="charge", state="paid")
    return place, [id_ for id_ in paid.values_list("provider_id", flat=True) if id_]


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """A payout and the connected account that it goes to: the one that the provider was asked with,
    for what became of that is known to nobody else; None while there is none.

    `sale` is what it is for: the payout itself where it leaves a wallet.
    """

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
        key=row.key,
        namespace=row.place,
        sale=row.about,
        state=row.state,
        amount=row.amount,
        account=row.account or (account.account if account and account.ready_at else None),
    )


@dataclass(frozen=True, slots=True)
class AccountOrder:
    """What the provider must be told to make or to look at a member's account."""

    namespace: str
    account: str
    mail: str


def account_order(member: str) -> AccountOrder:
    """`account` is empty before there is one; `mail` is the member's latest address."""
    row = PayoutAccount.objects.select_related("member").get(pk=member)
    mail = row.member.mailaddress_set.filter(replaced_at=None).order_by("-id").first()
    return AccountOrder(row.member.namespace_id, row.account, mail.address if mail else "")


@dataclass(frozen=True, slots=True)
class PayoutPlace:
    """Where a member's proceeds go to; not ready: the provider still wants to know something.

    `made` is false while the provider is being asked for it. `missing` and `why_not` are the
    provider's own words.
    """

    provider: str
    ready: bool
    made: bool
    missing: tuple[str, ...]
    why_not: str
    account: str


def payout_place(member: str) -> PayoutPlace | None:
    """None: the member has set none up, or it is gone, and proceeds wait."""
    row = PayoutAccount.objects.filter(pk=member).first()
    if row is None or (not row.account and row.why_not):
        return None
    return PayoutPlace(
        provider=row.provider,
        ready=row.ready_at is not None,
        made=bool(row.account),
        missing=tuple(row.missing),
        why_not=row.why_not,
        account=row.account,
    )


def looked_at(member: str) -> datetime | None:
    """When the provider last told how the member's account stands."""
    rows = PayoutAccount.objects.filter(pk=member)
    found: datetime | None = rows.values_list("looked_at", flat=True).first()
    return found


def payouts(member: str, *, limit: int = 100) -> list[Payout]:
    """A member's payouts of sales, with the sale and its handle, the latest first."""
    rows = Payout.objects.filter(member_id=member, sale__isnull=False)
    rows = rows.select_related("sale__handle")
    return list(rows.order_by("-id")[:limit])
