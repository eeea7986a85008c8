"""Both sides beside each other: what matches, and the name of everything that does not."""

from __future__ import annotations

import dataclasses

import pytest

from onym.core.money import Money
from onym.core.reconcile import Line, Report, compare, counts

CHARGE = Line("charge", "pi_1", Money(63_000, "USD"), "sal_1", "2026-11-27")
REFUND = Line("refund", "re_1", Money(63_000, "USD"), "sal_1", "2026-11-28")


def compared(theirs: list[Line], ours: list[Line], asked: list[tuple[str, str]]) -> Report:
    due = {(one.kind, one.id) for one in (*theirs, *ours)}
    return compare(theirs=theirs, ours=ours, due=due, asked=asked)


def changed(line: Line, **changes: object) -> Line:
    return dataclasses.replace(line, **changes)  # type: ignore[arg-type]  # of a test's choosing


def test_what_stands_on_both_sides_is_matched_and_summed_by_day() -> None:
    report = compared([CHARGE, REFUND], [REFUND, changed(CHARGE, day="2026-11-28")], [])
    assert (report.matched, report.under_way, report.differences) == (2, 0, ())
    days = {key: (of.theirs_minor, of.ours_minor) for key, of in report.days.items()}
    assert days == {
        ("2026-11-27", "charge", "USD"): (63_000, 63_000),
        ("2026-11-28", "refund", "USD"): (63_000, 63_000),
    }


WRONG: list[tuple[str, list[Line], list[Line]]] = [
    ("not_booked", [CHARGE, REFUND], [CHARGE]),
    ("not_there", [CHARGE], [CHARGE, REFUND]),
    ("amount_differs", [CHARGE], [changed(CHARGE, amount=Money(63_001, "USD"))]),
    ("amount_differs", [CHARGE], [changed(CHARGE, amount=Money(63_000, "EUR"))]),
    ("sale_differs", [CHARGE], [changed(CHARGE, sale="sal_2")]),
    ("booked_twice", [CHARGE], [CHARGE, CHARGE]),
]


@pytest.mark.parametrize(("what", "theirs", "ours"), WRONG)
def test_a_difference_has_a_name(what: str, theirs: list[Line], ours: list[Line]) -> None:
    report = compared(theirs, ours, [])
    assert counts(report.differences) == {what: 1}
    assert report.matched == len({(one.kind, one.id) for one in (*theirs, *ours)}) - 1


def test_what_is_still_being_asked_about_is_under_way_and_no_difference() -> None:
    report = compared([CHARGE], [], [("charge", "sal_1")])
    assert (report.matched, report.under_way, report.differences) == (0, 1, ())
    elsewhere = compared([CHARGE], [], [("charge", "sal_2"), ("refund", "sal_1")])
    assert counts(elsewhere.differences) == {"not_booked": 1}


def test_what_is_not_due_is_only_there_to_be_found() -> None:
    """A payment of last month whose entry is of this month: found there, and not due itself."""
    old = changed(REFUND, id="re_old")
    report = compare(theirs=[CHARGE, old], ours=[CHARGE], due={("charge", "pi_1")}, asked=[])
    assert (report.matched, report.differences) == (1, ())
