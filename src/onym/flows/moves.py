"""Taking a new import into use, and writing down what the platform itself has moved since the last
one: whoever holds a handle now holds it since the import that says so, and not since ever.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.db import transaction

from onym.core.handle import State
from onym.flows import hook, names, transfer
from onym.store import clock, rowlocks
from onym.store.models import DirectoryImport, Handle, SaleSlot, Tenure
from onym.sweep import directory as directories
from onym.sweep import moves


def import_directory(*, namespace: str, snapshot: directories.Snapshot) -> str:
    """As `names.import_directory`, and in the same transaction every move since the last import.

    What is being sold, locked or retained is left to its sale. Refuses `not_found`.
    """
    with transaction.atomic():
        last = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
        before = last.values_list("path", flat=True).first()
        made = names.import_directory(namespace=namespace, snapshot=snapshot)
        if before is not None and Path(before).exists():
            now = clock.now()
            for handle, account_id, display in moves.moved(Path(before), snapshot.path):
                _recognise(namespace, handle, account_id=account_id, display=display, now=now)
        return made


def _recognise(
    namespace: str, handle: str, *, account_id: str, display: str, now: datetime
) -> None:
    if not Handle.objects.filter(namespace_id=namespace, handle=handle).exists():
        _make(namespace, handle, account_id=account_id, display=display, now=now)
        return
    row = rowlocks.handle(namespace=namespace, handle=handle)
    before = row.account_id
    is_busy = row.locked_by is not None or SaleSlot.objects.filter(pk=row.pk).exists()
    if before == account_id or is_busy or row.retained_for is not None:
        return
    if row.state not in (State.RESERVED, State.PROTECTED, State.PROHIBITED, State.RETIRED):
        row.state = State.HELD
    transfer.change_holder(row, to=account_id, cause="platform", now=now)
    hook.order(row, before=before, about=f"{row.id}-{now:%Y%m%dT%H%M%S%f}", now=now)


def _make(namespace: str, handle: str, *, account_id: str, display: str, now: datetime) -> None:
    row = Handle.objects.create(
        namespace_id=namespace,
        handle=handle,
        display=display,
        state=names.listed(namespace=namespace, canonical=handle) or State.HELD,
        account_id=account_id,
        changed_hands_at=now,
        touched_at=now,
    )
    Tenure.objects.create(handle=row, account_id=account_id, held_from=now, cause="platform")
