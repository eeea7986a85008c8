"""The term of a sale: the handle changes hands alone, or the whole account that holds it does.

Off unless a namespace switches it on. See docs/concepts/account.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from onym.core.errors import HandleLocked, HandleUnavailable, Malformed, NotAllowed, NotLinked


class Term(StrEnum):
    """What the buyer gets."""

    HANDLE = "handle"  # the buyer's own account holds the handle from then on
    ACCOUNT = "account"  # the account stays what it is; who may sign in to it changes


WIPED: Final = ("messages", "contacts")
"""What a platform destroys before an account that it sells itself is somebody else's. Sessions and
passwords end in every sale of an account."""


def wiped(*, is_primary: bool) -> tuple[str, ...]:
    """What is destroyed beside sessions: between members nothing, for both consented."""
    return WIPED if is_primary else ()


def read(text: str) -> Term:
    """The term that somebody named. Refuses `malformed`."""
    if text not in tuple(Term):
        raise Malformed("a term is handle or account")
    return Term(text)


def expect_offered(term: Term, *, is_offered: bool) -> None:
    """Refuses `not_allowed` where the namespace sells handles only."""
    if term is Term.ACCOUNT and not is_offered:
        raise NotAllowed("whole accounts are not sold here", term=term.value)


def expect_account(account_id: str | None, *, custodian: str, state: str) -> None:
    """Refuses `handle_unavailable` where no account of anybody's holds the handle."""
    if account_id in (None, custodian):
        raise HandleUnavailable("no account goes with this handle", rung=state)


def expect_fit(why: str) -> None:
    """Refuses `handle_unavailable` for an account that may not change hands, see `unfit`."""
    if why:
        raise HandleUnavailable("this account may not change hands", rung="held", account=why)


def unfit(
    *, status: str | None, memorial: bool | None, legal_hold: bool | None, minor: bool | None
) -> str:
    """Why an account may not change hands, as the platform tells of it; empty where it may."""
    if status not in (None, "active"):
        return "suspended"
    marks = {"memorial": memorial, "legal_hold": legal_hold, "minor": minor}
    return next((name for name, is_so in marks.items() if is_so), "")


def expect_another(accounts: Sequence[str], *, account_id: str) -> None:
    """Refuses `not_linked` for a member's only account: a member is linked to at least one."""
    if set(accounts) <= {account_id}:
        raise NotLinked("this is your only account: link another one first")


def expect_address(has_address: bool, *, whose: str) -> None:
    """Refuses `not_allowed` without an address: an account is handed to whoever reads one."""
    if not has_address:
        raise NotAllowed(f"{whose} has no mail address to hand the account to", whose=whose)


def expect_consent(is_given: bool) -> None:
    """Refuses `malformed`: whoever takes an account has said that they know what passes over."""
    if not is_given:
        raise Malformed("say that you consent to what passes over", field="consent")


def expect_idle(busy: Sequence[str]) -> None:
    """Refuses `handle_locked` for an account that another open sale needs as it is."""
    if busy:
        raise HandleLocked("another sale of this account is open", why="open_sale", busy=busy[0])


def is_handed(
    *, fence: int, told_fence: int, address: str, told_address: str | None, is_over: bool
) -> bool:
    """Whether a read-back shows the account with whom it was ordered to be handed to.

    The platform names the order's fence as its last hand-over, and the address in force is the
    one ordered. One that was changed since is taken as the new holder's doing, but only once the
    time to deliver `is_over`: until then it may be a platform that changed half.
    """
    return told_fence == fence and (told_address == address or is_over)
