"""Settling many sales whose inspection has passed: the same checks and rows, one commit for all.

A sale on its own is settled by flows/sale; this exists because a busy hour ends many at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import handle
from onym.core import sale as core
from onym.core.guidelines import Guidelines
from onym.flows import ledger as books
from onym.flows import record, recovery, share
from onym.flows import sale as sale_flow
from onym.store import bulk, clock, ids, rowlocks
from onym.store.models import Handle, Payout, Sale, SaleSlot

MOST = 500
"""Sales that are settled in one commit; a longer list is several."""


def inspected_all(*, sale_ids: Iterable[str]) -> int:
    """Settle every one of these sales whose inspection has passed; answers how many.

    Early or repeated ones are left alone, exactly as `sale.inspected` does.
    """
    wanted, settled = list(dict.fromkeys(sale_ids)), 0
    for start in range(0, len(wanted), MOST):
        with transaction.atomic():
            rows = rowlocks.sales(wanted[start : start + MOST])
            now = clock.now()
            ripe = [row for row in rows if _is_ripe(row, now)]
            for place in sorted({row.namespace_id for row in ripe}):
                _settle([row for row in ripe if row.namespace_id == place], place=place, now=now)
            settled += len(ripe)
    return settled


def _is_ripe(row: Sale, now: datetime) -> bool:
    is_over = row.state == core.State.INSPECTION and now >= (row.inspection_until or now)
    return is_over and not row.frozen


def _settle(rows: list[Sale], *, place: str, now: datetime) -> None:
    rules: dict[str, Guidelines] = {}
    for row in rows:
        if row.versions["guidelines"] not in rules:
            rules[row.versions["guidelines"]] = sale_flow.pinned(row)
        row.state = core.inspect(row.snapshot(), now=now).state
    owed = [row for row in rows if not sale_flow.is_of_the_house(row) and row.proceeds_minor]
    own = [row for row in rows if sale_flow.is_of_the_house(row)]
    entries = [sale_flow.entry_of(row) for row in rows]
    books.book_all([*entries, *recovery.from_revenue(own, now=now)], namespace=place, at=now)
    at_once = books.into_wallets(owed)
    due = [_payout(row, rules[row.versions["guidelines"]], now) for row in owed]
    bulk.insert(
        Payout, [one | {"due_at": now} if one["member_id"] in at_once else one for one in due]
    )
    for ref, pinned in rules.items():
        share.keep([r for r in rows if r.versions["guidelines"] == ref], rules=pinned, now=now)
        _unlock([r for r in rows if r.versions["guidelines"] == ref], rules=pinned, now=now)
    _finish(rows, now=now)
    record.log(*(sale_flow.settled_event(row) for row in rows), namespace=place, at=now)
    record.notify_all(
        [
            (member.id, row.id, {"sale": row.id, "handle": row.handle.display})
            for row in rows
            for member in (row.buyer, row.seller)
            if not member.is_house
        ],
        namespace=place,
        kind="sale_settled",
        now=now,
    )


def _payout(row: Sale, rules: Guidelines, now: datetime) -> dict[str, Any]:
    return {
        "id": ids.new("out"),
        "sale_id": row.id,
        "member_id": row.seller_id,
        "amount_minor": row.proceeds_minor,
        "currency": row.currency,
        "due_at": now + rules.withdrawal_delay(row.money("price")),
    }


def _unlock(rows: list[Sale], *, rules: Guidelines, now: datetime) -> None:
    for row in rows:
        row.handle.locked_by = handle.unlock(row.handle.snapshot(), sale=row.id).locked_by
    until = now + rules.periods["cool_off_days"]
    held = Handle.objects.filter(pk__in=[row.handle_id for row in rows])
    held.update(locked_by=None, cool_off_until=until)


def _finish(rows: list[Sale], *, now: datetime) -> None:
    found = Sale.objects.filter(pk__in=[row.id for row in rows])
    found.update(state=core.State.SETTLED, closed_at=now, why="")
    SaleSlot.objects.filter(ref__in=[row.id for row in rows]).delete()
