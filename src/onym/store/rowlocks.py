"""Every row lock of the product, in one fixed order, each taken once per flow before it reads.

The order: request → approval → bank → namespace → part of a plan → handle → what hangs on the
handle (listing, offer, campaign, invitation, sale, transfer, reclaim) → member → deposit, payout,
chargeback, hold → book accounts. The handle's row is the lock of all that may happen to a handle,
so two ways of selling it meet here and one of them wins. Many rows of a kind are locked by id;
where they are of several namespaces, claims and book accounts go one namespace after another, in
the order of the names. A series of invoices comes last.

The demo's clock, a second factor, a notice, a sweep, a webhook with a delivery, an event of the
provider, a payout account and a case of screening are each locked alone; a mail code may have its
member after it, and a member the cursor of the watches. What is written to a platform that keeps
no fences waits for `platform_turn`, a lock of the connection that no transaction holds.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from allauth.mfa.models import Authenticator
from django.db import connection
from django.db.models import Model, QuerySet

from onym.core.errors import NotFound
from onym.store.bank import BankLine, BankOrder
from onym.store.chargeback import Chargeback
from onym.store.desk import Namespace
from onym.store.hook import HookCall
from onym.store.inbox import ProviderEvent
from onym.store.invitation import Campaign, Invitation
from onym.store.invoice import InvoiceSeries
from onym.store.ledger import BookAccount
from onym.store.listing import Listing
from onym.store.names import Handle
from onym.store.offer import Offer
from onym.store.people import MailCode, Member, PayoutAccount
from onym.store.reclaim import Appeal, PlanPart, Reclaim
from onym.store.record import Approval, DemoClock, IdempotentRequest, Notice
from onym.store.sale import Payment, Payout, Sale
from onym.store.screening import ScreeningCase
from onym.store.sweep import Sweep
from onym.store.transfer import Transfer
from onym.store.wallet import Deposit, Hold
from onym.store.watch import WatchCursor
from onym.store.webhook import Delivery, Webhook

Row = TypeVar("Row", bound=Model)


def namespace(id_: str) -> Namespace:
    """For whoever changes a switch of the namespace."""
    return _one(Namespace, pk=id_)


def namespace_shared(id_: str) -> Namespace:
    """For whoever relies on a switch: many may at once, nobody changes it meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("select 1 from store_namespace where id = %s for share", [id_])
    row = Namespace.objects.filter(pk=id_).first()
    if row is None:
        raise NotFound(f"there is no namespace {id_}")
    return row


def approval(id_: str) -> Approval:
    return _one(Approval, pk=id_)


def handle(*, namespace: str, handle: str) -> Handle:
    return _one(Handle, namespace_id=namespace, handle=handle)


def listing(id_: str) -> Listing:
    """The handle's row first, then the listing; `listing.handle` is the locked row."""
    return _on_handle(Listing, id_)


def offer(id_: str) -> Offer:
    return _on_handle(Offer, id_)


def campaign(id_: str) -> Campaign:
    return _on_handle(Campaign, id_)


def invitation(id_: str) -> Invitation:
    """The handle, the campaign, then the invitation."""
    found = Invitation.objects.filter(pk=id_).values_list("campaign_id", flat=True).first()
    if found is None:
        raise NotFound("no such invitation")
    campaign_ = campaign(found)
    row = _one(Invitation, pk=id_)
    row.campaign = campaign_
    return row


def sale(id_: str) -> Sale:
    return _on_handle(Sale, id_)


def payment(id_: str) -> Payment:
    """The handle, the sale, then the payment."""
    return _on_sale(Payment, id_)


def payout(id_: str) -> Payout:
    """The handle and the sale if there is one, then the payout."""
    if Payout.objects.filter(pk=id_, sale=None).exists():
        return _one(Payout, pk=id_)
    return _on_sale(Payout, id_)


def deposit(id_: str) -> Deposit:
    """While what the provider says of it is written down; before book accounts."""
    return _one(Deposit, pk=id_)


def chargeback(id_: str) -> Chargeback:
    """While a claim is met or given up; before book accounts."""
    return _one(Chargeback, pk=id_)


def chargebacks(ids: Iterable[str]) -> list[Chargeback]:
    """Many, in the order of their ids."""
    rows = Chargeback.objects.select_for_update().filter(id__in=list(ids)).order_by("id")
    return list(rows)


def live_hold(*, member: str, subject: str) -> Hold:
    """What a member has set aside for `subject`; before book accounts. Refuses `not_found`."""
    return _one(Hold, member_id=member, subject=subject, state="held")


def waiting_payouts(member: str) -> list[Payout]:
    """What a member takes out of the wallet and nobody was asked for yet; before book accounts."""
    rows = Payout.objects.select_for_update().filter(member_id=member, sale=None, state="due")
    return list(rows.order_by("id"))


