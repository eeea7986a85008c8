"""The demo's private offers: who was asked, at which price, and how each campaign ended.

All of it is drawn from one seed, so two first starts tell the same story to the cent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import requests
from django.conf import settings

from onym.core.money import Money
from onym.core.sale import State
from onym.flows import appraisal, desk, dispute, invitation, payments, reclaim, sale
from onym.queries import names as handles
from onym.queries import sale as sales
from onym.site.demo import NAMESPACE
from onym.site.demo_time import DAY, HOUR, settle, step
from onym.store.models import Approval, Campaign, Invitation, Sale

CRITERIA = "Members of long standing whose own handle is longer."
GOOD, BAD = "pm_card_visa", "pm_card_visa_chargeDeclined"

STORIES: Sequence[tuple[str, ...]] = (
    ("buys",),
    ("declines", "buys"),
    ("holder_returns",),
    ("ignores", "card_declined_first"),
    ("declines", "declines"),
    ("buys",),
    ("never_pays",),
    ("ignores", "declines", "buys"),
    ("disputes",),
    ("ignores", "ignores", "ignores"),
    ("ignores", "buys"),
)
"""What the recipients of each campaign do, in turn; who comes after a buyer is not asked."""

ENDS = {
    "buys": State.SETTLED,
    "card_declined_first": State.SETTLED,
    "disputes": State.SETTLED,
    "holder_returns": State.REFUNDED,
    "never_pays": State.EXPIRED,
}
"""How a sale ends whose buyer does so."""

BOUGHT = sum(1 for story in STORIES if story[-1] in ENDS)
ASKED = sum(map(len, STORIES)) - BOUGHT


@dataclass(frozen=True, slots=True)
class Planned:
    """One campaign: `percent` of the handle's appraisal is its price, before rounding."""

    percent: int
    days: int
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A member as a campaign needs them."""

    id: str
    mail: str
    language: str


def planned(seed: int) -> list[Planned]:
    """The campaigns of the history, in their order."""
    chance = Random(f"{seed}/campaigns")  # noqa: S311 - a story, not a secret
    return [Planned(chance.randrange(82, 138), chance.randrange(3, 6), ways) for ways in STORIES]


def price(*, appraisal_minor: int, percent: int, unit: int) -> int:
    """Minor units, `unit` of them a whole: rounded to full tens, a hundred at least."""
    tens = appraisal_minor * percent // 100 // (10 * unit)
    return max(10, tens) * 10 * unit


def run(
    plan: Planned,
    *,
    handle: str,
    price_minor: int,
    people: Sequence[Person],
    staff: Mapping[str, str],
) -> dict[str, Any]:
    """One campaign from its proposal to what became of it; answers that as plain facts."""
    drafted = _draft(plan, handle=handle, price_minor=price_minor, people=people, staff=staff)
    invitation.send(campaign_id=drafted.id, by=staff["team1"])
    settle()
    outcome = "unanswered"
    for place, (way, person) in enumerate(zip(plan.ways, people, strict=True)):
        step(DAY)
        token = Invitation.objects.get(campaign_id=drafted.id, position=place).token
        if way == "declines":
            invitation.decline(token=token)
            outcome = "declined"
        elif way in ENDS:
            outcome = _sold(way, token=token, buyer=person.id, staff=staff)
    if outcome == "unanswered":
        step((plan.days + 1 - len(plan.ways)) * DAY)
    return {
        "handle": handle,
        "price_minor": price_minor,
        "recipients": len(people),
        "ways": list(plan.ways),
        "outcome": outcome,
    }


def _draft(
    plan: Planned,
    *,
    handle: str,
    price_minor: int,
    people: Sequence[Person],
    staff: Mapping[str, str],
) -> Campaign:
    """Proposed by one person and, where the price asks for it, approved by another."""
    reclaim.prepare_sale(namespace=NAMESPACE, handle=handle)
    made = invitation.propose(
        namespace=NAMESPACE,
        handle=handle,
        by=staff["team1"],
        price=Money(price_minor, settings.CURRENCY),
        criteria=CRITERIA,
        recipients=[invitation.Recipient(one.mail, "", one.language) for one in people],
        expires_in_days=plan.days,
        shown=appraisal.Shown(**handles.beside_price(NAMESPACE, handle)),
    )
    if isinstance(made, Approval):
        done = desk.approve(approval_id=made.id, by=staff["team2"], shown=made.shown)
        if not isinstance(done, Campaign):
            raise SystemExit("the approval of a campaign made something else")
        return done
    return made


def _sold(way: str, *, token: str, buyer: str, staff: Mapping[str, str]) -> str:
    agreed = invitation.accept(token=token, by=buyer)
    WAYS[way](agreed, staff)
    settle()
    step(4 * DAY)
    found = sales.sale(agreed.id, viewer=buyer)
    if found["state"] != ENDS[way]:
        raise SystemExit(f"the demo's sale of @{agreed.handle_id} ended as {found['state']}")
    return str(found["state"])


def _pays(agreed: Sale, _: Mapping[str, str]) -> None:
    payments.pay(sale_id=agreed.id, by=agreed.buyer_id, method=GOOD)


def _card_declined_first(agreed: Sale, _: Mapping[str, str]) -> None:
    payments.pay(sale_id=agreed.id, by=agreed.buyer_id, method=BAD)
    settle()
    step(7 * HOUR)
    payments.pay(sale_id=agreed.id, by=agreed.buyer_id, method=GOOD)


def _holder_returns(agreed: Sale, _: Mapping[str, str]) -> None:
    """The idle holder signs in to the platform, just before the money arrives."""
    account = agreed.seller_account_id
    url = f"{settings.PLATFORM_URL}/demo/login"
    requests.post(url, json={"account_id": account}, timeout=10).raise_for_status()
    payments.pay(sale_id=agreed.id, by=agreed.buyer_id, method=GOOD)


def _never_pays(agreed: Sale, staff: Mapping[str, str]) -> None:
    """Nothing: the time to pay runs out."""


def _disputes(agreed: Sale, staff: Mapping[str, str]) -> None:
    """The buyer objects after delivery; the desk finds that all is as it was sold."""
    payments.pay(sale_id=agreed.id, by=agreed.buyer_id, method=GOOD)
    settle()
    step(6 * HOUR)
    sale.dispute(sale_id=agreed.id, by=agreed.buyer_id)
    step(DAY)
    dispute.decide(sale_id=agreed.id, by=staff["team2"], outcome="settle")


WAYS: Mapping[str, Callable[[Sale, Mapping[str, str]], None]] = {
    "buys": _pays,
    "card_declined_first": _card_declined_first,
    "holder_returns": _holder_returns,
    "never_pays": _never_pays,
    "disputes": _disputes,
}
