"""Handles: touching one, importing the directory, and filling the one sale slot."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import IntegrityError, transaction

from onym.core.errors import NotFound, SaleSlotTaken
from onym.core.events import Event
from onym.core.handle import State
from onym.core.names import canon
from onym.flows import contacts, record, standing
from onym.store import clock, ids, rowlocks
from onym.store.models import (
    DirectoryImport,
    Handle,
    ListEntry,
    Namespace,
    Reclaim,
    SaleSlot,
    Tenure,
)
from onym.sweep import directory as directories

LISTED = {
    "prohibited": State.PROHIBITED,
    "retired": State.RETIRED,
    "protected": State.PROTECTED,
    "reserved": State.RESERVED,
}
"""The operator's lists, strongest first, and the state that each gives a handle."""


def import_directory(*, namespace: str, snapshot: directories.Snapshot) -> str:
    """Take a written snapshot into use: from now on it says who holds what.

    Records DirectoryImported in the same transaction. Refuses `not_found` for the namespace.
    """
    with transaction.atomic():
        rowlocks.namespace(namespace)
        now = clock.now()
        row = DirectoryImport.objects.create(
            id=ids.new("imp"),
            namespace_id=namespace,
            path=str(snapshot.path),
            rows=snapshot.rows,
            root=snapshot.root,
            sha256=snapshot.sha256,
            at=now,
        )
        facts = {"count": snapshot.rows, "root": snapshot.root, "sha256": snapshot.sha256}
        record.log(Event("DirectoryImported", row.id, facts), namespace=namespace, at=now)
        # Who logged in since the sweep is given the handle back by the next round of the clock.
        Reclaim.objects.filter(plan__namespace_id=namespace, ended_at=None).update(next_at=now)
        return row.id


directory = contacts.directory
language_of = contacts.language_of


def spoken_by(namespace: str, account_id: str | None) -> str:
    """The same for the holder of an account, as the directory knows it."""
    known = directory(namespace)
    return language_of(known.by_account(account_id) if known and account_id else None)


def imported_at(namespace: str) -> datetime | None:
    """When the last import was taken into use."""
    rows = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
    return rows.values_list("at", flat=True).first()


def import_path(*, namespace: str, handle: str) -> dict[str, Any] | None:
    """The handle's inclusion path in the last import's root, as it stands in a leaf."""
    row = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id").first()
    path = directories.cached(Path(row.path)).path(handle) if row else None
    if row is None or path is None:
        return None
    hashes = [h.hex() for h in path.hashes]
    return {"import": row.id, "index": path.index, "size": path.size, "path": hashes}


def canonical_of(*, namespace: str, handle: str) -> str:
    """Any spelling as rows have it. Refuses `handle_malformed`, `not_found` for the namespace."""
    place = Namespace.objects.filter(pk=namespace).first()
    if place is None:
        raise NotFound(f"there is no namespace {namespace}")
    return canon(handle, place.profile)


def touch(*, namespace: str, handle: str) -> Handle:
    """The handle's row, locked: made from lists and directory if nobody touched it yet, and in the
    state that plan and time give it now (flows/standing).

    `handle` may be any spelling. Refuses `handle_malformed`, `not_found` for the namespace.
    """
    canonical = canonical_of(namespace=namespace, handle=handle)
    if not Handle.objects.filter(namespace_id=namespace, handle=canonical).exists():
        _make(namespace=namespace, canonical=canonical, display=handle)
    row = rowlocks.handle(namespace=namespace, handle=canonical)
    account = _account(namespace=namespace, canonical=canonical)
    standing.refresh(row, account=account, now=clock.now())
    return row


def _make(*, namespace: str, canonical: str, display: str) -> None:
    account = _account(namespace=namespace, canonical=canonical)
    state = listed(namespace=namespace, canonical=canonical)
    if state is None:
        state = State.HELD if account else State.FREE
    now = clock.now()
    made = Handle.objects.bulk_create(
        [
            Handle(
                namespace_id=namespace,
                handle=canonical,
                display=account.get("display") or canonical if account else display,
                state=state,
                account_id=account["account_id"] if account else None,
                touched_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    row = Handle.objects.get(namespace_id=namespace, handle=canonical)
    if made and account and not Tenure.objects.filter(handle=row).exists():
        held_from = account.get("created_at") or datetime(1970, 1, 1, tzinfo=UTC)
        Tenure.objects.create(
            handle=row, account_id=account["account_id"], held_from=held_from, cause="registered"
        )


def _account(*, namespace: str, canonical: str) -> Mapping[str, Any] | None:
    known = directory(namespace)
    return known.by_handle(canonical) if known else None


def listed(*, namespace: str, canonical: str) -> State | None:
    """The state that the strongest of the operator's lists gives the handle."""
    entries = ListEntry.objects.filter(namespace_id=namespace, handle=canonical)
    found = set(entries.values_list("list", flat=True))
    return next((state for name, state in LISTED.items() if name in found), None)


def fill_slot(row: Handle, *, kind: str, ref: str, instead_of: str | None, now: datetime) -> None:
    """Fill the one sale slot of a locked handle; `instead_of` is the ref that makes way.

    Refuses `sale_slot_taken`. The unique constraint refuses whatever slipped through.
    """
    slot = SaleSlot.objects.filter(pk=row.pk).first()
    if slot is not None and slot.ref != instead_of:
        raise SaleSlotTaken("the handle is already being sold", kind=slot.kind)
    if slot is not None:
        SaleSlot.objects.filter(pk=row.pk).update(kind=kind, ref=ref, filled_at=now)
        return
    try:
        with transaction.atomic():
            SaleSlot.objects.create(handle=row, kind=kind, ref=ref, filled_at=now)
    except IntegrityError as error:
        raise SaleSlotTaken("the handle is already being sold") from error


def free_slot(row: Handle, *, ref: str) -> None:
    """Empty the slot if `ref` fills it."""
    SaleSlot.objects.filter(pk=row.pk, ref=ref).delete()