def wallet(*, namespace: str, member: str) -> dict[str, int]:
    """A member's `available` and `held` in minor units, after whatever it is about is locked."""
    rows = BookAccount.objects.filter(
        namespace_id=namespace, code__in=[f"member:{member}:available", f"member:{member}:held"]
    )
    found = books(rows.values_list("id", flat=True))
    return {row.code.rsplit(":", 1)[1]: row.balance_minor or 0 for row in found}


def transfer(id_: str) -> Transfer:
    """The handle, the sale if there is one, then the transfer."""
    found = Transfer.objects.filter(pk=id_).values_list("sale_id", flat=True).first()
    if found is not None:
        return _on_sale(Transfer, id_)
    return _on_handle(Transfer, id_)


def sales(ids: Iterable[str]) -> list[Sale]:
    """Many sales at once, in the order of `ids`: all their handles first, then the sales."""
    wanted = list(ids)
    held = {row.pk: row for row in _handles_of(wanted)}
    rows = Sale.objects.filter(id__in=wanted).order_by("id").select_for_update()
    found = {row.id: row for row in rows}
    members = Member.objects.in_bulk(
        {id_ for row in found.values() for id_ in (row.buyer_id, row.seller_id)}
    )
    places = Namespace.objects.in_bulk({row.namespace_id for row in found.values()})
    for row in found.values():
        row.handle, row.namespace = held[row.handle_id], places[row.namespace_id]
        row.buyer, row.seller = members[row.buyer_id], members[row.seller_id]
    return [found[id_] for id_ in wanted if id_ in found]


def payouts(ids: Iterable[str]) -> list[Payout]:
    """Many payouts at once, in the order of `ids`: handles, sales, then the payouts.

    Of `payout.sale` only its namespace and whether it is frozen are read; a payout from a wallet
    has none.
    """
    wanted = list(ids)
    named = Payout.objects.filter(id__in=wanted).values_list("sale_id", flat=True)
    owners = [id_ for id_ in named if id_]
    list(_handles_of(owners).values_list("pk"))
    sales_ = Sale.objects.filter(id__in=owners).order_by("id").only("namespace_id", "frozen")
    held = {row.id: row for row in sales_.select_for_update()}
    rows = Payout.objects.filter(id__in=wanted).order_by("id").select_for_update()
    found = {row.id: row for row in rows}
    for row in found.values():
        row.sale = held[row.sale_id] if row.sale_id else None
    return [found[id_] for id_ in wanted if id_ in found]


def _handles_of(sales: list[str]) -> QuerySet[Handle]:
    owned = Handle.objects.filter(sale__id__in=sales)
    return owned.order_by("id").select_for_update(of=("self",))


def account(*, namespace: str, account_id: str) -> None:
    """Whoever is about to give an account of the platform a handle; after the handle's row."""
    with connection.cursor() as cursor:
        name = f"{namespace}/{account_id}"
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def bank(namespace: str) -> None:
    """Whoever imports a statement, or decides about money of one: one at a time, before handles."""
    with connection.cursor() as cursor:
        name = f"bank/{namespace}"
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def bank_line(id_: str) -> BankLine:
    """After `bank`: money in suspense, while somebody decides about it."""
    return _one(BankLine, pk=id_)


def bank_orders(namespace: str) -> list[BankOrder]:
    """After `bank`: all that waits for the next payment file, in the order it was made."""
    rows = BankOrder.objects.select_for_update().filter(namespace_id=namespace, state="waiting")
    return list(rows.order_by("id"))


def bank_order(id_: str) -> BankOrder:
    return _one(BankOrder, pk=id_)


def invoice_series(namespace: str, *, kind: str, year: int) -> InvoiceSeries:
    """The last row lock of all: whoever holds it takes the next number and commits."""
    rows = InvoiceSeries.objects.select_for_update()
    return rows.get_or_create(namespace_id=namespace, kind=kind, year=year)[0]


def screening_case(id_: str) -> ScreeningCase:
    """While somebody decides about it; locked alone."""
    return _one(ScreeningCase, pk=id_)


def member(id_: str) -> Member:
    """For whoever changes what a member is known by, or relies on it; many rows name one without
    waiting for this lock.
    """
    row = Member.objects.select_for_update(no_key=True).filter(pk=id_).first()
    if row is None:
        raise NotFound("no such member")
    return row


def parties(*ids: str) -> list[Member]:
    """Several members, locked in the order of their ids and answered in the order asked.

    The house, with which everybody deals and which nobody forgets, is read only.
    """
    rows = Member.objects.filter(id__in=ids, is_house=False).order_by("id")
    found = {row.id: row for row in rows.select_for_update(no_key=True)}
    found |= Member.objects.in_bulk(set(ids) - set(found))
    if len(found) != len(set(ids)):
        raise NotFound("no such member")
    return [found[id_] for id_ in ids]


