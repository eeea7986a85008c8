"""Whole accounts as a sale's term: what must be so to sell one, and who has it when.

The account stays the holder of its handle throughout; what changes is who may sign in to it. See
docs/concepts/account.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Greatest

from onym import ports
from onym.core import access, people
from onym.core import reclaim as reclaims
from onym.core import sale as sales
from onym.core import term as core
from onym.core import transfer as transfers
from onym.core.errors import AlreadyClosed, NotAllowed, PlatformUnavailable
from onym.core.events import Event
from onym.core.term import Term
from onym.flows import names, record, staff
from onym.flows import people as members
from onym.store import clock, rowlocks, secrets
from onym.store.models import Handle, Link, Member, Reclaim, Sale, Transfer


def set_offered(*, namespace: str, on: bool, by: str, platform_can: bool) -> Mapping[str, Any]:
    """Let whole accounts be sold here, or no longer; what is agreed already goes on.

    `platform_can` is what `platform_can` says. Refuses `not_allowed`, also to switch on what the
    platform cannot do, and `already_closed` if it is so.
    """
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        staff.expect(by, access.Action.SET_PHASE, namespace=namespace)
        if on and not platform_can:
            raise NotAllowed("the platform does not hand over whole accounts")
        if place.whole_accounts == on:
            raise AlreadyClosed(f"whole accounts are {'' if on else 'not '}sold here already")
        place.whole_accounts = on
        place.save(update_fields=["whole_accounts"])
        event = Event("WholeAccountsSet", namespace, {"on": on, "by": by})
        record.log(event, namespace=namespace, at=now)
        return {"whole_accounts": on}


def platform_can(namespace: str) -> bool:
    """Whether the platform hands over whole accounts; asked outside of every transaction.

    Refuses `platform_unavailable`.
    """
    try:
        return ports.platform(namespace).capabilities().hand_over
    except ports.SlotEmpty as fault:
        raise PlatformUnavailable("no platform is connected") from fault


def expect_sellable(row: Handle, *, term: Term, seller: Member) -> None:
    """What must be so before a locked handle's account is put up for sale.

    Refuses `not_allowed` where that is off or the seller has no mail address, `handle_unavailable`
    without an account that may change hands, `not_linked` for the seller's only one, and
    `handle_locked` while another sale needs it.
    """
    core.expect_offered(term, is_offered=row.namespace.whole_accounts)
    if term is Term.HANDLE:
        return
    custodian = row.namespace.custodian_account_id
    core.expect_account(row.account_id, custodian=custodian, state=row.state)
    account = row.account_id or ""
    core.expect_fit(_known_unfit(row.namespace_id, account))
    if not seller.is_house:
        core.expect_another(seller.snapshot().accounts, account_id=account)
        core.expect_address(bool(_address(seller)), whose="the seller")
    rowlocks.account(namespace=row.namespace_id, account_id=account)
    core.expect_idle(_busy(row, account))


def _known_unfit(namespace: str, account_id: str) -> str:
    """What the last import says; the platform itself is asked before anything moves."""
    known = names.directory(namespace)
    row = known.by_account(account_id) if known else None
    return unfit(row or {})


def unfit(account: Mapping[str, Any]) -> str:
    """Why the account of this row may not change hands; empty where it may."""
    marks = ("status", "memorial", "legal_hold", "minor")
    return core.unfit(**{name: account.get(name) for name in marks})


def _busy(row: Handle, account_id: str) -> list[str]:
    """Sales of other handles that give this account another one."""
    bought = Sale.objects.filter(
        namespace_id=row.namespace_id, buyer_account_id=account_id, state__in=sales.LIVE
    )
    return list(bought.exclude(handle=row).values_list("id", flat=True)[:1])


def buying_account(row: Handle, *, term: Term, buyer: Member, consents: bool) -> str:
    """The account that the buyer will have the handle on: their own, the one that is sold, or for
    the house the custodian.

    Refuses `staff_may_not`, `not_linked`; for an account `malformed` without the buyer's consent
    and `not_allowed` without an address; `handle_locked` for a buyer whose own is being sold.
    """
    if buyer.is_house:
        return str(row.namespace.custodian_account_id)
    own = people.buying_account(buyer.snapshot())
    if term is Term.ACCOUNT:
        core.expect_consent(consents)
        core.expect_address(bool(_address(buyer)), whose="the buyer")
        return row.account_id or ""
    rowlocks.account(namespace=row.namespace_id, account_id=own)
    sold = Sale.objects.filter(
        namespace_id=row.namespace_id,
        seller_account_id=own,
        term=Term.ACCOUNT,
        state__in=sales.LIVE,
    )
    core.expect_idle(list(sold.values_list("id", flat=True)[:1]))
    return own


def expect_wanted(row: Handle, *, term: Term, buyer: Member, consents: bool) -> None:
    """What must be so before a buyer offers for a locked handle's account, whoever sells it.

    Refuses `not_allowed`, `handle_unavailable`, and `malformed` without the buyer's consent.
    """
    core.expect_offered(term, is_offered=row.namespace.whole_accounts)
    if term is Term.ACCOUNT:
        custodian = row.namespace.custodian_account_id
        core.expect_account(row.account_id, custodian=custodian, state=row.state)
        core.expect_fit(_known_unfit(row.namespace_id, row.account_id or ""))
        core.expect_consent(consents)
        core.expect_address(bool(_address(buyer)), whose="the buyer")


def _address(member: Member) -> str:
    """Where an account is handed to a member; the house reads what answers to its letters."""
    if member.is_house:
        return parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    rows = member.mailaddress_set.filter(replaced_at=None)
    row = rows.order_by("-verified_at", "-id").first()
    return row.address if row else ""


def ordered(id_: str, sale: Sale, *, to: Member) -> dict[str, Any]:
    """The columns of order `id_` that hand the sale's account to a member; none for a handle.

    The address is fixed here: asked again, the same is asked for.
    """
    if sale.term != Term.ACCOUNT:
        return {}
    sealed = secrets.seal(_address(to), place=Transfer.place(id_))
    return {"hands_to": to, "address_sealed": sealed}


def next_fence(row: Handle) -> int:
    """A fence above every one used for this locked handle, and for the account that holds it."""
    told = Transfer.objects.filter(
        namespace_id=row.namespace_id, to=row.account_id, hands_to__isnull=False
    ).aggregate(one=Max("fence"), other=Max(Greatest("fence", "bar_fence")))
    row.fence = max(row.fence, told["one"] or 0, told["other"] or 0) + 1
    row.save(update_fields=["fence"])
    return row.fence


def with_whom(sale: Sale, *, holder: str | None) -> str | None:
    """Who has what the sale is about, where `holder` holds the handle: a whole account is the
    buyer's only while it was handed to them last, and else nobody's that counts.
    """
    if sale.term != Term.ACCOUNT:
        return holder
    done = sale.transfer_set.filter(state=transfers.State.DONE, read_back_account_id__isnull=False)
    last = done.order_by("fence").last()
    is_buyers = last is not None and last.hands_to_id == sale.buyer_id
    return sale.buyer_account_id if is_buyers else None


def is_still_with_buyer(sale: Sale) -> bool:
    """Whether nobody was handed the account since; always true of a handle's sale."""
    if sale.term != Term.ACCOUNT:
        return True
    handed = Transfer.objects.filter(handle=sale.handle, read_back_account_id__isnull=False)
    last = handed.order_by("fence").last()
    return last is not None and last.sale_id == sale.id and last.hands_to_id == sale.buyer_id


