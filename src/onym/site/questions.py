"""What `onym init` asks: each with a default and a check of what was typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import urlsplit

from onym.core import names
from onym.core.errors import Malformed, Refusal
from onym.core.money import MINOR_DIGITS

Check = Callable[[str], str]
"""Gives the answer as it is kept. Refuses `malformed`, saying what would do."""


def _title(text: str) -> str:
    if not text or len(text) > 60 or not text.isprintable():
        raise Malformed("a title has one to sixty printable characters")
    return text


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise Malformed("write it as https://market.example, without a path")
    return text.rstrip("/")


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,38}", text):
        raise Malformed("a namespace is lower-case letters, digits and hyphens, a letter first")
    return text


def _profile(text: str) -> str:
    if text not in names.PROFILES:
        raise Malformed(f"a profile is one of {', '.join(sorted(names.PROFILES))}")
    return text


def _currency(text: str) -> str:
    code = text.upper()
    if code not in MINOR_DIGITS:
        raise Malformed(f"a currency is one of {', '.join(sorted(MINOR_DIGITS))}")
    return code


def _database(text: str) -> str:
    """Empty, or one that answers and is new enough."""
    if text:
        from onym.site import database

        try:
            database.check_version(text)
        except Refusal as refusal:
            raise Malformed(refusal.detail) from None
    return text


def _sender(text: str) -> str:
    address = parseaddr(text)[1]
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", address):
        raise Malformed("write it as Handle Team <team@market.example>")
    return text


def _contact(text: str) -> str:
    if text and not re.fullmatch(r"https://\S+|[^@\s<>:]+@[^@\s<>]+\.[^@\s<>]+", text):
        raise Malformed("write one address of mail or of a page (https://…), or leave it empty")
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", text):
        raise Malformed("a host name or an address")
    return text


def _port(text: str) -> str:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Malformed("a port is a number from 1 to 65535")
    return text


def _flag(text: str) -> str:
    if text.lower() not in ("yes", "no", "y", "n", "1", "0", "on", "off"):
        raise Malformed("yes or no")
    return "1" if text.lower() in ("yes", "y", "1", "on") else ""


def _outside(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Malformed("write it as https://platform.example/onym, or leave it empty")
    return text.rstrip("/")


def _payments_key(text: str) -> str:
    if text and not re.fullmatch(r"[sr]k_(test|live)_\w+", text):
        raise Malformed("a secret key begins with sk_ or rk_; leave it empty for now")
    return text


def _secret(text: str) -> str:
    if not text.isprintable() or " " in text:
        raise Malformed("a secret has no spaces")
    return text


@dataclass(frozen=True, slots=True)
class Question:
    """`name` is the flag and the name in a file of answers; `setting` what keeps the answer."""

    name: str
    setting: str
    words: str
    default: str
    check: Check
    section: str
    is_secret: bool = False


ALL = (
    Question("title", "ONYM_SITE_NAME", "Name of the market", "Handle Marketplace", _title, "Site"),
    Question(
        "base-url",
        "ONYM_BASE_URL",
        "Where people find it",
        "http://127.0.0.1:8000",
        _base_url,
        "Site",
    ),
    Question(
        "namespace",
        "ONYM_NAMESPACE",
        "Namespace: a short word for your platform",
        "main",
        _namespace,
        "Site",
    ),
    Question("profile", "ONYM_PROFILE", "Which handles it has (profile)", "x", _profile, "Site"),
    Question("currency", "ONYM_CURRENCY", "Currency of all prices", "USD", _currency, "Site"),
    Question(
        "database-url",
        "DATABASE_URL",
        "Database; empty for the embedded one",
        "",
        _database,
        "Database",
        is_secret=True,
    ),
    Question(
        "mail-from",
        "ONYM_MAIL_FROM",
        "Sender of all letters",
        "Handle Team <team@onym.example>",
        _sender,
        "Mail",
    ),
    Question(
        "security-contact",
        "ONYM_SECURITY_CONTACT",
        "Who is told of weak points (an address)",
        "",
        _contact,
        "Mail",
    ),
    Question("smtp-host", "ONYM_SMTP_HOST", "Mail server", "127.0.0.1", _host, "Mail"),
    Question("smtp-port", "ONYM_SMTP_PORT", "Its port", "25", _port, "Mail"),
    Question("smtp-tls", "ONYM_SMTP_TLS", "STARTTLS there", "no", _flag, "Mail"),
    Question(
        "smtp-user",
        "ONYM_SMTP_USER",
        "Name to sign in there with; empty for none",
        "",
        _secret,
        "Mail",
    ),
    Question(
        "smtp-password",
        "ONYM_SMTP_PASSWORD",
        "Password there; empty for none",
        "",
        _secret,
        "Mail",
        is_secret=True,
    ),
    Question(
        "dkim-selector",
        "ONYM_DKIM_SELECTOR",
        "DKIM selector of your mail server; empty if unknown",
        "",
        _secret,
        "Mail",
    ),
    Question(
        "platform-url",
        "ONYM_PLATFORM_URL",
        "Address of the platform's contract; empty for later",
        "",
        _outside,
        "Outside world",
    ),
    Question(
        "payments-key",
        "ONYM_PAYMENTS_KEY",
        "Secret key at the payment provider; empty for later",
        "",
        _payments_key,
        "Outside world",
        is_secret=True,
    ),
    Question(
        "payments-webhook-secret",
        "ONYM_PAYMENTS_WEBHOOK_SECRET",
        "What its messages are signed with; empty for later",
        "",
        _secret,
        "Outside world",
        is_secret=True,
    ),
)
"""In the order in which they are asked."""
