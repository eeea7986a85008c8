"""Holds end once; what a wallet lacks is refused with what is there."""

from __future__ import annotations

import pytest
from tests import make

from onym.core import wallet
from onym.core.errors import AlreadyClosed, CurrencyMismatch, InProgress, InsufficientFunds
from onym.core.money import Money
from onym.core.wallet import Hold, HoldState

HELD = Hold("hld_1", "mbr_1", "sal_1", make.usd(5))


def test_a_hold_is_posted_or_voided_and_nothing_more() -> None:
    posted, voided = wallet.post(HELD), wallet.void(HELD)
    assert (posted.state, posted.posted_minor) == (HoldState.POSTED, 500)
    assert (voided.state, voided.posted_minor) == (HoldState.VOIDED, 0)
    for ended in (posted, voided):
        for act in (wallet.post, wallet.void):
            with pytest.raises(AlreadyClosed):
                act(ended)


@pytest.mark.parametrize(("wanted", "there", "enough"), [(5, 5, True), (5, 4.99, False)])
def test_what_is_held_must_be_there(wanted: float, there: float, enough: bool) -> None:
    if enough:
        wallet.expect_funds(make.usd(wanted), available=make.usd(there))
        return
    with pytest.raises(InsufficientFunds) as found:
        wallet.expect_funds(make.usd(wanted), available=make.usd(there))
    assert found.value.facts == {"available": {"minor": 499, "currency": "USD"}}


def test_another_currency_is_no_money_here() -> None:
    with pytest.raises(CurrencyMismatch):
        wallet.expect_funds(Money(1, "EUR"), available=make.usd(5))


def test_a_frozen_wallet_waits_for_the_bank() -> None:
    wallet.expect_thawed(is_frozen=False)
    with pytest.raises(InProgress):
        wallet.expect_thawed(is_frozen=True)


@pytest.mark.parametrize(("amount", "there", "part"), [(5, 9, 5), (5, 3, 3), (5, 0, 0)])
def test_a_bank_takes_what_is_there_first(amount: float, there: float, part: float) -> None:
    assert wallet.there_of(make.usd(amount), available=make.usd(there)) == make.usd(part)
