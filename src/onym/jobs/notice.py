"""Sending notices and invitations: the text is made in the reader's language as it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from babel.dates import format_date
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from onym import ports
from onym.core.errors import Malformed
from onym.flows import invitation as invitations
from onym.flows import log, record
from onym.jobs.queue import again, task
from onym.ports.mail import Delivery, Message
from onym.queries import brand
from onym.queries import notice as letters


@task("notice.send")
def send(*, notice_id: str, attempt: int = 0) -> None:
    """One notice by its channel; suppression is checked here, an unknown fate is tried again."""
    letter = letters.letter(notice_id)
    if letter is None:
        return
    state: str
    if letter.channel == "mail":
        state = "suppressed" if letter.suppressed else _mail(letter).state
    else:
        state = _tell(letter)
    record.record_notice(notice_id=notice_id, state=state)
    if state == "unknown":
        again("notice.send", lock=notice_id, attempt=attempt, notice_id=notice_id)


def _mail(letter: letters.Letter) -> Delivery:
    subject, text, html = render(letter.kind, language=letter.language, facts=letter.facts)
    try:
        message = Message(
            to=letter.address,
            sender=settings.DEFAULT_FROM_EMAIL,
            subject=subject,
            text=text,
            html=html,
            headers=letter.headers,
            key=letter.id,
        )
    except Malformed as refusal:  # imported tables have addresses that cannot be written to
        return Delivery("bounced", refusal.detail)
    return ports.mail().send(message)


def _tell(letter: letters.Letter) -> str:
    subject, text, _ = render(letter.kind, language=letter.language, facts=letter.facts)
    said = ports.platform(letter.namespace).notify(
        account_id=letter.account_id or "",
        kind=letter.kind,
        text=f"{subject}\n\n{text}",
        href=letter.facts.get("href"),
        key=letter.id,
    )
    return "sent" if said.done else "bounced" if said.refused else "unknown"


def render(kind: str, *, language: str, facts: Mapping[str, Any]) -> tuple[str, str, str]:
    """Subject, text and HTML of a letter of this kind; the HTML says what the text says."""
    with translation.override(language):
        context = {**facts, "base": settings.BASE_URL, "language": language}
        context["team"] = brand.team_name()
        subject = " ".join(render_to_string(f"mail/{kind}.subject.txt", context).split())
        text = render_to_string(f"mail/{kind}.txt", context).strip() + "\n"
        rtl = translation.get_language_bidi()
        page = {"subject": subject, "text": text, "language": language, "rtl": rtl}
        return subject, text, render_to_string("mail/letter.html", page)


def day(at: datetime, *, language: str) -> str:
    """A day as the letters of this language write it."""
    return str(format_date(at, "long", locale=language))


@task("invitation.send")
def send_campaign(*, campaign_id: str, attempt: int = 0) -> None:
    """Every mail of a campaign, none before a published checkpoint covers the commitment.

    One of unknown fate holds up none of the others; it alone is tried again, as long as it stands.
    """
    log.integrate()
    states = [_invite(order.id) for order in letters.invitations(campaign_id)]
    if "unknown" in states:
        again("invitation.send", lock=campaign_id, attempt=attempt, campaign_id=campaign_id)
    else:
        invitations.sent(campaign_id=campaign_id)


def _invite(invitation_id: str) -> str:
    if not invitations.sending(invitation_id=invitation_id):
        return "kept"
    log.integrate()
    state = _mail(letters.invitation_letter(invitation_id)).state
    if state != "unknown":
        invitations.mailed(invitation_id=invitation_id)
    return state
