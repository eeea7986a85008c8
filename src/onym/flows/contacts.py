"""Whom the directory knows, and how the blocks of a snapshot that hold addresses are sealed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from onym.store import secrets
from onym.store.models import DirectoryImport
from onym.sweep import directory as directories

PLACE = "directory.contacts/block"


def seal(data: bytes) -> bytes:
    """Sealed under the installation's key; `open_` undoes it."""
    return secrets.seal(base64.b85encode(data).decode(), place=PLACE)


def open_(sealed: bytes) -> bytes:
    return base64.b85decode(secrets.open_(sealed, place=PLACE))


def directory(namespace: str) -> directories.Directory | None:
    """The last import's snapshot, opened once per process and kept."""
    row = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id").first()
    return directories.cached(Path(row.path), open_) if row else None


def language_of(account: Mapping[str, Any] | None) -> str:
    """A language that the site speaks; the first one where the account's is none of them."""
    spoken = [code for code, _ in settings.LANGUAGES]
    wanted = str((account or {}).get("locale") or "").replace("_", "-").split("-")[0].lower()
    return wanted if wanted in spoken else spoken[0]
