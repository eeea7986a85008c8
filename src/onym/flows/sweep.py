"""Sweeps asked for by the desk: the work is a job, its findings become a plan to be approved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from onym.core import access
from onym.core.errors import NotFound
from onym.flows import record
from onym.store import clock, ids
from onym.store.models import DirectoryImport, Document, ListEntry, Member


@dataclass(frozen=True, slots=True)
class Order:
    """What a sweep reads, and where its findings and its stock go."""

    namespace: str
    accounts: Path
    policy: str
    as_of: datetime
    out: Path
    stock: Path
    lists: Mapping[str, list[str]]


def order(*, namespace: str, policy: str, by: str) -> dict[str, Any]:
    """Order a sweep of the last import under a published policy.

    Refuses `not_allowed`, and `not_found` for a policy that is not published or without an import.
    """
    with transaction.atomic():
        now = clock.now()
        access.expect(Member.objects.get(pk=by).snapshot(), access.Action.SWEEP)
        _published(namespace, policy, now=now)
        if not DirectoryImport.objects.filter(namespace_id=namespace).exists():
            raise NotFound("no accounts have been imported yet")
        id_ = ids.new("swp")
        record.defer("sweep.run", lock=id_, sweep_id=id_, namespace=namespace, policy=policy, by=by)
        return {"sweep": {"id": id_, "policy": policy, "state": "running"}}


def _published(namespace: str, policy: str, *, now: datetime) -> Document:
    rows = Document.objects.filter(namespace_id=namespace, kind="policy", name=policy)
    row = rows.filter(effective_from__lte=now).order_by("-version").first()
    if row is None:
        raise NotFound("no such policy is in force here")
    return row


def begin(*, sweep_id: str, namespace: str, policy: str) -> Order:
    """What the job needs; the policy's text lies beside the findings."""
    now = clock.now()
    place = Path(settings.DATA) / "namespaces" / namespace
    imported = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")[0]
    file = place / "sweeps" / f"{sweep_id}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_published(namespace, policy, now=now).text)
    entries = ListEntry.objects.filter(namespace_id=namespace)
    return Order(
        namespace=namespace,
        accounts=Path(imported.path),
        policy=str(file),
        as_of=now,
        out=place / "sweeps" / sweep_id,
        stock=place / "stock" / sweep_id,
        lists={
            name: list(entries.filter(list=name).values_list("handle", flat=True))
            for name in ("protected", "reserved")
        },
    )
