"""Who a member is to the market: linked accounts, staff roles, and kin who count as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from onym.core import screening
from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    Malformed,
    NotLinked,
    SecondFactorNeeded,
    SecondPersonNeeded,
    StaffMayNot,
)
from onym.core.events import canonical
from onym.tlog import merkle

LONGEST_NAME = 200
JOINERS = {0x200C: None, 0x200D: None}
"""Not seen themselves, but names in Persian and in Indian scripts are written with them."""
SECURITY_DELAY = timedelta(days=30)
FACTOR_IS_FRESH = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Member:
    """`accounts` of this namespace, the first is primary; `kin` are linked members' ids."""

    id: str
    accounts: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    kin: frozenset[str] = frozenset()
    is_house: bool = False
    security_changed_at: datetime | None = None
    namespace: str = ""
    is_forgotten: bool = False

    @property
    def is_staff(self) -> bool:
        return bool(self.roles) or self.is_house


def name(typed: str) -> str:
    """A name as it is kept, spaces put in order. Refuses `malformed` what no name can be."""
    text = " ".join(typed.split())
    is_short, shown = len(text) <= LONGEST_NAME, text.translate(JOINERS)
    if not (is_short and screening.is_name(text) and shown.isprintable()):
        raise Malformed(f"write a name, {LONGEST_NAME} letters at most", field="name")
    return text


def is_kin(one: Member, other: Member) -> bool:
    """True for one person, for declared kin, and for members who share an account."""
    return (
        one.id == other.id
        or other.id in one.kin
        or one.id in other.kin
        or bool(set(one.accounts) & set(other.accounts))
    )


def buying_account(member: Member) -> str:
    """The account whose handle a purchase swaps; refuses staff and members without one."""
    if member.is_staff:
        raise StaffMayNot("staff may not buy, bid or enter a draw")
    if not member.accounts:
        raise NotLinked("link an account of this namespace first")
    return member.accounts[0]


def expect_known(*members: Member) -> None:
    """Refuses `already_closed` where one of them was forgotten meanwhile."""
    if any(member.is_forgotten for member in members):
        raise AlreadyClosed("a member of this was forgotten")


def expect_settled_security(member: Member, *, now: datetime, is_told: bool = True) -> None:
    """Nothing is sold within 30 days of a changed mail address or second factor.

    Why, and until when, only the member themselves is told.
    """
    changed = member.security_changed_at
    if changed and now < changed + SECURITY_DELAY:
        if not is_told:
            raise HandleLocked("its holder does not sell at present")
        raise HandleLocked(
            "no sale within 30 days of a changed address or second factor",
            why="security_change",
            until=(changed + SECURITY_DELAY).isoformat(),
        )


def expect_factor(given_at: datetime | None) -> None:
    """Refuses `second_factor_needed` unless a passkey or TOTP stood behind this session."""
    if given_at is None:
        raise SecondFactorNeeded("sign in with a passkey or TOTP")


def expect_fresh_factor(given_at: datetime | None, *, now: datetime) -> None:
    """The same, given within 15 minutes; both instants are the machine's."""
    if given_at is None or now - given_at >= FACTOR_IS_FRESH:
        raise SecondFactorNeeded("confirm with a passkey or TOTP first")


def expect_second_person(*, proposer: Member, approver: Member) -> None:
    """Two people who are never linked; refuses `second_person_needed`."""
    if is_kin(proposer, approver):
        raise SecondPersonNeeded("the proposer and linked members may not approve")


def staff_root(members: Iterable[str]) -> bytes:
    """The Merkle root over the pseudonyms of everybody with a role of the desk.

    A row is the canonical JSON of `[pseudonym]`; rows are sorted as bytes.
    """
    return merkle.root_of_rows(sorted(canonical([member]) for member in set(members)))
