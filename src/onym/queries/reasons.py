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
