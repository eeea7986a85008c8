"""A mail code: good once, in time, for few guesses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests import make

from onym.core import codes

CODE = codes.MailCode(digest="right", ordered_at=make.NOW)
SOON = make.NOW + timedelta(minutes=1)
LAST = make.NOW + codes.LIFE - timedelta(microseconds=1)

GUESSES = [
    ("in time", CODE, "right", SOON, True),
    ("at the last moment", CODE, "right", LAST, True),
    ("too late", CODE, "right", make.NOW + codes.LIFE, False),
    ("another code", CODE, "wrong", SOON, False),
    ("the fifth guess", codes.MailCode("right", make.NOW, guesses=4), "right", SOON, True),
    ("the sixth guess", codes.MailCode("right", make.NOW, guesses=5), "right", SOON, False),
    ("a second time", codes.MailCode("right", make.NOW, spent=True), "right", SOON, False),
]


@pytest.mark.parametrize(("_", "code", "digest", "now", "right"), GUESSES)
def test_a_code_is_good_once_in_time_and_for_five_guesses(
    _: str, code: codes.MailCode, digest: str, now: object, right: bool
) -> None:
    assert codes.guess(code, digest=digest, now=now)[1] is right


def test_every_guess_at_an_open_code_is_counted_and_the_right_one_spends_it() -> None:
    wrong, _ = codes.guess(CODE, digest="wrong", now=SOON)
    assert (wrong.guesses, wrong.spent) == (1, False)
    right, _ = codes.guess(wrong, digest="right", now=SOON)
    assert (right.guesses, right.spent) == (2, True)
    assert codes.guess(right, digest="right", now=SOON) == (right, False)