def mail_code(id_: str) -> MailCode:
    return _one(MailCode, pk=id_)


def authenticator(id_: int) -> Authenticator:
    """A second factor while a code of it is tried."""
    return _one(Authenticator, pk=id_)


def demo_clock() -> DemoClock:
    """The demo's one clock, made at its first step; before anything else."""
    return DemoClock.objects.select_for_update().get_or_create(pk=1)[0]


def watch_cursor(namespace: str, *, leaf: int) -> WatchCursor:
    """For whoever reads on for the watches; made at `leaf` by the first one."""
    rows = WatchCursor.objects.select_for_update()
    return rows.get_or_create(namespace_id=namespace, defaults={"leaf": leaf})[0]


def hook_call(id_: str) -> HookCall:
    """The handle, then one call to a hook about it."""
    return _on_handle(HookCall, id_)


def webhook(id_: str) -> Webhook:
    """For whoever changes a subscription, or writes down what it is to be told."""
    return _one(Webhook, pk=id_)


def delivery(id_: str) -> Delivery:
    """The subscription, then one message to it."""
    found = Delivery.objects.filter(pk=id_).values_list("webhook_id", flat=True).first()
    if found is None:
        raise NotFound("no such delivery")
    webhook_ = webhook(found)
    row = _one(Delivery, pk=id_)
    row.webhook = webhook_
    return row


def request(**name: str) -> IdempotentRequest:
    """A client's request that was written before, by its member, route and key."""
    return IdempotentRequest.objects.select_for_update().get(**name)


def sweep(id_: str) -> Sweep:
    """For whoever writes down how it ended."""
    return _one(Sweep, pk=id_)


def notice(id_: str) -> Notice:
    return _one(Notice, pk=id_)


def provider_event(id_: int) -> ProviderEvent:
    """An event of the provider's, while what it is about is found; before anything else."""
    return _one(ProviderEvent, pk=id_)


def payout_account(member: str) -> PayoutAccount:
    """For whoever writes down what the provider says of it; locked alone."""
    return _one(PayoutAccount, pk=member)


def process(id_: int) -> Reclaim:
    """The handle, then its way through reclaim."""
    return _on_handle(Reclaim, id_)


def appeal(id_: str) -> Appeal:
    return _on_handle(Appeal, id_)


def plan_part(id_: int) -> PlanPart:
    """For whoever writes down what was sent to a whole part; before any handle of it."""
    return _one(PlanPart, pk=id_)


def books(ids: Iterable[int]) -> list[BookAccount]:
    """Member accounts in the order of their ids, in one statement."""
    rows = BookAccount.objects.select_for_update().filter(id__in=ids).order_by("id")
    return list(rows)


def _one(model: type[Row], **key: object) -> Row:
    row = model._default_manager.select_for_update().filter(**key).first()
    if row is None:
        raise NotFound(f"no such {model._meta.model_name}")
    return row


def _on_handle(model: type[Row], id_: object) -> Row:
    found = model._default_manager.filter(pk=id_).values_list("handle_id", flat=True).first()
    if found is None:
        raise NotFound(f"no such {model._meta.model_name}")
    handle_ = _one(Handle, pk=found)
    row: Any = _one(model, pk=id_)
    row.handle = handle_
    return cast(Row, row)


def _on_sale(model: type[Row], id_: str) -> Row:
    found = model._default_manager.filter(pk=id_).values_list("sale_id", flat=True).first()
    if found is None:
        raise NotFound(f"no such {model._meta.model_name}")
    sale_ = sale(found)
    row: Any = _one(model, pk=id_)
    row.sale = sale_
    if model is Transfer:
        row.handle = sale_.handle
    return cast(Row, row)


@contextmanager
def platform_turn(names: Iterable[str], *, seconds: float) -> Iterator[bool]:
    """Alone among all processes with these names while the block runs, and no row is locked.

    False where another had one of them for all of `seconds`. The database lets go when the
    connection ends, so a process that is killed holds up nobody, and one that is only paused
    keeps its turn.
    """
    numbers = sorted({_number(name) for name in names})
    until = time.monotonic() + seconds
    taken: list[int] = []
    try:
        for number in numbers:
            if not _taken(number, until):
                break
            taken.append(number)
        yield len(taken) == len(numbers)
    finally:
        for number in taken:
            _ask("select pg_advisory_unlock(%s)", number)


def _taken(number: int, until: float) -> bool:
    while not _ask("select pg_try_advisory_lock(%s)", number):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _ask(statement: str, number: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [number])
        return bool(cursor.fetchone()[0])


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
