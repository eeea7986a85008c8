"""Log lines: for people, or one JSON object a line; neither holds an address or a token.

docs/guides/observing.md.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from onym.core import trace

SECRETS = (
    (re.compile(r"[^\s@<>\"']+@[^\s@<>\"',;]+\.[^\s@<>\"',;]+"), "<address>"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 <token>"),
    (re.compile(r"\b(?:sk|rk|pk|whsec)_[A-Za-z0-9_]+"), "<key>"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), "://<password>@"),
    (re.compile(r"(?<=/)[A-Za-z0-9_-]{40,}"), "<token>"),
)
"""What is taken out of every line: addresses, tokens, keys, passwords and secret links."""

FIELDS = ("method", "route", "status", "ms", "task")
"""What a line may say beside its message."""


def scrubbed(text: str) -> str:
    """The text without what must not be kept."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


class Line(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        id_ = trace.current()
        return scrubbed(super().format(record)) + (f" [{id_}]" if id_ else "")


class Json(logging.Formatter):
    """One object a line: `at`, `level`, `logger`, `message`, and what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": scrubbed(record.getMessage()),
        }
        if trace.current():
            told["request_id"] = trace.current()
        told |= {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            told["exception"] = scrubbed(self.formatException(record.exc_info))
        return json.dumps(told, ensure_ascii=False)
