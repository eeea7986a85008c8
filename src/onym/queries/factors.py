"""Second factors: which ones a member has set up, and what the session has been shown of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from django.http import HttpRequest

STRONG = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""What may sell and open the desk; a recovery code only mends what was lost."""


def given_at(request: HttpRequest) -> datetime | None:
    """When a passkey or TOTP last stood behind this session, on the machine's clock."""
    return _last(r for r in _records(request) if _is_factor(r) and r.get("type") in STRONG)


def proven_at(request: HttpRequest, *, user_id: int) -> datetime | None:
    """When the member last proved who they are, by the strongest kind of proof they have."""
    guarded = has_factor(user_id)
    return _last(r for r in _records(request) if _is_factor(r) or not guarded)


def has_factor(user_id: int) -> bool:
    """Whether a passkey or TOTP is set up."""
    found: bool = Authenticator.objects.filter(user_id=user_id, type__in=STRONG).exists()
    return found


def factors(user_id: int) -> dict[str, Any]:
    """`totp` and `recovery_codes` (how many are left) or None, and the passkeys by age."""
    rows = list(Authenticator.objects.filter(user_id=user_id).order_by("id"))
    by_type = {row.type: row for row in rows}
    totp = by_type.get(Authenticator.Type.TOTP)
    codes = by_type.get(Authenticator.Type.RECOVERY_CODES)
    return {
        "totp": _view(totp) if totp else None,
        "passkeys": [_view(row) for row in rows if row.type == Authenticator.Type.WEBAUTHN],
        "recovery_codes": 10 - codes.data["used_mask"].bit_count() if codes else None,
    }


def _view(row: Authenticator) -> dict[str, Any]:
    return {
        "id": row.pk,
        "name": row.data.get("name", ""),
        "made_at": row.created_at,
        "used_at": row.last_used_at,
    }


def _records(request: HttpRequest) -> list[dict[str, Any]]:
    user = request.user
    found: list[dict[str, Any]] = get_authentication_records(request, user)
    return found


def _is_factor(record: Mapping[str, Any]) -> bool:
    return record.get("method") == "mfa"


def _last(records: Any) -> datetime | None:
    instants = [float(record["at"]) for record in records]
    return datetime.fromtimestamp(max(instants), UTC) if instants else None
