"""The record: a sale is undone only after an appeal; each lie about it is found, its leaf named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.core.story import FORWARD, amount, changed, moved, outcome, place, seal, undone, without

from onym.core.events import Event

REFUNDED = "SaleRefunded sal_1"
UNDOING: list[tuple[str, Callable[[list[Event]], list[Event]], str]] = [
    (
        "a settled sale refunded without a word about an appeal",
        lambda told: changed(told, "SaleRefunded", "sal_1", appeal=None),
        "ended twice",
    ),
    (
        "an appeal that is not in the log",
        lambda told: without(told, "AppealDecided", "apl_1"),
        "the appeal apl_1 was not upheld",
    ),
    (
        "an appeal that was rejected",
        lambda told: changed(told, "AppealDecided", "apl_1", outcome="rejected"),
        "the appeal apl_1 was not upheld",
    ),
    (
        "an appeal decided after the refund",
        lambda told: moved(told, "AppealDecided", "apl_1", 14),
        "the appeal apl_1 was not upheld",
    ),
    (
        "an appeal decided before the settlement",
        lambda told: moved(told, "AppealDecided", "apl_1", 4),
        "the appeal apl_1 was not upheld",
    ),
    (
        "an appeal about another handle",
        lambda told: changed(told, "AppealDecided", "apl_1", handle="moon"),
        "about another handle",
    ),
    (
        "a refund while the buyer keeps the handle",
        lambda told: without(told, "TransferReadBack", "trf_9"),
        "not given back before the money",
    ),
    (
        "a refund before the handle was back",
        lambda told: moved(told, "TransferReadBack", "trf_9", 14),
        "not given back before the money",
    ),
    (
        "a handle given to somebody else than it was taken from",
        lambda told: changed(told, "TransferReadBack", "trf_9", holder_after="8"),
        "not given back before the money",
    ),
    (
        "a refund of a part",
        lambda told: changed(told, "SaleRefunded", "sal_1", refund=amount(4_999_999)),
        "not what the buyer had paid",
    ),
    (
        "a refund that answers an appeal about a sale that never settled",
        lambda told: without(told, "SaleSettled", "sal_1"),
        "a settlement that is not in the log",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "says"), [lie[1:] for lie in UNDOING], ids=[lie[0] for lie in UNDOING]
)
def test_each_lie_about_a_sale_that_was_undone_is_found_and_its_leaf_named(
    spoil: Callable[[list[Event]], list[Event]], says: str
) -> None:
    told = spoil(undone())
    found = outcome(seal(told), FORWARD)
    assert found.status == "violated"
    assert says in found.detail
    assert found.leaf == place(told, *REFUNDED.split())


def test_a_sale_is_undone_once_and_never_settled_again() -> None:
    told = undone()
    for again, leaf in ((told[-1], 15), (told[11], 15)):
        found = outcome(seal([*told, again]), FORWARD)
        assert (found.status, found.leaf) == ("violated", leaf)
        assert "ended twice" in found.detail
