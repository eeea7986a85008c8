"""Calling the operator's hooks after a change of hands: in their order, until each is answered."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from onym.core import access
from onym.core.errors import AlreadyClosed
from onym.core.hook import OPEN, State
from onym.flows import record, staff
from onym.store import clock, ids, rowlocks
from onym.store.models import Handle, HookCall


def order(row: Handle, *, before: str | None, about: str, now: datetime) -> None:
    """Order every hook of the operator about a locked row that has just changed hands from
    `before`; ordered again for the same `about`, nothing is.
    """
    if not settings.HOOKS or HookCall.objects.filter(about=about).exists():
        return
    HookCall.objects.bulk_create(
        HookCall(
            id=ids.new("hok"),
            handle=row,
            about=about,
            position=position,
            name=hook.name,
            url=hook.url,
            holder_before=before,
            holder_after=row.account_id,
            ordered_at=now,
        )
        for position, hook in enumerate(settings.HOOKS)
    )
    _call(about)


def _call(about: str) -> None:
    record.defer("hook.call", lock=f"hooks-{about}", about=about)


def record_answer(*, call_id: str, state: State, code: str = "") -> bool:
    """What the hook said. True when the next one may be called: a refusal holds up no other."""
    with transaction.atomic():
        row = rowlocks.hook_call(call_id)
        if row.state in OPEN:
            row.state, row.code, row.answered_at = state, code[:80], clock.now()
            row.save(update_fields=["state", "code", "answered_at"])
        return row.state not in OPEN


def call_again(*, call_id: str, by: str) -> HookCall:
    """Ask a hook again that has refused, under a new key. Refuses `not_found`, `not_allowed`,
    `already_closed`.
    """
    with transaction.atomic():
        row = rowlocks.hook_call(call_id)
        staff.expect(by, access.Action.SEND_AGAIN, namespace=row.handle.namespace_id)
        if row.state != State.REFUSED:
            raise AlreadyClosed("only a hook that has refused is called again by hand")
        row.state, row.series = State.PENDING, row.series + 1
        row.save(update_fields=["state", "series"])
        _call(row.about)
        return row
