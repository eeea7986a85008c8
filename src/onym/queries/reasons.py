"""Reason codes in words: what a holder reads of the rules that decided about a handle."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

WORDS = {
    "idle_login": gettext_noop("nobody has signed in to the account for a long time"),
    "idle_post": gettext_noop("nothing has been posted for a long time"),
    "idle_write": gettext_noop("nothing has been written for a long time"),
    "idle_api": gettext_noop("no program has used the account for a long time"),
    "idle_payment": gettext_noop("nothing has been paid for a long time"),
    "not_idle_login": gettext_noop("somebody has signed in to the account lately"),
    "not_idle_post": gettext_noop("something has been posted lately"),
    "not_idle_write": gettext_noop("something has been written lately"),
    "not_idle_api": gettext_noop("a program has used the account lately"),
    "not_idle_payment": gettext_noop("something has been paid lately"),
    "unknown_last_login_at": gettext_noop("nobody knows when the account was last signed in to"),
    "unknown_memorial": gettext_noop("nobody knows whether the account is a memorial"),
    "unknown_verified": gettext_noop("nobody knows whether the account is verified"),
    "unknown_public_body": gettext_noop("nobody knows whether it belongs to a public body"),
    "unknown_legal_hold": gettext_noop("nobody knows whether it is under a legal hold"),
    "unknown_minor": gettext_noop("nobody knows whether it belongs to a minor"),
    "unknown_dispute_open": gettext_noop("nobody knows whether a dispute about it is open"),
    "unknown_appeal_open": gettext_noop("nobody knows whether an appeal about it is open"),
    "unknown_subscriber": gettext_noop("nobody knows whether it pays for a subscription"),
    "not_site_dead": gettext_noop("the linked site answers"),
    "unknown_site_alive": gettext_noop("nobody knows whether the linked site answers"),
    "unknown_last_post_at": gettext_noop("nobody knows when something was last posted"),
    "unknown_status": gettext_noop("nobody knows whether the account is suspended"),
    "suspension_not_final": gettext_noop("the suspension is not final yet"),
    "site_dead": gettext_noop("the linked site does not answer"),
    "suspended": gettext_noop("the account was suspended for good"),
    "bot": gettext_noop("the account is almost surely run by a program"),
    "many_references": gettext_noop("too much refers to the handle for anybody else to have it"),
}
"""Rules of the built-in policies; an operator's own rule is shown by its code."""


def phrases(codes: Iterable[str], *, language: str) -> list[str]:
    """Each code in words of `language`, the code itself where there are none."""
    with translation.override(language):
        return [_(WORDS[code]) if code in WORDS else code for code in codes]
