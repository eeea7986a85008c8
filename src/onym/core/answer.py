"""The answer of a holder who never signed up: a letter's link, and one proof of the account.

Neither is enough alone, and whoever has signed up answers signed in; docs/adr/0068.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onym.core import link
from onym.core import offer as offers
from onym.core.errors import NotAllowed, ShownChanged
from onym.core.money import Money
from onym.core.offer import Offer, Turn


class Kind(StrEnum):
    """What is answered."""

    ACCEPT = "accept"
    COUNTER = "counter"


class Way(StrEnum):
    """How whoever opened a link may agree or name a price; anybody with one may decline."""

    HERE = "here"  # by this link and a proof of the account
    LETTER = "letter"  # by the link that was sent by mail: this one came through the platform
    SIGN_IN = "sign_in"  # signed in: they have done so before, or no mail address is known


@dataclass(frozen=True, slots=True)
class Answer:
    """`price` is what is agreed to or named, after `step` moves; `code` is for the profile."""

    kind: Kind
    price: Money
    step: int
    code: str
    ordered_at: datetime


def way(*, by_mail: bool, has_letter: bool, has_signed_up: bool) -> Way:
    """`by_mail`: this link was in the letter; `has_letter`: there was one.

    A link that came through the platform shows no more than the account itself does.
    """
    if has_signed_up or not has_letter:
        return Way.SIGN_IN
    return Way.HERE if by_mail else Way.LETTER


def expect_here(found: Way) -> None:
    """Refuses `not_allowed` unless this link and a proof of the account suffice."""
    if found is not Way.HERE:
        raise NotAllowed("this link alone declines; agree signed in, or by the letter's link")


def expect_may(kind: Kind, *, offer: Offer, price: Money, now: datetime) -> None:
    """Whether the holder may answer so now. Refuses `expired`, `already_closed`, `not_allowed` out
    of turn, `shown_changed` where another price is on the table than the one agreed to.
    """
    if kind is Kind.ACCEPT and price != offer.price:
        offers.accept(offer, by=Turn.SELLER, now=now)
        raise ShownChanged("another price is on the table by now")
    if kind is Kind.ACCEPT:
        offers.accept(offer, by=Turn.SELLER, now=now)
    else:
        offers.counter(offer, by=Turn.SELLER, price=price, now=now, expires_at=offer.expires_at)


def expect_proven(
    answer: Answer, *, offer: Offer, step: int, account_id: str, now: datetime
) -> None:
    """Whether what was proven is the asked account, and nothing was said since.

    `account_id` holds the handle on the platform now. Refuses as `expect_may`, and `not_allowed`.
    """
    expect_may(answer.kind, offer=offer, price=answer.price, now=now)
    if step != answer.step:
        raise ShownChanged("the other side has answered meanwhile")
    if account_id != offer.holder_account_id:
        raise NotAllowed("the handle is held by another account than the one that was asked")


def is_written(answer: Answer, *, profile: str | None, now: datetime) -> bool:
    """Whether the answer's code stands in the account's profile; `now` is the machine's.

    Refuses `expired`.
    """
    return link.is_written(answer.code, profile=profile, ordered_at=answer.ordered_at, now=now)
