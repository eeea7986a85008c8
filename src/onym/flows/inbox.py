"""What comes in from outside: the provider's hints, and letters to our own addresses."""

from __future__ import annotations

from email.utils import parseaddr

from django.conf import settings
from django.db import transaction

from onym.flows import record
from onym.ports.mail import InboundMail
from onym.store import clock, secrets
from onym.store.models import Invitation, Payment

OPEN = ("pending", "unknown")


def payment_hint(*, intent_id: str, sale_id: str) -> None:
    """Something happened to a payment: ask about every charge and refund that is still open.

    A hint about a sale that we do not know, a late one or one told twice changes nothing.
    """
    with transaction.atomic():
        clock.now()
        rows = Payment.objects.filter(state__in=OPEN, sale_id=sale_id)
        if intent_id and not rows.exists():
            rows = Payment.objects.filter(state__in=OPEN, provider_id=intent_id)
        for payment in rows.order_by("id"):
            task = "sale.charge" if payment.kind == "charge" else "sale.refund"
            record.defer(task, lock=payment.sale_id, payment_id=payment.id)


def receive(*, namespace: str, letter: InboundMail) -> str:
    """Answer a letter once: `replied` on the press address, `threaded` on an invitation, `kept`.

    What answers automatically is never answered (RFC 3834), nor is anybody twice for one letter.
    """
    sender = parseaddr(letter.sender)[1]
    if letter.auto_submitted not in ("", "no") or not sender:
        return "ignored"
    with transaction.atomic():
        now = clock.now()
        if parseaddr(letter.to)[1].casefold() != settings.PRESS_ADDRESS.casefold():
            return "threaded" if _invited(sender) else "kept"
        record.notify(
            namespace=namespace,
            kind="press_reply",
            about=secrets.index(letter.message_id or letter.subject, purpose="letter")[:60],
            address=sender,
            now=now,
            facts={"in_reply_to": letter.message_id},
        )
        return "replied"


def _invited(sender: str) -> bool:
    index = secrets.index(sender, purpose="mail")
    return Invitation.objects.filter(recipient_index=index, state="sent").exists()
