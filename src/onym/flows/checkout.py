"""A card entered on the provider's own page: the buyer is led there and comes back.

The page takes no money. What the buyer agreed to there is captured by a job, for a sale that still
waits for it, and released for any other. See docs/guides/payments.md.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from onym.core import checkout
from onym.core import sale as core
from onym.core.area import Area
from onym.core.errors import InProgress, Malformed, NotAllowed
from onym.flows import area, payments, record
from onym.flows import sale as sale_flow
from onym.store import clock, rowlocks
from onym.store.models import Payment


def begin(*, sale_id: str, by: str) -> Payment:
    """Order the provider's page for a sale; whoever asks again is led to the one that is open.

    Refuses what `payments.pay` refuses, and `malformed` where no card is entered at the provider.
    """
    expect_offered()
    payments.expect_may_pay(sale_id=sale_id, by=by, method=checkout.METHOD)
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        area.expect(Area.SALES, namespace=sale.namespace_id)
        if by != sale.buyer_id:
            raise NotAllowed("only the buyer pays")
        known = sale.payment_set.filter(kind="charge", state__in=sale_flow.OPEN_CHARGE).first()
        if known is not None and _is_open(known):
            return known
        if known is not None:
            raise InProgress("a payment of this sale is under way")
        core.pay(sale.snapshot(), by=by, now=now)
        until = checkout.until(funding_until=sale.funding_until, now=now)
        payment = sale_flow.payment_row(
            sale, kind="charge", method=checkout.METHOD, checkout_until=until, now=now
        )
        record.defer("sale.charge", lock=payment.id, payment_id=payment.id)
        return payment


def let_go(*, sale_id: str, intent_id: str) -> None:
    """See to it that a payment which no open or paid one of the sale (or deposit) stands for is
    released: whoever has agreed to it twice pays once.
    """
    lock = f"{sale_id}:stray:{intent_id}"
    record.defer("sale.void_stray", lock=lock, sale_id=sale_id, intent_id=intent_id)


def expect_offered() -> None:
    """Refuses `malformed` where no card is entered at the provider."""
    if settings.CARD_ENTRY == "methods":
        raise Malformed("this market leads nobody to the provider's own page")


def _is_open(payment: Payment) -> bool:
    return payment.method == checkout.METHOD and payment.state in sale_flow.ASKED
