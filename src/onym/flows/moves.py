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
    made = None
    while made is None:
        before = _in_use(namespace)
        found = _moved(before, snapshot)  # compared before anything is locked: they may be large
        made = _taken_in(namespace, snapshot, since=before, found=found)
    return made


def _in_use(namespace: str) -> str | None:
    last = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
    return last.values_list("path", flat=True).first()


def _moved(before: str | None, snapshot: directories.Snapshot) -> list[tuple[str, str, str]]:
    if before is None or not Path(before).exists():
        return []
    return list(moves.moved(Path(before), snapshot.path))


def _taken_in(
    namespace: str,
    snapshot: directories.Snapshot,
    *,
    since: str | None,
    found: list[tuple[str, str, str]],
) -> str | None:
    """None if another import came between: then the comparison was with the wrong one."""
    with transaction.atomic():
        rowlocks.namespace(namespace)
        if _in_use(namespace) != since:
            return None
        made = names.import_directory(namespace=namespace, snapshot=snapshot)
        now = clock.now()
        for handle, account_id, display in _in_order_of_locks(namespace, found):
            _recognise(namespace, handle, account_id=account_id, display=display, now=now)
        return made


def _in_order_of_locks(
    namespace: str, found: list[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    named = [handle for handle, _, _ in found]
    rows = Handle.objects.filter(namespace_id=namespace, handle__in=named)
    places = dict(rows.values_list("handle", "id"))
    return sorted(found, key=lambda move: places.get(move[0], 0))


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
