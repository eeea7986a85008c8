"""Sessions whose contents are sealed: a dump shows neither a secret being set up nor a kept form.

Django calls the class by this name, and loads it from the setting SESSION_ENGINE.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.exceptions import InvalidTag
from django.contrib.sessions.backends import db

from onym.store import secrets


class SessionStore(db.SessionStore):
    """The database's, sealed under its own key: it opens in its own row alone."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        return secrets.seal(json.dumps(session_dict), place=self._place()).hex()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """What cannot be opened (another key, another row) is an empty session."""
        try:
            sealed = bytes.fromhex(str(session_data))
            found: dict[str, Any] = json.loads(secrets.open_(sealed, place=self._place()))
        except (ValueError, InvalidTag):
            return {}
        return found

    def _place(self) -> str:
        return f"session.data/{self.session_key}"
