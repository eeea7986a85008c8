"""Sessions: where a member is signed in at present."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.http import HttpRequest

from onym.store import clock


def sessions(request: HttpRequest, *, user_id: int) -> list[dict[str, Any]]:
    """Those that are alive, the own one first, then the latest."""
    own = request.session.session_key
    rows = list(UserSession.objects.filter(user_id=user_id).order_by("-created_at"))
    keys = [row.session_key for row in rows]
    alive = Session.objects.filter(session_key__in=keys, expire_date__gt=clock.machine())
    living = set(alive.values_list("session_key", flat=True))
    found = [
        {
            "id": row.pk,
            "is_own": row.session_key == own,
            "browser": row.user_agent,
            "address": row.ip,
            "began_at": row.created_at,
        }
        for row in rows
        if row.session_key in living
    ]
    return sorted(found, key=lambda one: not one["is_own"])
