"""What the clock makes due: every deadline that lies in a row, with the flow that answers it.

A deadline is handled by a flow that does nothing when it comes early or twice, so asking too often
is harmless and a late answer never changes an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import F, Max, Q, Sum
from django.db.models.functions import Coalesce

from onym.core.bank import OrderState
from onym.core.sale import PaymentState, State
from onym.core.transfer import State as TransferState
from onym.queries import plan, watch, webhook
from onym.store.models import (
    BankLine,
    Deposit,
    Handle,
    Invitation,
    Link,
    Offer,
    Payment,
    Payout,
    Sale,
    Transfer,
)

HELD_UP = (State.COOLING, State.INSPECTION)
"""States whose clock waits while the buyer's bank decides about the payment."""
UNANSWERED = (PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.ACTION)
AT_THE_BANK = [state for state in OrderState if state is not OrderState.RETURNED]
ASKED = (TransferState.PENDING, TransferState.SENT, TransferState.UNKNOWN)
SILENCE = timedelta(minutes=15)
"""After so long without an answer it is looked whether anybody still asks."""
DELIVERING = (State.DELIVERING, State.DELIVERY_UNKNOWN)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """At `at` the flow named `what` must look at `id`."""

    at: datetime
    what: str
    id: str = field(default="")


def until(at: datetime) -> list[Due]:
    """All that is due at or before `at`, in order of time."""
    return sorted(due for find in FIND for due in find(at))


def _sales(what: str, column: str, states: Iterable[str]) -> Callable[[datetime], list[Due]]:
    def find(at: datetime) -> list[Due]:
        rows = Sale.objects.filter(state__in=tuple(states), **{f"{column}__lte": at})
        rows = rows.exclude(frozen=True, state__in=HELD_UP)
        return [Due(when, what, id_) for id_, when in rows.values_list("id", column)]

    return find


def _offers(at: datetime) -> list[Due]:
    rows = Offer.objects.filter(state="open", expires_at__lte=at)
    return [Due(when, "offer.expire", id_) for id_, when in rows.values_list("id", "expires_at")]


def _invitations(at: datetime) -> list[Due]:
    rows = Invitation.objects.filter(state="sent", expires_at__lte=at)
    found = rows.values_list("id", "expires_at")
    return [Due(when, "invitation.expire", id_) for id_, when in found if when]


def _payouts(at: datetime) -> list[Due]:
    rows = Payout.objects.filter(state__in=("due", "unknown"), due_at__lte=at)
    rows = rows.exclude(sale__frozen=True).exclude(bankorder__state__in=AT_THE_BANK)
    return [Due(when, "ledger.pay_out", id_) for id_, when in rows.values_list("id", "due_at")]


def _refunds(at: datetime) -> list[Due]:
    """What goes back by itself. A bank is told by a file, and says so by a statement."""
    rows = Payment.objects.filter(kind="refund", state__in=UNANSWERED, bankorder=None)
    rows = rows.annotate(since=Coalesce("answered_at", "made_at")).filter(since__lte=at - SILENCE)
    found = rows.values_list("id", "since")
    return [Due(when + SILENCE, "payments.refund_late", id_) for id_, when in found]


def _returns(at: datetime) -> list[Due]:
    """Handles of disputed sales on their way back from the buyer."""
    rows = Transfer.objects.filter(
        state__in=ASKED, sale__state=State.DISPUTED, source=F("sale__buyer_account_id")
    ).filter(started_at__lte=at - SILENCE)
    found = rows.values_list("id", "started_at")
    return [Due(when + SILENCE, "dispute.return_late", id_) for id_, when in found]


def _deposits(at: datetime) -> list[Due]:
    rows = Deposit.objects.filter(state__in=UNANSWERED, gives_up_at__lte=at)
    return [Due(when, "deposit.over", id_) for id_, when in rows.values_list("id", "gives_up_at")]


def _transfers(at: datetime) -> list[Due]:
    """Sales with money of the bank's that waits: to be funded, or to go back when they ended."""
    rows = BankLine.objects.filter(waits=True, at__lte=at).values("sale_id")
    ended = ~Q(sale__state__in=(State.FUNDING, State.FUNDING_UNKNOWN))
    found = rows.annotate(there=Sum("rest_minor"), since=Max("at")).filter(
        ended | Q(there__gte=F("sale__gross_minor"))
    )
    return [Due(row["since"], "bank.look_again", row["sale_id"]) for row in found]


def _retained(at: datetime) -> list[Due]:
    rows = Handle.objects.filter(retained_until__lte=at)
    found = rows.values_list("id", "retained_until")
    return [Due(when, "transfer.let_go", str(id_)) for id_, when in found if when]


def _reclaim(at: datetime) -> list[Due]:
    return [Due(*item) for item in plan.due(at)]


def _watches(at: datetime) -> list[Due]:
    return [Due(*item) for item in watch.due(at)]


def _unlinking(at: datetime) -> list[Due]:
    rows = Link.objects.filter(unlinks_at__lte=at, unlinked_at=None)
    found = rows.values_list("id", "unlinks_at")
    return [Due(when, "link.unlinked", str(id_)) for id_, when in found if when]


def _webhooks(at: datetime) -> list[Due]:
    return [Due(*item) for item in webhook.due(at)]


FIND: list[Callable[[datetime], list[Due]]] = [
    _sales("payments.funding_over", "funding_until", (State.FUNDING, State.FUNDING_UNKNOWN)),
    _sales("transfer.cooled", "cooling_until", (State.COOLING,)),
    _sales("transfer.delivery_over", "delivery_until", (*DELIVERING, State.RETURNING)),
    _sales("sale.inspected", "inspection_until", (State.INSPECTION,)),
    _offers,
    _invitations,
    _payouts,
    _refunds,
    _returns,
    _deposits,
    _transfers,
    _retained,
    _reclaim,
    _watches,
    _webhooks,
    _unlinking,
]
