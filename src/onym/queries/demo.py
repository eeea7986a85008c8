"""The demo's people, as DATA/demo.json names them; nobody outside the demo."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings


def people() -> list[dict[str, str]]:
    """Role, mail address and member id of everybody who may sign in by one click."""
    written = Path(settings.DATA) / "demo.json"
    if not settings.DEMO or not written.exists():
        return []
    told = json.loads(written.read_text())
    found = told["people"] | told.get("samples", {})
    return [
        {"role": role, "mail": one["mail"], "member": one["member"]} for role, one in found.items()
    ]
