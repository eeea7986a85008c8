"""Mail out and mail in: each message leaves under one name, so that a re-send can be recognised.

Out through any Django back end (plain SMTP, or django-anymail's); in as signed deliveries of a
mail server; docs/guides/mail.md.
"""

from __future__ import annotations

import hashlib
import re
import smtplib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parseaddr
from types import MappingProxyType
from typing import Any, Literal, Protocol

from anymail.exceptions import (  # type: ignore[import-untyped]  # it ships no types
    AnymailError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
)
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.validators import validate_email

from onym.core.errors import Malformed
from onym.ports import inbox

DeliveryState = Literal["sent", "bounced", "unknown"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")
OURS = {"from", "to", "cc", "bcc", "subject", "date", "message-id", "sender", "return-path"}
"""Headers that this module alone writes; beside them all that begin with MIME- or Content-."""

BAD_IN_HEADERS = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that may end or spoil a header line: controls, surrogates, separators."""

LONGEST_SUBJECT = 400


@dataclass(frozen=True, slots=True)
class Message:
    """One letter to one address.

    `to` is a bare address, `sender` an address with or without a name; `key` names the letter for
    ever and decides its Message-ID. Making one that could not be sent whole refuses `malformed`.
    """

    to: str
    sender: str
    subject: str
    text: str
    key: str
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        _check_address(self.to)
        _check_line(self.sender)
        _check_address(parseaddr(self.sender)[1])
        _check_line(self.subject)
        _check_text(self.text)
        _check_text(self.html)
        if not self.subject or len(self.subject) > LONGEST_SUBJECT or not self.key:
            raise Malformed("a letter needs a subject of at most 400 characters and a key")
        for name, value in self.headers.items():
            lower = name.lower()
            if not NAME.fullmatch(name) or lower in OURS or lower.startswith(("mime-", "content-")):
                raise Malformed("a header has no proper name", header=name[:60])
            _check_line(value)

    @property
    def message_id(self) -> str:
        """`<hash of key@sender's domain>`: the same letter has the same one, always."""
        domain = parseaddr(self.sender)[1].rpartition("@")[2].lower()
        return f"<{hashlib.sha256(self.key.encode()).hexdigest()[:40]}@{domain}>"


def _check_line(value: str) -> None:
    if any(unicodedata.category(mark) in BAD_IN_HEADERS for mark in value):
        raise Malformed("a header holds a line break or a control character")


def _check_text(text: str) -> None:
    if any(unicodedata.category(mark) == "Cs" for mark in text) or "\0" in text:
        raise Malformed("the text holds what cannot be sent")


def _check_address(address: str) -> None:
    _check_line(address)
    try:
        validate_email(address)
    except ValidationError:
        raise Malformed("not a mail address") from None
    if not address.isascii() and not address.rpartition("@")[0].isascii():
        raise Malformed("not a mail address that every server takes")


@dataclass(frozen=True, slots=True)
class Delivery:
    """`sent`: a server has taken it. `bounced`: refused for good. `unknown`: send it again.

    `reason` is the server's answer, or a word of ours when there was none.
    """

    state: DeliveryState
    reason: str = ""


class Mail(Protocol):
    def send(self, message: Message) -> Delivery: ...


class DjangoMail:
    """`Mail` over a Django mail back end; without arguments that of the settings."""

    def __init__(self, *, backend: str | None = None, **options: Any) -> None:
        """`options` go to the back end: `host`, `port`, `timeout`, … as its class names them."""
        self._backend = backend
        self._options = options

    def send(self, message: Message) -> Delivery:
        """Hand over once, over a connection of its own. Never raises for what a server says.

        A 5xx answer about the recipient or the letter is a bounce (RFC 5321, 4.2.1). A 4xx, a
        time-out, a line cut after the letter was handed over, and any trouble before the
        recipient was named are unknown: sending again is safe, the Message-ID is the same.
        """
        letter = _letter(message)
        letter.connection = get_connection(self._backend, fail_silently=False, **self._options)
        try:
            taken = letter.send()
        except smtplib.SMTPRecipientsRefused as error:
            return _answered(*next(iter(error.recipients.values())))
        except smtplib.SMTPDataError as error:
            return _answered(error.smtp_code, error.smtp_error)
        except smtplib.SMTPResponseException as error:
            return Delivery("unknown", _words(error.smtp_code, error.smtp_error))
        except (AnymailRecipientsRefused, AnymailInvalidAddress):
            return Delivery("bounced", "recipient refused")
        except (smtplib.SMTPException, AnymailError, OSError) as error:
            return Delivery("unknown", type(error).__name__)
        return Delivery("sent") if taken else Delivery("unknown", "not taken")


def _letter(message: Message) -> EmailMultiAlternatives:
    letter = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=message.sender,
        to=[message.to],
        headers={**message.headers, "Message-ID": message.message_id},
    )
    if message.html:
        letter.attach_alternative(message.html, "text/html")
    return letter


def _answered(code: int, words: bytes | str) -> Delivery:
    return Delivery("bounced" if 500 <= code < 600 else "unknown", _words(code, words))


def _words(code: int, words: bytes | str) -> str:
    """The server's words without any address: reasons are kept where addresses may not be."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {' '.join(re.sub(r'<?[^ <>]+@[^ <>]+>?', '…', text).split())}"[:200]


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A letter to one of our own addresses. `auto_submitted` is RFC 3834's word, or empty."""

    sender: str
    to: str
    subject: str
    text: str
    message_id: str
    in_reply_to: str
    auto_submitted: str


def read_inbound(*, payload: bytes, signature: str, keys: Sequence[str], now: float) -> InboundMail:
    """Check an `Onym-Signature` header and read the JSON object that it signs.

    `now` is the machine's clock in seconds. Refuses `not_allowed` and `malformed`.
    """
    inbox.check(payload=payload, signature=signature, keys=keys, now=now)
    body = inbox.read(payload)
    names = ("from", "to", "subject", "text", "message_id", "in_reply_to", "auto_submitted")
    values = [body.get(name, "") for name in names]
    if not all(isinstance(value, str) for value in values):
        raise Malformed("every field of an inbound letter is text")
    if not values[0] or not values[1]:
        raise Malformed("an inbound letter has a sender and a recipient")
    return InboundMail(*values)
