"""A seller's account at the provider: asked for, looked at, and what had failed is tried again.

The provider keeps identity and bank details; here lies only whether it may be paid, and why not.
"""

from __future__ import annotations

from django.db import transaction

from onym.core import access
from onym.core.errors import AlreadyClosed, NotAllowed
from onym.core.sale import PayoutState
from onym.flows import record, staff
from onym.ports.payments import Account
from onym.store import clock, ids, rowlocks
from onym.store.models import Payout, PayoutAccount

GONE = "gone"
"""Why an account may not be paid that the provider does not know any more."""


def begin(*, member: str) -> PayoutAccount:
    """Order an account for a member who has none; one that is being made is left alone.

    Refuses `not_allowed` to the house, which is the provider's own client.
    """
    with transaction.atomic():
        who = rowlocks.member(member)
        now = clock.now()
        if who.is_house:
            raise NotAllowed("the house is not paid out")
        row, _ = PayoutAccount.objects.get_or_create(member=who)
        if not row.account:
            row.why_not, row.looked_at = "", now
            row.save(update_fields=["why_not", "looked_at"])
            lock = f"{member}:payout"
            record.defer("payout.connect", lock=lock, member_id=member, key=ids.new("pac"))
        return row


def connected(*, member: str, provider: str, account: str) -> None:
    """The provider has made an account; a second one for the same member is not used."""
    with transaction.atomic():
        row = rowlocks.payout_account(member)
        clock.now()
        if not row.account:
            row.provider, row.account = provider, account
            row.save(update_fields=["provider", "account"])
            record.defer("payout.look", lock=f"{member}:payout", member_id=member)


def look(*, member: str) -> None:
    """The seller comes back from the provider: ask how the account stands."""
    with transaction.atomic():
        clock.now()
        if PayoutAccount.objects.filter(pk=member).exclude(account="").exists():
            record.defer("payout.look", lock=f"{member}:look", member_id=member)


def looked(*, member: str, account: str, told: Account | None) -> None:
    """What the provider says of the account; None: it knows it no more, so another is needed.

    Once it may be paid, payouts that were refused are due again, each under a new key: ordered
    here and done by `send_anew`, since a sale is not locked after an account.
    """
    with transaction.atomic():
        row = rowlocks.payout_account(member)
        now = clock.now()
        if row.account != account:
            return
        was_ready, row.looked_at = row.ready_at is not None, now
        if told is None:
            row.account, row.missing, row.why_not, row.ready_at = "", [], GONE, None
        else:
            row.missing, row.why_not = list(told.missing), told.why_not
            row.ready_at = (row.ready_at or now) if told.ready else None
        row.save()
        if row.ready_at and not was_ready:
            order_anew(member=member)


def order_anew(*, member: str) -> None:
    """A job does `send_anew`, once what is said of the account in this transaction is written."""
    record.defer("payout.send_anew", lock=f"{member}:anew", member_id=member)


def _refused(member: str) -> list[str]:
    """Of sales: what was to leave a wallet is back in it."""
    rows = Payout.objects.filter(member_id=member, state=PayoutState.REFUSED, sale__isnull=False)
    rows = rows.order_by("id")
    return list(rows.values_list("id", flat=True))


def send_anew(*, member: str) -> None:
    """The account is ready or another: what was refused is due again, each under a new key."""
    for payout_id in _refused(member):
        with transaction.atomic():
            row = rowlocks.payout(payout_id)
            clock.now()
            _retry(row)


def _retry(payout: Payout) -> None:
    if payout.state == PayoutState.REFUSED:
        payout.state, payout.reason, payout.provider_id = PayoutState.DUE, "", None
        payout.account = ""
        payout.attempt += 1
        payout.save()


def retry(*, payout_id: str, by: str) -> Payout:
    """Staff say that the cause of a refusal is gone: it is due again, under a new key.

    Refuses `not_allowed`, and `already_closed` for a payout that was not refused.
    """
    with transaction.atomic():
        payout = rowlocks.payout(payout_id)
        clock.now()
        staff.expect(by, access.Action.DECIDE_CLAIM, namespace=payout.place)
        if payout.state != PayoutState.REFUSED or payout.sale_id is None:
            raise AlreadyClosed(f"the payout is {payout.state}", state=payout.state)
        _retry(payout)
        return payout
