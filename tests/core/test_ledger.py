"""Entries balance, whatever the figures; the money of a sale goes in and out to the unit."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import ledger
from onym.core.ledger import Entry, Unbalanced
from onym.core.money import Money

PARTS = ("proceeds", "commission", "fee", "tax", "share")
amounts = st.integers(0, 10**15)


@given(st.lists(amounts, min_size=5, max_size=5), st.booleans())
def test_a_settled_sale_leaves_nothing_in_escrow(figures: list[int], is_house: bool) -> None:
    parts = dict(zip(PARTS, figures, strict=True))
    gross = Money(sum(figures), "USD")
    books: Counter[str] = Counter()
    for entry in (
        ledger.funded(sale="s", gross=gross, provider="p", provider_id="1"),
        ledger.settled(sale="s", gross=gross, parts=parts, seller="m", seller_is_house=is_house),
    ):
        books.update(entry.postings)
    assert books["escrow:s"] == 0
    assert sum(books.values()) == 0
    assert books["world:p"] == -gross.minor
    to = "revenue:primary" if is_house else "member:m:payable"
    assert books[to] == parts["proceeds"]


@given(amounts)
def test_a_refund_undoes_the_funding(minor: int) -> None:
    gross = Money(minor, "USD")
    paid = ledger.funded(sale="s", gross=gross, provider="p", provider_id="1").postings
    back = ledger.refunded(sale="s", amount=gross, provider="p", provider_id="2").postings
    assert all(paid[code] + back[code] == 0 for code in paid)


@given(st.lists(amounts, min_size=5, max_size=5), st.booleans())
def test_a_sale_that_is_undone_leaves_no_trace_in_any_balance(
    figures: list[int], is_house: bool
) -> None:
    parts = dict(zip(PARTS, figures, strict=True))
    gross = Money(sum(figures), "USD")
    settled = ledger.settled(
        sale="s", gross=gross, parts=parts, seller="m", seller_is_house=is_house
    )
    back = ledger.reversed_(settled)
    assert (back.kind, back.ref) == ("reversed", "s")
    assert back.postings["escrow:s"] == gross.minor
    books: Counter[str] = Counter()
    for entry in (
        ledger.funded(sale="s", gross=gross, provider="p", provider_id="1"),
        settled,
        back,
        ledger.refunded(sale="s", amount=gross, provider="p", provider_id="2"),
    ):
        books.update(entry.postings)
    assert not any(books.values())


@given(amounts)
def test_a_payout_empties_the_payable(minor: int) -> None:
    entry = ledger.paid_out(
        payout="o",
        amount=Money(minor, "USD"),
        out_of="member:m:payable",
        provider="p",
        provider_id="1",
    )
    assert entry.postings == {"member:m:payable": -minor, "world:p": minor}


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    with pytest.raises(Unbalanced):
        Entry("funded", "s", "USD", {"a": 1, "b": -2})


def test_what_escrow_bears_goes_where_the_loss_had_been_borne() -> None:
    usd = partial(Money, currency="USD")
    entry = ledger.absorbed(
        chargeback="cbk",
        sale="sal",
        left=usd(50),
        given_up=usd(20),
        met=usd(30),
        met_by="revenue:primary",
    )
    borne = {"receivable": 50, "loss": 20, "revenue:primary": 30}
    assert entry.postings == borne | {"escrow:sal": -100}
