"""Holds: money of a wallet set aside for something, which ends once; docs/concepts/wallet.md.

Each act writes the hold's row and answers the entry that belongs to it: the caller books it in the
same transaction, together with whatever the hold is for.
"""

from __future__ import annotations

from datetime import datetime

from onym.core import ledger
from onym.core import wallet as core
from onym.core.money import Money
from onym.store import ids, rowlocks
from onym.store.models import Hold, Member


def make(
    member: Member, *, kind: str, subject: str, amount: Money, now: datetime
) -> tuple[Hold, ledger.Entry]:
    """Set `amount` aside; the caller has locked the wallet and seen that it is there."""
    row = Hold.objects.create(
        id=ids.new("hld"),
        namespace_id=member.namespace_id,
        member=member,
        kind=kind,
        subject=subject,
        amount_minor=amount.minor,
        currency=amount.currency,
        made_at=now,
    )
    return row, ledger.hold(hold=row.id, amount=amount, member=member.id)


def post(*, member: str, subject: str, now: datetime) -> Hold:
    """It goes where it was held for, by an entry of the caller's. Refuses `not_found`."""
    row = rowlocks.live_hold(member=member, subject=subject)
    _write(row, core.post(row.snapshot()), now=now)
    return row


def void(*, member: str, subject: str, now: datetime) -> ledger.Entry:
    """It may be used again. Refuses `not_found` when nothing is held for `subject`."""
    row = rowlocks.live_hold(member=member, subject=subject)
    _write(row, core.void(row.snapshot()), now=now)
    return ledger.voided(hold=row.id, amount=row.amount, member=member)


def _write(row: Hold, ended: core.Hold, *, now: datetime) -> None:
    row.state, row.posted_minor, row.ended_at = ended.state, ended.posted_minor, now
    row.save(update_fields=["state", "posted_minor", "ended_at"])
