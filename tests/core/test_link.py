"""Linking as decisions: a code in a profile, which account is primary, letting one go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.make import NOW, days

from onym.core import link as core
from onym.core.errors import AlreadyClosed, Expired, HandleLocked, NotFound, Refusal
from onym.core.link import Link

CODE = core.code(b"0123456789")
MINUTE = timedelta(minutes=1)

PROFILES = [
    (CODE, True),
    (f"Astronomer. {CODE} Yes, that @moon.", True),
    (CODE.upper(), True),
    (CODE[:-1], False),
    ("", False),
    (None, False),
]


@pytest.mark.parametrize(("profile", "there"), PROFILES)
def test_the_code_is_looked_for_anywhere_in_the_profile(profile: str | None, there: bool) -> None:
    assert core.is_written(CODE, profile=profile, ordered_at=NOW, now=NOW + MINUTE) is there


def test_a_code_lasts_an_hour() -> None:
    last = NOW + core.CODE_LASTS
    assert core.is_written(CODE, profile=CODE, ordered_at=NOW, now=last - MINUTE)
    with pytest.raises(Expired):
        core.is_written(CODE, profile=CODE, ordered_at=NOW, now=last)


MINE = [Link("1", True), Link("2", False), Link("3", False, NOW + days(3))]
PRIMARY: list[tuple[str, type[Refusal] | None]] = [
    ("2", None),
    ("1", AlreadyClosed),
    ("3", AlreadyClosed),
    ("9", NotFound),
]


@pytest.mark.parametrize(("account", "refused"), PRIMARY)
def test_another_account_becomes_primary(account: str, refused: type[Refusal] | None) -> None:
    if refused is None:
        assert core.primary(MINE, account).account_id == account
    else:
        with pytest.raises(refused):
            core.primary(MINE, account)


UNLINKED: list[tuple[str, list[str], type[Refusal] | None]] = [
    ("1", [], None),
    ("2", ["sal_1"], HandleLocked),
    ("3", [], AlreadyClosed),
    ("9", [], NotFound),
]


@pytest.mark.parametrize(("account", "busy", "refused"), UNLINKED)
def test_an_account_is_let_go_after_thirty_days_and_not_while_it_is_busy(
    account: str, busy: list[str], refused: type[Refusal] | None
) -> None:
    if refused is None:
        assert core.unlinks_at(MINE, account, busy=busy, now=NOW) == NOW + days(30)
    else:
        with pytest.raises(refused):
            core.unlinks_at(MINE, account, busy=busy, now=NOW)


def test_at_its_time_it_ends_or_is_put_off_a_day_while_a_sale_is_open() -> None:
    leaving = Link("2", False, NOW)
    assert core.ends(leaving, busy=[], now=NOW - MINUTE) is False
    assert core.ends(leaving, busy=[], now=NOW) is True
    assert core.ends(leaving, busy=["sal_1"], now=NOW) == NOW + days(1)
    assert core.ends(Link("2", False), busy=[], now=NOW) is False
