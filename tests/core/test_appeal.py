"""Appeals: who may decide, how long one is possible, and what one that was right brings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import appeal
from onym.core.errors import AlreadyClosed, Expired, Malformed, SecondPersonNeeded
from onym.core.money import Money
from onym.core.people import Member

T = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "decided_at", "now", "refused"),
    [
        ("why", None, T, None),  # before the decision, while the holder is only warned
        ("why", T, T, None),
        ("why", T, T + timedelta(days=180) - SECOND, None),
        ("why", T, T + timedelta(days=180), Expired),
        ("", T, T, Malformed),
        (" \t\n", T, T, Malformed),
        ("x" * 4_000, T, T, None),
        ("x" * 4_001, T, T, Malformed),
    ],
)
def test_an_appeal_needs_words_and_comes_within_its_days(
    text: str, decided_at: datetime | None, now: datetime, refused: type[Exception] | None
) -> None:
    def ask() -> None:
        appeal.expect_openable(text=text, decided_at=decided_at, days=180, now=now)

    if refused is None:
        ask()
    else:
        with pytest.raises(refused):
            ask()


REVIEWER = Member("mbr_r")


@pytest.mark.parametrize(
    ("deciders", "appellant", "may"),
    [
        ([], None, True),
        ([Member("mbr_a"), Member("mbr_b")], Member("mbr_c"), True),
        ([Member("mbr_a"), REVIEWER], None, False),
        ([Member("mbr_a", kin=frozenset({"mbr_r"}))], None, False),
        ([], REVIEWER, False),
        ([], Member("mbr_c", kin=frozenset({"mbr_r"})), False),
    ],
)
def test_who_had_a_part_in_it_does_not_decide(
    deciders: list[Member], appellant: Member | None, may: bool
) -> None:
    if may:
        appeal.expect_reviewer(REVIEWER, deciders=deciders, appellant=appellant)
    else:
        with pytest.raises(SecondPersonNeeded):
            appeal.expect_reviewer(REVIEWER, deciders=deciders, appellant=appellant)


@pytest.mark.parametrize("state", ["upheld", "rejected", "withdrawn"])
def test_a_closed_appeal_stays_closed(state: str) -> None:
    appeal.expect_open("open")
    with pytest.raises(AlreadyClosed):
        appeal.expect_open(state)


@pytest.mark.parametrize(
    ("sold", "upheld", "brings"),
    [
        ("not", "compensate", "restored"),
        ("not", "wait", "restored"),
        ("not", "return_and_refund", "restored"),
        ("by_us", "compensate", "compensate"),
        ("by_us", "wait", "wait"),
        ("by_us", "return_and_refund", "return_and_refund"),
        ("on", "compensate", "compensate"),
        ("on", "wait", "wait"),
        ("on", "return_and_refund", "compensate"),  # nothing is taken from a third person
        ("elsewhere", "compensate", "wait"),  # there is no price of ours to share or to undo
        ("elsewhere", "wait", "wait"),
        ("elsewhere", "return_and_refund", "wait"),
    ],
)
def test_a_right_appeal_brings_the_handle_or_what_the_policy_says(
    sold: str, upheld: str, brings: str
) -> None:
    assert appeal.remedy(sold=appeal.Sold(sold), upheld=upheld) == brings


@given(st.integers(0, 10**15), st.integers(0, 100))
def test_compensation_is_a_part_of_the_price_rounded_down(minor: int, percent: int) -> None:
    due = appeal.compensation(Money(minor, "USD"), percent=percent)
    assert due.minor * 100 <= minor * percent < (due.minor + 1) * 100
    assert due.minor <= minor
