"""An answer by a letter's link: which link suffices, and what was said since it was begun."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests import make

from onym.core import answer as core
from onym.core.errors import AlreadyClosed, Expired, NotAllowed, ShownChanged
from onym.core.link import CODE_LASTS
from onym.core.offer import Offer, State, Turn

# this link was in the letter, there was a letter, they have signed up → how they may agree
WAYS = [
    (True, True, False, "here"),
    (False, True, False, "letter"),
    (False, False, False, "sign_in"),
    (True, True, True, "sign_in"),
    (False, True, True, "sign_in"),
    (False, False, True, "sign_in"),
]


@pytest.mark.parametrize(("by_mail", "has_letter", "has_signed_up", "way"), WAYS)
def test_one_thing_that_can_be_stolen_is_never_enough(
    by_mail: bool, has_letter: bool, has_signed_up: bool, way: str
) -> None:
    found = core.way(by_mail=by_mail, has_letter=has_letter, has_signed_up=has_signed_up)
    assert found == way
    if found is core.Way.HERE:
        core.expect_here(found)
    else:
        with pytest.raises(NotAllowed):
            core.expect_here(found)


OFFER = Offer(
    "off_1", "mbr_b", "7", make.usd(100), State.OPEN, Turn.SELLER, make.NOW + make.days(1)
)
YES = core.Answer(core.Kind.ACCEPT, make.usd(100), 1, "onym-abc", make.NOW)
NO_LESS = dataclasses.replace(YES, kind=core.Kind.COUNTER, price=make.usd(150))

# what is so when the proof comes → what it is refused as
SINCE: list[tuple[dict[str, Any], dict[str, Any], type[Exception]]] = [
    ({"price": make.usd(90)}, {}, ShownChanged),
    ({}, {"step": 3}, ShownChanged),
    ({}, {"account_id": "8"}, NotAllowed),
    ({"turn": Turn.BUYER}, {}, NotAllowed),
    ({"state": State.WITHDRAWN}, {}, AlreadyClosed),
    ({"state": State.EXPIRED}, {}, Expired),
    ({}, {"now": make.NOW + make.days(1)}, Expired),
]


@pytest.mark.parametrize(("offer", "proof", "refusal"), SINCE)
def test_what_was_said_since_voids_an_answer(
    offer: dict[str, Any], proof: dict[str, Any], refusal: type[Exception]
) -> None:
    told = {"step": 1, "account_id": "7", "now": make.NOW}
    core.expect_proven(YES, offer=OFFER, **told)
    core.expect_proven(NO_LESS, offer=OFFER, **told)
    with pytest.raises(refusal):
        core.expect_proven(YES, offer=dataclasses.replace(OFFER, **offer), **told | proof)


def test_a_code_counts_for_an_hour_wherever_it_stands_in_the_profile() -> None:
    assert core.is_written(YES, profile="Painter. ONYM-abc!", now=make.NOW)
    assert not core.is_written(YES, profile="onym-ab", now=make.NOW)
    assert not core.is_written(YES, profile=None, now=make.NOW)
    with pytest.raises(Expired):
        core.is_written(YES, profile="onym-abc", now=make.NOW + CODE_LASTS)
