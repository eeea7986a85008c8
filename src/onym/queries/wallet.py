"""A member's wallet: what is in it, what is held of it, and everything that moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import CharField, F, OuterRef, Q, QuerySet, Subquery, Sum, Window
from django.db.models.functions import Coalesce

from onym.core.errors import NotFound
from onym.core.money import Money
from onym.core.people import SECURITY_DELAY
from onym.queries.ground import Ground
from onym.store.models import BookAccount, Deposit, Hold, Member, Payout, Posting, Sale

PARTS = ("available", "held")


@dataclass(frozen=True, slots=True)
class Order:
    """What a job must know to ask the provider about a deposit; `key` names it there for ever."""

    key: str
    namespace: str
    state: str
    amount: Money
    method: str
    provider_id: str | None
    return_url: str


def order(deposit_id: str) -> Order:
    """One deposit."""
    row = Deposit.objects.get(pk=deposit_id)
    return Order(
        key=row.id,
        namespace=row.namespace_id,
        state=row.state,
        amount=row.amount,
        method=row.method,
        provider_id=row.provider_id,
        return_url=f"{settings.BASE_URL}/wallet/returned",
    )


def balances(looked: Ground, member: str, *, takes: bool) -> dict[str, Any]:
    """`available`, `held`, and whether proceeds go there, as `places` told."""
    codes = {f"member:{member}:{part}": part for part in PARTS}
    rows = BookAccount.objects.filter(namespace=looked.place, code__in=codes)
    found = dict.fromkeys(PARTS, Money(0, looked.place.currency))
    for code, minor, currency in rows.values_list("code", "balance_minor", "currency"):
        found[codes[code]] = Money(minor or 0, currency)
    return {"currency": looked.place.currency, **found, "takes_proceeds": takes}


def places(member: str) -> dict[str, Any]:
    """Where money goes: whether proceeds go to the wallet (`takes`), the last letters of the
    account at a bank (`ends_in`), and whether the one at the provider is `ready`.
    """
    row = Member.objects.filter(pk=member).values(
        "wallet__takes_proceeds", "bankaccount__ends_in", "payoutaccount__ready_at"
    )
    found = row.get()
    return {
        "takes": bool(found["wallet__takes_proceeds"]),
        "ends_in": found["bankaccount__ends_in"],
        "ready": found["payoutaccount__ready_at"] is not None,
    }


def history(member: str, *, after: str, limit: int) -> Mapping[str, Any]:
    """What moved in or out of what may be used, the latest first, with the balance after it, and
    the sale that it is about with its handle; a hold and a payout name theirs by a row.
    """
    mine = Posting.objects.filter(account__code=f"member:{member}:available")
    ref = OuterRef("entry__ref")
    about = Coalesce(
        Subquery(Hold.objects.filter(pk=ref, kind="sale").values("subject")[:1]),
        Subquery(Payout.objects.filter(pk=ref).values("sale_id")[:1]),
        Subquery(Sale.objects.filter(pk=ref).values("id")[:1]),
        output_field=CharField(),
    )
    rows: QuerySet[Any] = mine.annotate(
        after=Window(Sum("minor"), order_by=F("id").asc()), about=about
    )
    named = Sale.objects.filter(pk=OuterRef("about")).values("handle__handle")
    rows = rows.annotate(handle=Subquery(named[:1]))
    if after:
        rows = rows.filter(id__lt=_number(after))  # the sums are of what came before
    kept = list(rows.select_related("entry").order_by("-id")[: limit + 1])
    following = str(kept[limit - 1].pk) if len(kept) > limit else None
    return {"items": [_line(row) for row in kept[:limit]], "next": following}


def _number(after: str) -> int:
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise NotFound("no such place in the list")
    return int(after)


def _line(row: Any) -> dict[str, Any]:
    return {
        "id": row.entry_id,
        "at": row.entry.at,
        "kind": row.entry.kind,
        "ref": row.entry.ref,
        "amount": Money(row.minor, row.currency),
        "balance": Money(int(row.after), row.currency),
        "sale": row.about,
        "handle": row.handle,
    }


def deposits(member: str, *, after: str, limit: int) -> Mapping[str, Any]:
    """The latest first."""
    return _page(Deposit.objects.filter(member_id=member), deposit_view, after=after, limit=limit)


def payouts(member: str, *, after: str, limit: int) -> Mapping[str, Any]:
    """Those out of the wallet, the latest first."""
    rows = Payout.objects.filter(member_id=member, sale=None)
    return _page(rows, payout_view, after=after, limit=limit)


def _page(
    rows: QuerySet[Any], view: Callable[[Any], dict[str, Any]], *, after: str, limit: int
) -> Mapping[str, Any]:
    found = list((rows.filter(id__lt=after) if after else rows).order_by("-id")[: limit + 1])
    following = found[limit - 1].id if len(found) > limit else None
    return {"items": [view(row) for row in found[:limit]], "next": following}


def deposit(deposit_id: str, *, member: str) -> dict[str, Any]:
    """One of the member's own. Refuses `not_found`."""
    row = Deposit.objects.filter(pk=deposit_id, member_id=member).first()
    if row is None:
        raise NotFound("no such deposit")
    return deposit_view(row)


