"""Publishing policies, fees, guidelines, taxes and limits: dated versions, never edited."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import guidelines, limits, tax
from onym.core.errors import AlreadyClosed, Malformed
from onym.core.events import Event, instant
from onym.core.fees import Schedule
from onym.core.policies import reading as policies
from onym.core.record import fee_table
from onym.flows import record
from onym.store import clock, rowlocks
from onym.store.models import Document

EVENTS = {
    "policy": "PolicyPublished",
    "fees": "FeesPublished",
    "guidelines": "GuidelinesPublished",
    "tax": "TaxPublished",
    "limits": "LimitsPublished",
}


def publish(
    *, namespace: str, kind: str, text: str, effective_from: datetime | None = None
) -> Document:
    """A new version, in force from `effective_from` on (never before now; None: at once).

    Refuses `malformed` with line and column, and `already_closed` for a version that exists.
    """
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        now = clock.now()
        name, version = _read(kind, text, currency=place.currency)
        if Document.objects.filter(namespace=place, kind=kind, name=name, version=version).exists():
            raise AlreadyClosed(f"{name} version {version} is published already")
        row = Document.objects.create(
            namespace=place,
            kind=kind,
            name=name,
            version=version,
            effective_from=max(effective_from or now, now),
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        body: dict[str, Any] = {
            "id": name,
            "version": str(version),
            "effective_from": instant(row.effective_from),
            "sha256": row.sha256,
        }
        if kind == "fees":
            schedule = Schedule.from_toml(text, currency=place.currency)
            body["schedule"] = fee_table([schedule])
        event = Event(EVENTS[kind], f"{kind}/{name}/{version}", body)
        record.log(event, namespace=namespace, at=now)
        return row


def _read(kind: str, text: str, *, currency: str) -> tuple[str, int]:
    if kind == "policy":
        policy = policies.read(text, "policy")
        return policy.id, policy.version
    if kind == "fees":
        schedule = Schedule.from_toml(text, currency=currency)
        return schedule.id, schedule.version
    if kind == "guidelines":
        rules = guidelines.parse(text)
        return rules.id, rules.version
    if kind == "tax":
        table = tax.parse(text)
        return table.id, table.version
    if kind == "limits":
        most = limits.parse(text)
        return most.id, most.version
    raise Malformed("a document is a policy, a fee schedule, guidelines, tax rates or limits")
