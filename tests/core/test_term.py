"""What may be sold whole, and what proves that it was handed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onym.core import term as core
from onym.core.errors import Refusal
from onym.core.term import Term

OURS, OTHER = "a" * 64, "b" * 64
HANDED = [
    # fence named, address named, time over, handed over
    (7, OURS, False, True),
    (7, OTHER, False, False),
    (7, None, False, False),
    (7, OTHER, True, True),
    (6, OURS, True, False),
    (8, OURS, True, False),
    (0, None, True, False),
]


@pytest.mark.parametrize(("fence", "address", "is_over", "handed"), HANDED)
def test_an_account_is_handed_over_by_fence_and_address_or_fence_and_time(
    fence: int, address: str | None, is_over: bool, handed: bool
) -> None:
    said = core.is_handed(
        fence=7, told_fence=fence, address=OURS, told_address=address, is_over=is_over
    )
    assert said is handed


UNFIT = [
    ({}, ""),
    ({"status": "active"}, ""),
    ({"status": "suspended"}, "suspended"),
    ({"status": "deactivated"}, "suspended"),
    ({"memorial": True}, "memorial"),
    ({"legal_hold": True}, "legal_hold"),
    ({"minor": True}, "minor"),
    ({"memorial": False, "minor": False}, ""),
]


@pytest.mark.parametrize(("told", "why"), UNFIT)
def test_an_account_that_may_not_change_hands_says_why(told: dict[str, Any], why: str) -> None:
    row: dict[str, Any] = dict.fromkeys(("status", "memorial", "legal_hold", "minor"))
    assert core.unfit(**row | told) == why


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a term nobody knows": (lambda: core.read("house"), "malformed"),
    "where handles only are sold": (
        lambda: core.expect_offered(Term.ACCOUNT, is_offered=False),
        "not_allowed",
    ),
    "nobody's handle": (
        lambda: core.expect_account(None, custodian="1", state="released"),
        "handle_unavailable",
    ),
    "the custodian's handle": (
        lambda: core.expect_account("1", custodian="1", state="released"),
        "handle_unavailable",
    ),
    "a suspended account": (lambda: core.expect_fit("suspended"), "handle_unavailable"),
    "an only account": (lambda: core.expect_another(("9",), account_id="9"), "not_linked"),
    "no address": (lambda: core.expect_address(False, whose="the buyer"), "not_allowed"),
    "no consent": (lambda: core.expect_consent(False), "malformed"),
    "a purchase under way": (lambda: core.expect_idle(["sal_1"]), "handle_locked"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_reason_has_its_code(case: str) -> None:
    act, code = REFUSED[case]
    with pytest.raises(Refusal) as told:
        act()
    assert told.value.code == code


def test_what_is_in_order_is_not_refused() -> None:
    core.expect_offered(Term.HANDLE, is_offered=False)
    core.expect_offered(Term.ACCOUNT, is_offered=True)
    core.expect_account("9", custodian="1", state="held")
    core.expect_another(("9", "8"), account_id="9")
    core.expect_fit("")
    core.expect_idle([])
    assert (core.read("account"), core.wiped(is_primary=False)) == (Term.ACCOUNT, ())
    assert core.wiped(is_primary=True) == ("messages", "contacts")
