"""What comes in from outside: the provider's hints, and letters to our own addresses.

A hint is kept once and says what to ask about. Nothing that it tells is believed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parseaddr

from django.conf import settings
from django.db import transaction
from django.db.models import F

from onym.core.errors import RateLimited
from onym.flows import checkout, deposit, limits, record
from onym.ports.mail import InboundMail
from onym.ports.payments import Webhook
from onym.store import clock, rowlocks, secrets
from onym.store.models import (
    Deposit,
    Invitation,
    Payment,
    PayoutAccount,
    ProviderEvent,
    Sale,
)

OPEN = ("pending", "unknown", "action")


def payment_hint(*, namespace: str, provider: str, hint: Webhook) -> bool:
    """Keep a delivery that was signed; the first of its event orders a look. True if it is first.

    A late one, or one told a hundred times, is one row and changes nothing.
    """
    with transaction.atomic():
        row, first = ProviderEvent.objects.get_or_create(
            provider=provider,
            event=hint.id[:120],
            defaults={
                "namespace": namespace,
                "kind": hint.kind[:80],
                "intent_id": hint.intent_id[:120],
                "sale_id": hint.sale_id[:120],
                "account_id": hint.account_id[:120],
                "created_at": _instant(hint.created),
                "received_at": clock.machine(),
            },
        )
        if first:
            record.defer("inbox.follow", lock=f"delivery:{row.pk}", delivery_id=row.pk)
        else:
            ProviderEvent.objects.filter(pk=row.pk).update(times=F("times") + 1)
        return first


def _instant(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 2**32 else None


def follow(*, delivery_id: int) -> None:
    """Ask about whatever the event names: open payments, chargebacks, a payout account.

    `outcome` says what came of it: `asked`, `nothing_open`, or `unknown` for what is not ours.
    """
    with transaction.atomic():
        row = rowlocks.provider_event(delivery_id)
        if row.done_at is not None:
            return
        row.outcome, row.done_at = _ask(row), clock.machine()
        row.save(update_fields=["outcome", "done_at"])


def _ask(row: ProviderEvent) -> str:
    sale, put = _sale_of(row), _deposit_of(row)
    account = PayoutAccount.objects.filter(provider=row.provider, account=row.account_id or None)
    asked = [
        *(_ask_payments(sale) if sale else ()),
        *(_ask_chargebacks(row, sale) if sale else ()),
        *(_ask_strays(row, sale) if sale else ()),
        *(_ask_deposit(row, put) if put else ()),
        *(_ask_strays(row, put.id) if put else ()),
        *(_ask_account(found.pk) for found in account),
    ]
    if asked:
        return "asked"
    return "nothing_open" if sale or put or (row.account_id and account.exists()) else "unknown"


def _sale_of(row: ProviderEvent) -> str | None:
    """The sale that the event names, else the one whose payment it names."""
    known = Sale.objects.filter(pk=row.sale_id).values_list("id", flat=True).first()
    if known or not row.intent_id:
        return known
    paid = Payment.objects.filter(provider_id=row.intent_id).values_list("sale_id", flat=True)
    return paid.first()


def _deposit_of(row: ProviderEvent) -> Deposit | None:
    """The deposit that the event names as its sale, else the one whose payment it names."""
    named = Deposit.objects.filter(pk=row.sale_id).first()
    if named or not row.intent_id:
        return named
    return Deposit.objects.filter(provider_id=row.intent_id).first()


def _ask_deposit(row: ProviderEvent, found: Deposit) -> list[str]:
    if row.kind.startswith("charge.dispute."):
        lock = f"{found.id}:chargeback"
        record.defer("deposit.ask_chargebacks", lock=lock, deposit_id=found.id)
    elif found.state in OPEN:
        deposit.ask_soon(found.id)
    else:
        return []
    return [found.id]


def _ask_payments(sale: str) -> list[str]:
    asked = []
    for payment in Payment.objects.filter(state__in=OPEN, sale_id=sale).order_by("id"):
        record.ask_soon("sale.charge" if payment.kind == "charge" else "sale.refund", payment.id)
        asked.append(payment.id)
    return asked


def _ask_chargebacks(row: ProviderEvent, sale: str) -> list[str]:
    if not row.kind.startswith("charge.dispute."):
        return []
    record.defer("chargeback.ask", lock=f"{sale}:chargeback", sale_id=sale)
    return [sale]


AGREED = ("checkout.session.completed", "payment_intent.amount_capturable_updated")
"""The buyer has agreed to a payment that waits to be captured or released."""


def _ask_strays(row: ProviderEvent, sale: str) -> list[str]:
    if row.kind not in AGREED or not row.intent_id:
        return []
    checkout.let_go(sale_id=sale, intent_id=row.intent_id)
    return [row.intent_id]


def _ask_account(member: str) -> str:
    record.defer("payout.look", lock=f"{member}:payout", member_id=member)
    return member


def receive(*, namespace: str, letter: InboundMail) -> str:
    """Answer a letter once: `replied` on the press address, `threaded` on an invitation, `kept`.

    What answers automatically is never answered (RFC 3834), nor is anybody twice for one letter or
    more than three times a day: a sender is easily forged.
    """
    sender = parseaddr(letter.sender)[1]
    if letter.auto_submitted not in ("", "no") or not sender:
        return "ignored"
    if parseaddr(letter.to)[1].casefold() != settings.PRESS_ADDRESS.casefold():
        return "threaded" if _invited(sender) else "kept"
    try:
        limits.spend("press_reply", who=sender)
    except RateLimited:
        return "ignored"
    with transaction.atomic():
        record.notify(
            namespace=namespace,
            kind="press_reply",
            about=secrets.index(letter.message_id or letter.subject, purpose="letter")[:60],
            address=sender,
            now=clock.now(),
            facts={"in_reply_to": letter.message_id},
        )
    return "replied"


def _invited(sender: str) -> bool:
    index = secrets.index(sender, purpose="mail")
    return Invitation.objects.filter(recipient_index=index, state="sent").exists()
