"""Seeded bugs of payments, chargebacks and payouts; test_controls.py shows each one seen."""

from __future__ import annotations

import os
from typing import Any

from onym.core import chargeback as chargebacks
from onym.core import ledger
from onym.core import sale as core
from onym.flows import chargeback, checkout, deposit, inbox, record
from onym.jobs import payments as jobs
from onym.ports.payments import Chargeback as Told
from onym.ports.stripe import StripePayments
from onym.queries import checkout as pages
from onym.store import clock
from onym.store.models import Payout, ProviderEvent, Sale


def a_chargeback_is_believed_from_the_webhook() -> None:
    """What the hint says happened is recorded, and nobody is asked."""

    def believe(row: ProviderEvent, sale: str) -> list[str]:
        found = Sale.objects.get(pk=sale)
        told = Told(row.event, "lost", found.money("gross"), "fraudulent")
        if row.kind.startswith("charge.dispute."):
            chargeback.record_all(sale_id=sale, provider=row.provider, told=[told])
        return [sale]

    inbox._ask_chargebacks = believe


def a_chargeback_after_the_payout_is_not_booked() -> None:
    """The money is gone, the books do not say so."""
    book = chargeback._book

    def shy(sale: Any, entry: Any, *, at: Any) -> None:
        if ledger.RECEIVABLE not in entry.postings:
            book(sale, entry, at=at)

    chargeback._book = shy


def a_chargeback_freezes_nothing() -> None:
    """The sale goes its way while the bank decides."""
    opened = chargeback._open

    def warm(sale: Any, told: Any, **more: Any) -> Any:
        row = opened(sale, told, **more)
        sale.frozen = False
        sale.save(update_fields=["frozen"])
        return row

    chargeback._open = warm


def a_lost_chargeback_leaves_the_sale_as_it_was() -> None:
    """The seller is paid for what the buyer got back."""
    chargebacks.after_loss = lambda *_, **__: chargebacks.Next.STAND


def a_chargeback_is_taken_from_escrow_whatever_lies_there() -> None:
    """Also when the money was shared out long ago."""
    chargebacks.source = lambda *_, **__: chargebacks.Source.ESCROW


def a_refused_payout_is_tried_again_under_its_old_key() -> None:
    """So the provider repeats its refusal for ever."""
    Payout.key = property(lambda self: self.id)


def a_question_of_the_bank_counts_as_paid() -> None:
    """The buyer was asked, so the buyer has paid."""
    jobs.CHARGES["action_needed"] = core.PaymentState.PAID


def every_delivery_is_news() -> None:
    """A copy of an event is another event."""

    def hint(*, namespace: str, provider: str, hint: Any) -> bool:
        row = ProviderEvent.objects.create(
            namespace=namespace,
            provider=provider,
            event=f"{hint.id}-{ProviderEvent.objects.count()}",
            kind=hint.kind,
            sale_id=hint.sale_id,
            received_at=clock.machine(),
        )
        record.defer("inbox.follow", lock=f"delivery:{row.pk}", delivery_id=row.pk)
        return True

    inbox.payment_hint = hint


def whatever_was_agreed_to_on_the_providers_page_is_taken() -> None:
    """Nobody looks whether the sale still waits for it."""
    pages.is_wanted = lambda _: True


def a_second_page_is_left_alone() -> None:
    """Nobody looks whether a payment that was agreed to is one of ours."""
    inbox._ask_strays = lambda *_: []


def what_nobody_follows_is_left_alone() -> None:
    """The daily comparison names it, and it waits until the bank lets it go."""
    checkout.let_go = lambda **_: None


def whatever_was_agreed_to_fits_into_the_wallet() -> None:
    """What lies there and what is on its way in is not looked at."""
    deposit._expect_room = lambda *_: None


def a_charge_is_named_anew_and_nobody_looks_for_the_first() -> None:
    """Each time of asking is another payment, whatever came of the one before."""
    charge = StripePayments.charge

    def anew(self: StripePayments, **asked: Any) -> Any:
        return charge(self, **asked | {"key": f"{asked['key']}-{os.urandom(4).hex()}"})

    StripePayments._charged = lambda *_, **__: ""
    StripePayments.charge = anew
