"""Taking away what has had its time: each class of personal data, once a day; ADR 0061.

What market time measures is judged by the market's clock, the rest by the machine's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Concat

from onym.core import retention as core
from onym.flows import record
from onym.store import clock, secrets
from onym.store.models import (
    Appeal,
    Delivery,
    DirectoryImport,
    Disclosure,
    Event,
    Invitation,
    MailCode,
    Notice,
    OfferAnswer,
    WatchHit,
    Webhook,
)

LOCK = 0x6B656570  # an advisory lock of ours: one process at a time takes things away
KEPT_DIRECTORIES = 2
MACHINES = ("sessions", "mail_codes", "deliveries")
"""Judged by the machine's clock."""


def purge() -> dict[str, int]:
    """Everything that has had its time, by class; empty while another process is at it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                return {}
        return {kind: run(_before(kind)) for kind, run in CLASSES.items()}


def _before(kind: str) -> datetime:
    now = clock.machine() if kind in MACHINES else clock.now()
    return core.before(settings.RETENTION, kind, now=now)


def _sessions(before: datetime) -> int:
    ended = Session.objects.filter(expire_date__lt=before)
    ended.delete()
    alive = Session.objects.values("session_key")
    return int(UserSession.objects.exclude(session_key__in=alive).delete()[0])


def _mail_codes(before: datetime) -> int:
    """Those for a profile too, which may name whoever answers an offer."""
    OfferAnswer.objects.filter(ordered_at__lt=before).delete()
    return int(MailCode.objects.filter(ordered_at__lt=before).delete()[0])


def _notices(before: datetime) -> int:
    return nameless(Notice.objects.filter(made_at__lt=before))


def nameless(notices: object) -> int:
    """The address of each is gone; that something was sent, and when, stays."""
    rows = notices.filter(~Q(address_sealed=None))  # type: ignore[attr-defined]  # a query of ours
    gone = Concat(Value("gone:"), F("id"))
    return int(rows.update(address_sealed=None, address_index=gone))


def _invitations(before: datetime) -> int:
    rows = Invitation.objects.filter(closed_at__lt=before).exclude(recipient_sealed=b"")
    return strangers(list(rows.values_list("id", flat=True)))


def strangers(ids: list[str]) -> int:
    """Nobody knows any more whom these invitations went to; their leaves stay as they are."""
    rows = list(Invitation.objects.filter(pk__in=ids))
    for row in rows:
        row.leaf = row.candidate
        row.recipient_sealed, row.token_sealed, row.salt = b"", b"", b""
        row.recipient_index = f"gone:{row.id}"
    gone = ("leaf", "recipient_sealed", "token_sealed", "salt", "recipient_index")
    count = Invitation.objects.bulk_update(rows, gone, batch_size=500)
    forget_openings(Event.objects.filter(type="InvitationSent", ref__in=ids))
    return count


def _appeals(before: datetime) -> int:
    rows = Appeal.objects.filter(decided_at__lt=before).exclude(text_sealed=b"")
    return silent(list(rows.values_list("id", flat=True)))


def silent(ids: list[str]) -> int:
    """What these appeals said is gone; that they were made, and how they were decided, stays."""
    forget_openings(Event.objects.filter(type="AppealDecided", ref__in=ids))
    return int(Appeal.objects.filter(pk__in=ids).update(text_sealed=b""))


def forget_openings(events: object) -> int:
    """Destroy what opens commitments about a person; the leaves, and all proofs, stay valid."""
    found = 0
    for row in events.exclude(openings=None):  # type: ignore[attr-defined]  # a query of ours
        place = record.openings_place(row.type, row.ref)
        known = json.loads(secrets.open_(row.openings, place=place))
        kept = {k: v for k, v in known.items() if k not in core.PERSONAL.get(row.type, ())}
        if kept != known:
            row.openings = secrets.seal(json.dumps(kept), place=place) if kept else None
            row.save(update_fields=["openings"])
            found += 1
    return found


def _deliveries(before: datetime) -> int:
    """Messages that are over; and secrets that no longer sign, whatever their age."""
    now = clock.machine()
    Webhook.objects.filter(secret_before_until__lt=now).update(
        secret_before_sealed=None, secret_before_until=None
    )
    over = Delivery.objects.exclude(state="pending")
    ended = over.annotate(at=Coalesce("answered_at", "made_at")).filter(at__lt=before)
    return int(ended.delete()[0])


def _webhooks(before: datetime) -> int:
    """Those that ended and have no message left that is kept."""
    ended = Webhook.objects.filter(ended_at__lt=before, delivery=None)
    return int(ended.delete()[0])


def _watch_hits(before: datetime) -> int:
    return int(WatchHit.objects.filter(at__lt=before).delete()[0])


def _disclosures(before: datetime) -> int:
    return int(Disclosure.objects.filter(at__lt=before).delete()[0])


def _directories(before: datetime) -> int:
    """Files of old imports, and of none of a namespace's last two, from which verdicts are told."""
    found = 0
    for namespace in DirectoryImport.objects.values_list("namespace_id", flat=True).distinct():
        rows = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
        for row in rows[KEPT_DIRECTORIES:]:
            if row.at < before and Path(row.path).exists():
                shutil.rmtree(row.path, ignore_errors=True)
                found += 1
    return found


CLASSES: Mapping[str, Callable[[datetime], int]] = {
    "sessions": _sessions,
    "mail_codes": _mail_codes,
    "notices": _notices,
    "invitations": _invitations,
    "appeals": _appeals,
    "deliveries": _deliveries,
    "webhooks": _webhooks,
    "watch_hits": _watch_hits,
    "disclosures": _disclosures,
    "directories": _directories,
}
