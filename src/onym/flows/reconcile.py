"""Writing down what a comparison with the provider found, and asking about what it shows."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction

from onym.core.reconcile import AUTHORISED, Difference, Report
from onym.flows import checkout, record
from onym.store import clock
from onym.store.models import Deposit, Reconciliation, Sale

EVERY = timedelta(days=1)


def order(*, namespace: str) -> bool:
    """Order today's comparison unless there is one; days are the machine's. True if ordered."""
    with transaction.atomic():
        fresh = clock.machine() - EVERY
        rows = Reconciliation.objects.filter(namespace_id=namespace, made_at__gt=fresh)
        if rows.exists():
            return False
        record.defer("reconcile.run", lock=f"reconcile:{namespace}", namespace=namespace)
        return True


def is_due(*, namespace: str) -> bool:
    """Whether nobody has compared within the day."""
    fresh = clock.machine() - EVERY
    rows = Reconciliation.objects.filter(namespace_id=namespace, made_at__gt=fresh)
    return not rows.exists()


def write(*, namespace: str, provider: str, report: Report) -> Reconciliation:
    """Keep a report. A chargeback that nobody had told of is asked about at once, and what was
    agreed to on a page of ours that nobody follows is let go.
    """
    with transaction.atomic():
        for one in filter(_is_ours, report.differences):
            if one.kind in ("dispute", "reinstated"):
                _ask(one.sale)
            elif one.kind == AUTHORISED:
                checkout.let_go(sale_id=one.sale, intent_id=one.id)
        return Reconciliation.objects.create(
            namespace_id=namespace,
            provider=provider,
            made_at=clock.machine(),
            matched=report.matched,
            under_way=report.under_way,
            differences=[_plain(one) for one in report.differences],
        )


def _is_ours(one: Difference) -> bool:
    known = Sale.objects.filter(pk=one.sale).exists() or _is_deposit(one.sale)
    return one.what == "not_booked" and known


def _is_deposit(id_: str) -> bool:
    return bool(Deposit.objects.filter(pk=id_).exists())


def _ask(about: str) -> None:
    lock = f"{about}:chargeback"
    if _is_deposit(about):
        record.defer("deposit.ask_chargebacks", lock=lock, deposit_id=about)
    else:
        record.defer("chargeback.ask", lock=lock, sale_id=about)


def _plain(one: Difference) -> dict[str, Any]:
    return asdict(one)
