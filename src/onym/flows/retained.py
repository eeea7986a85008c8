"""The handle that a buyer gives up: kept for them a while where the platform can, then free."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from onym.core import handle
from onym.core import transfer as core
from onym.core.names import placeholder
from onym.flows import hook, names, record, watch
from onym.flows import sale as sale_flow
from onym.flows.transfer import change_holder
from onym.store import clock, rowlocks
from onym.store.models import Handle, Transfer


def keep(*, transfer_id: str) -> None:
    """The mover's old handle is kept for them and redirects: its row says so until time is over.

    The platform reserves it in the move itself, so that nobody can take it in between. Where it
    cannot, the old handle is free at once, and here, too.
    """
    moved = Transfer.objects.select_related("sale", "namespace").get(pk=transfer_id)
    own = placeholder(moved.namespace.profile, moved.to)
    if moved.vacated is None or moved.vacated == moved.handle.handle:
        return
    if not core.is_kept(moved.vacated, placeholder=own):
        return
    with transaction.atomic():
        got = rowlocks.handle(namespace=moved.namespace_id, handle=moved.handle.handle)
        row = names.touch(namespace=moved.namespace_id, handle=moved.vacated)
        now = clock.now()
        if row.retained_for == moved.to:
            return
        if not moved.retains:
            if row.account_id == moved.to:
                _set_free(row, about=f"vacated-{moved.id}", now=now)
            return
        rules = sale_flow.guidelines_of(moved.namespace_id, now)
        row.state = handle.State.RESERVED
        if row.account_id in (moved.to, None):  # None: a placeholder that no import knows
            change_holder(row, to=moved.namespace.custodian_account_id, cause="retained", now=now)
        row.retained_for = moved.to
        row.redirect_to = got.handle if got.account_id == moved.to else None
        row.retained_until = now + rules.periods["retained_days"]
        row.save()


def let_go(*, handle_id: int) -> None:
    """A retained handle's time is over: it is free again, and the platform is told."""
    with transaction.atomic():
        found = Handle.objects.get(pk=handle_id)
        row = rowlocks.handle(namespace=found.namespace_id, handle=found.handle)
        now = clock.now()
        if row.retained_until is None or now < row.retained_until:
            return
        key = f"unreserve-{row.id}-{row.retained_until:%Y%m%dT%H%M%S}"
        _set_free(row, about=key, now=now)
        record.defer("transfer.unreserve", lock=key, handle_id=row.id, key=key)


def _set_free(row: Handle, *, about: str, now: datetime) -> None:
    """Nobody holds it any more: what was keyed by its text ends, and who waits for it is told."""
    before = row.account_id
    change_holder(row, to=None, cause="let_go", now=now)
    hook.order(row, before=before, about=about, now=now)
    row.state = handle.State.FREE
    row.retained_for = row.retained_until = row.redirect_to = None
    row.save()
    watch.note(watch.Hit("freed", about, row, now))
