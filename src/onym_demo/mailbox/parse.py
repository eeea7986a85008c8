"""Read a letter as it came over the wire; a broken one is shown as well as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.utils import parseaddr

AUTOMATIC_PRECEDENCE = {"bulk", "junk", "list", "auto_reply"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """`sender` is the bare address of From; `headers` repeats a name's values line by line."""

    sender: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    message_id: str
    in_reply_to: str
    auto_submitted: str


def read(raw: bytes, *, envelope_sender: str) -> Parsed:
    found = message_from_bytes(raw, policy=policy.default)
    headers: dict[str, str] = {}
    for name in dict.fromkeys(found.keys()):
        headers[name] = "\n".join(_values(found, name))
    lower = {name.lower(): value for name, value in headers.items()}
    return Parsed(
        sender=parseaddr(lower.get("from", ""))[1] or envelope_sender,
        subject=lower.get("subject", ""),
        text=_body(found, "plain"),
        html=_body(found, "html"),
        headers=headers,
        message_id=lower.get("message-id", "").strip(),
        in_reply_to=lower.get("in-reply-to", "").strip(),
        auto_submitted=_automatic(lower, envelope_sender),
    )


def _values(found: Message, name: str) -> list[str]:
    try:
        return [_clean(str(value)) for value in found.get_all(name, [])]
    except (ValueError, IndexError, AttributeError, TypeError):  # what broken headers raise
        return [_clean(str(value)) for key, value in found.raw_items() if key == name]


def _clean(value: str) -> str:
    return value.encode(errors="replace").decode().strip()


def _body(found: Message, kind: str) -> str:
    assert isinstance(found, EmailMessage)  # noqa: S101 - policy.default makes no other
    try:
        part = found.get_body((kind,))
    except (ValueError, KeyError, AttributeError):
        return ""
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("utf-8"), "replace").replace("\r\n", "\n")
    except LookupError:
        return data.decode("latin-1").replace("\r\n", "\n")


def _automatic(lower: dict[str, str], envelope_sender: str) -> str:
    """RFC 3834's word; a letter without a return path, or in bulk, counts as automatic, too."""
    said = lower.get("auto-submitted", "").strip().lower()
    if said:
        return said
    bulk = lower.get("precedence", "").strip().lower() in AUTOMATIC_PRECEDENCE
    return "auto-replied" if bulk or not envelope_sender else ""