def sold_by_platform(row: Handle, *, account_id: str) -> Sale | None:
    """The settled sale in which the platform sold this account whole."""
    found = Sale.objects.filter(
        handle=row,
        term=Term.ACCOUNT,
        kind=sales.Kind.PRIMARY,
        seller_account_id=account_id,
        state=sales.State.SETTLED,
    )
    return found.order_by("-closed_at").first()


def hand(order: Transfer, *, now: datetime) -> None:
    """A read-back shows the account handed over: links say so, and due process is over."""
    account, to = order.to, order.hands_to
    if to is None:
        return
    _unlink(order, now=now)
    if not to.is_house and not Link.objects.filter(**_link(order), member=to).exists():
        Link.objects.create(
            namespace_id=order.namespace_id, member=to, account_id=account, linked_at=now
        )
        members.name_primary(to.id)
    Reclaim.objects.filter(handle=order.handle, ended_at=None).update(
        ending=reclaims.Ending.GONE, ended_at=now, next_at=None
    )
    forget_address(order)


def _link(order: Transfer) -> dict[str, Any]:
    return {
        "namespace_id": order.namespace_id,
        "account_id": order.to,
        "unlinked_at": None,
    }


def _unlink(order: Transfer, *, now: datetime) -> None:
    """Whoever had the account has it no longer; buyer and seller do not become one by that."""
    for link in Link.objects.filter(**_link(order)).exclude(member=order.hands_to):
        link.unlinked_at, link.is_primary, link.passed_on = now, False, True
        link.unlinks_at = None
        link.save(update_fields=["unlinked_at", "is_primary", "passed_on", "unlinks_at"])
        members.name_primary(link.member_id)


def forget_address(order: Transfer) -> None:
    """Nothing is left to be asked: the address is not needed any more."""
    if order.address_sealed:
        order.address_sealed = b""
        order.save(update_fields=["address_sealed"])
