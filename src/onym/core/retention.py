"""How long each class of personal data is kept, as data; docs/concepts/privacy.md.

A class counts from one instant; what is older by its days loses whatever names a person. What the
books and the log hold are pseudonyms and figures, which stay.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from types import MappingProxyType
from typing import Final

from onym.core.errors import Malformed

LONGEST_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of data: what it is, and from which instant its days count."""

    what: str
    since: str


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "sessions": Kind("browser and address of a session", "its end"),
        "mail_codes": Kind(
            "address and name that a code was sent to, name in an answer by link",
            "the code was ordered",
        ),
        "notices": Kind("address that a notice was sent to", "the notice was made"),
        "invitations": Kind("recipient and link of a private offer", "the offer was closed"),
        "appeals": Kind("text of an appeal", "the decision"),
        "deliveries": Kind("messages to relying sites", "they were heard or given up"),
        "webhooks": Kind("address of a relying site", "its webhook ended"),
        "watch_hits": Kind("what a watch found", "it was found"),
        "disclosures": Kind("who of the staff looked at confidential data", "the look"),
        "directories": Kind("account tables before the last two", "the import"),
    }
)

PERSONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "InvitationSent": ("recipient",),
        "AppealDecided": ("evidence",),
        "HandleWarned": ("evidence",),
        "Kept": ("evidence",),
        "Resting": ("evidence",),
        "Released": ("evidence",),
        "Restored": ("evidence",),
        "Retired": ("evidence",),
    }
)
"""Committed fields that tell of a person: their openings may be destroyed, by type of event."""


def built_in() -> Mapping[str, int]:
    """Days by class, as shipped."""
    return read(resources.files("onym.core").joinpath("data/retention.toml").read_text())


def read(text: str) -> Mapping[str, int]:
    """Days by class; a class left out keeps the built-in ones. Refuses `malformed`."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise Malformed(f"the retention table is no TOML: {fault}") from fault
    for name, days in told.items():
        if name not in KINDS:
            raise Malformed(f"no such class of data: {name}; there are {', '.join(KINDS)}")
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= LONGEST_DAYS:
            raise Malformed(f"{name}: a whole number of days, 1 to {LONGEST_DAYS}")
    return told if len(told) == len(KINDS) else {**built_in(), **told}


def before(kept: Mapping[str, int], kind: str, *, now: datetime) -> datetime:
    """What is older than this instant has had its time."""
    return now - timedelta(days=kept[kind])