def payout(payout_id: str, *, member: str) -> dict[str, Any]:
    """One of the member's own, out of the wallet. Refuses `not_found`."""
    row = Payout.objects.filter(pk=payout_id, member_id=member, sale=None).first()
    if row is None:
        raise NotFound("no such payout")
    return payout_view(row)


def deposit_view(row: Deposit) -> dict[str, Any]:
    """The shape of a deposit."""
    return {
        "id": row.id,
        "state": row.state,
        "amount": row.amount,
        "payment_method": row.method,
        "made_at": row.made_at,
        "answered_at": row.answered_at,
        "reason": row.reason or None,
        "action_url": row.action_url or None,
    }


def opened(deposit_id: str, *, member: str) -> dict[str, Any]:
    """A deposit by the provider's own page: its shape, the page's `url` while it is open, and when
    it closes. Refuses `not_found`.
    """
    found = deposit(deposit_id, member=member)
    until = Deposit.objects.values_list("gives_up_at", flat=True).get(pk=deposit_id)
    return found | {"url": found["action_url"], "expires_at": until}


def payout_view(row: Payout) -> dict[str, Any]:
    """The shape of a payout out of the wallet."""
    return {
        "id": row.id,
        "state": row.state,
        "amount": row.amount,
        "due_at": row.due_at,
        "answered_at": row.answered_at,
        "reason": row.reason or None,
    }


def charged(deposit_id: str) -> tuple[str, str]:
    """State and reason of one deposit, for whoever waits for the provider's answer."""
    row = Deposit.objects.only("state", "reason").get(pk=deposit_id)
    return row.state, row.reason


def is_asked_for(deposit_id: str, *, member: str) -> bool:
    """Whether the provider has not answered yet."""
    return Deposit.objects.filter(pk=deposit_id, member_id=member, state="pending").exists()


def waits_for_word(member: str) -> bool:
    """Whether a deposit still waits for its member's word at the bank or at the provider."""
    return Deposit.objects.filter(member_id=member, state="action").exists()


def covers(sale_id: str, *, member: str, now: datetime) -> bool:
    """Whether the member's wallet has the sale's gross, and may be used at `now`."""
    there = BookAccount.objects.filter(
        code=f"member:{member}:available", currency=OuterRef("currency")
    )
    rows = Sale.objects.filter(pk=sale_id, buyer_id=member)
    rows = rows.exclude(buyer__security_changed_at__gt=now - SECURITY_DELAY)
    enough = rows.annotate(there=Subquery(there.values("balance_minor")[:1]))
    return enough.filter(Q(there__gte=F("gross_minor"))).exists()
