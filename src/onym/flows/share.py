"""The share of a displaced holder: set aside when the sale settles, paid when its holder claims it.

It is claimed after the time to appeal: an appeal that is right brings more than the share.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from onym.core import ledger
from onym.core import sale as sales
from onym.core.errors import AlreadyClosed, NotAllowed, NotFound
from onym.core.guidelines import Guidelines
from onym.flows import ledger as books
from onym.flows import record, screening
from onym.store import clock, ids, rowlocks
from onym.store.models import Appeal, DisplacedShare, Member, Payout, Sale


def keep(rows: Sequence[Sale], *, rules: Guidelines, now: datetime) -> None:
    """What these sales, just settled, set aside; the accounts that lost the handles are told."""
    for sale in rows:
        if not sale.share_minor or sale.seller_account_id is None:
            continue
        DisplacedShare.objects.create(
            sale=sale,
            namespace_id=sale.namespace_id,
            account_id=sale.seller_account_id,
            minor=sale.share_minor,
            currency=sale.currency,
            from_at=now + rules.periods["appeal_days"],
        )
        record.notify(
            namespace=sale.namespace_id,
            kind="share_waits",
            about=sale.id,
            account_id=sale.seller_account_id,
            now=now,
            facts={"handle": sale.handle.display},
        )


def claim(*, sale_id: str, by: str) -> Payout:
    """The member whose account lost the handle takes it; it is paid out like any proceeds. Whoever
    was handed the account whole since then has no part in it.

    Refuses `not_found` to anybody else, `not_allowed` before the time to appeal is over, and
    `already_closed` once it is claimed, or an appeal has answered otherwise, `name_needed`,
    `screening_held`, `screening_stale`.
    """
    screening.expect_clear(Member.objects.get(pk=by))
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        now = clock.now()
        row = DisplacedShare.objects.filter(pk=sale_id).first()
        if row is None or not row.is_of(by):
            raise NotFound("no share waits here")
        if row.claimed_at or sale.state != sales.State.SETTLED or _appealed(sale):
            raise AlreadyClosed("nothing waits any more")
        if now < row.from_at:
            raise NotAllowed("a share is claimed after the time to appeal")
        row.claimed_by_id, row.claimed_at = by, now
        row.save(update_fields=["claimed_by", "claimed_at"])
        entry = ledger.shared(sale=sale.id, amount=row.amount, member=by)
        books.book(entry, namespace=sale.namespace_id, at=now)
        return Payout.objects.create(
            id=ids.new("out"),
            sale=sale,
            member_id=by,
            amount_minor=row.minor,
            currency=row.currency,
            due_at=now,
        )


def _appealed(sale: Sale) -> bool:
    """An appeal about this sale that is open or was right."""
    rows = Appeal.objects.filter(handle=sale.handle, account_id=sale.seller_account_id)
    return bool(rows.filter(state__in=("open", "upheld")).exists())
