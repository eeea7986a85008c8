"""The record: a whole account that was agreed is what was handed over, and the other way round."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.core.story import FORWARD, changed, outcome, seal, traded

from onym.core.events import Event

PATH = "every sale has"
LEAVES = [("OfferAccepted", "off_1"), ("SaleAgreed", "sal_2"), ("SaleSettled", "sal_2")]
MOVED = ("TransferReadBack", "trf_2")


def whole(told: list[Event]) -> list[Event]:
    """The same trade, of an account."""
    for leaf in (*LEAVES, MOVED):
        told = changed(told, *leaf, term="account")
    return told


def test_an_account_that_was_agreed_handed_over_and_settled_is_in_order() -> None:
    for name in (FORWARD, PATH):
        assert outcome(seal(whole(traded())), name).status == "ok"


LIES: list[tuple[str, Callable[[list[Event]], list[Event]], str, str]] = [
    (
        "an account agreed, a handle moved",
        lambda told: changed(whole(told), *MOVED, term=None),
        FORWARD,
        "not what was agreed",
    ),
    (
        "a handle agreed, an account handed over",
        lambda told: changed(told, *MOVED, term="account"),
        FORWARD,
        "not what was agreed",
    ),
    (
        "an account agreed, a handle settled",
        lambda told: changed(whole(told), *LEAVES[2], term=None),
        FORWARD,
        "not what was agreed",
    ),
    (
        "an offer for a handle, a sale of its account",
        lambda told: changed(whole(told), *LEAVES[0], term=None),
        PATH,
        "about something else",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "rule", "says"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES]
)
def test_each_lie_about_a_term_is_found(
    spoil: Callable[[list[Event]], list[Event]], rule: str, says: str
) -> None:
    found = outcome(seal(spoil(traded())), rule)
    assert found.status == "violated"
    assert says in found.detail
