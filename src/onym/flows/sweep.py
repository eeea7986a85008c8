"""Sweeps asked for by the desk: the work is a job, its findings wait to be taken into use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from onym.core import access
from onym.core import sweep as core
from onym.core.errors import AlreadyClosed, NotFound
from onym.flows import plan, record, staff
from onym.store import clock, ids, rowlocks
from onym.store.models import DirectoryImport, Document, ListEntry, Sweep


@dataclass(frozen=True, slots=True)
class Order:
    """What a sweep reads, and where its findings, its stock and its progress go."""

    namespace: str
    accounts: Path
    policy: str
    as_of: datetime
    out: Path
    stock: Path
    progress: Path
    dry_run: bool
    lists: Mapping[str, list[str]]


def order(
    *,
    namespace: str,
    policy: str,
    by: str,
    as_of: datetime | None = None,
    dry_run: bool = False,
    adopts: bool = True,
) -> dict[str, Any]:
    """Order a sweep of the last import under a published policy, as of now or `as_of`.

    With `adopts` its findings are proposed as a plan at once; a dry run keeps only its counts.
    Refuses `not_allowed`, `malformed`, and `not_found` for a policy that is not in force or
    without an import.
    """
    with transaction.atomic():
        now = clock.now()
        staff.expect(by, access.Action.SWEEP, namespace=namespace)
        at = as_of or now
        core.expect_as_of(at, dry_run=dry_run, now=now)
        row = _in_force(namespace, policy, now=now)
        if not DirectoryImport.objects.filter(namespace_id=namespace).exists():
            raise NotFound("no accounts have been imported yet")
        made = Sweep.objects.create(
            id=ids.new("swp"),
            namespace_id=namespace,
            policy=policy,
            version=row.version,
            as_of=at,
            dry_run=dry_run,
            adopts=adopts and not dry_run,
            ordered_by_id=by,
            ordered_at=now,
        )
        record.defer("sweep.run", lock=made.id, sweep_id=made.id)
        return {"sweep": {"id": made.id, "policy": policy, "state": made.state}}


def _in_force(namespace: str, policy: str, *, now: datetime) -> Document:
    rows = Document.objects.filter(namespace_id=namespace, kind="policy", name=policy)
    row = rows.filter(effective_from__lte=now).order_by("-version").first()
    if row is None:
        raise NotFound("no such policy is in force here")
    return row


def begin(*, sweep_id: str) -> Order | None:
    """What the job needs; the policy's text lies beside the findings. None: it has ended."""
    made = Sweep.objects.get(pk=sweep_id)
    if made.state != core.State.RUNNING:
        return None
    namespace = made.namespace_id
    place = Path(settings.DATA) / "namespaces" / namespace
    imported = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")[0]
    file = place / "sweeps" / f"{sweep_id}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    policies = Document.objects.filter(namespace_id=namespace, kind="policy", name=made.policy)
    file.write_text(policies.get(version=made.version).text)
    entries = ListEntry.objects.filter(namespace_id=namespace)
    return Order(
        namespace=namespace,
        accounts=Path(imported.path),
        policy=str(file),
        as_of=made.as_of,
        out=place / "sweeps" / sweep_id,
        stock=place / "stock" / sweep_id,
        progress=progress_of(sweep_id=sweep_id, namespace=namespace),
        dry_run=made.dry_run,
        lists={
            name: list(entries.filter(list=name).values_list("handle", flat=True))
            for name in ("protected", "reserved")
        },
    )


def finish(
    *,
    sweep_id: str,
    accounts: int,
    verdicts: Mapping[str, int],
    reasons: Mapping[str, int],
    stock: Path | None,
) -> None:
    """The sweep is done; what it counted is kept, and its adoption ordered. Twice is nothing."""
    with transaction.atomic():
        row = rowlocks.sweep(sweep_id)
        now = clock.now()
        if row.state == core.State.RUNNING:
            row.state, row.ended_at, row.accounts = core.State.DONE, now, accounts
            row.verdicts, row.reasons = dict(verdicts), dict(reasons)
            row.stock = str(stock) if stock else ""
            row.save()
            if row.adopts:
                record.defer("sweep.adopt", lock=row.id, sweep_id=row.id)


def adopt(*, sweep_id: str) -> None:
    """Take a sweep that is done into use, or ask for the second person. Twice is nothing.

    Refuses `area_stopped`, and `not_allowed` who may order sweeps no more.
    """
    row = Sweep.objects.get(pk=sweep_id)
    with suppress(AlreadyClosed):
        plan.adopt(
            namespace=row.namespace_id,
            stock=Path(row.stock),
            by=row.ordered_by_id,
            starts_at=clock.now(),
        )


def fail(*, sweep_id: str) -> None:
    """The sweep could not be done; whoever wants it orders it again. A second time is nothing."""
    with transaction.atomic():
        row = rowlocks.sweep(sweep_id)
        now = clock.now()
        if row.state == core.State.RUNNING:
            row.state, row.ended_at = core.State.FAILED, now
            row.save(update_fields=["state", "ended_at"])


def progress_of(*, sweep_id: str, namespace: str) -> Path:
    """Where a running sweep writes how far it is."""
    return Path(settings.DATA) / "namespaces" / namespace / "sweeps" / f"{sweep_id}.progress"
