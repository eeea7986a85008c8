"""The demo's past on a real PDS: years of silence, warnings, a sale, and an open market today.

Its accounts sign up at the beginning of the history and write through the PDS as the clock goes
on, so every age is one that the PDS itself tells.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from onym.core.money import Money
from onym.flows import listing, payments, people, plan, reclaim
from onym.queries import sale as sales
from onym.site import demo_accounts as accounts
from onym.site import demo_history as history
from onym.site import demo_time
from onym.site.demo import (
    NAMESPACE,
    PDS_DAYS,
    Steps,
    found_market,
    give_payout_account,
    policy,
    second_account,
    write_whole,
)
from onym.site.demo_time import DAY, now, settle, step
from onym.store.models import Plan

RULES = "onym-atproto"
ABSENT = (
    "memorial",
    "verified",
    "public_body",
    "legal_hold",
    "minor",
    "dispute_open",
    "appeal_open",
    "subscriber",
)
"""What a PDS has no word for, so that the operator declares that it has no such accounts."""

SILENCE, PROCESS = 380, 220
"""Days until the first warning, and from there until the handles are free: a month of notice, and
the half-year's rest of accounts whose followers nobody counts.
"""

PILOT = 10
PRICES = (12_000, 18_000, 24_000, 32_000, 45_000)
"""Members' listings in minor units, all below 500.00."""

SOLD_FOR = 40_000
FRESH_SECONDS = 40 * DAY
WAIT_SECONDS = 240


def live(
    data: Path, steps: Steps, words: Callable[[], int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The whole first start on a PDS; answers the people of demo.json, and members beside them."""
    steps.once("clock", lambda: demo_time.begin(PDS_DAYS))
    told = _signed_up(data)
    file = data / "demo" / f"{RULES}.toml"
    write_whole(file, rules())
    policies = [policy("onym-default"), rules()]
    people_ = steps.once("people", lambda: found_market(told["people"], policies))
    steps.once("silence", lambda: _grow(data, SILENCE))
    if words() != 0:
        raise SystemExit("the lexicon could not be built")
    team = people_["team1"]["member"]
    pilot = steps.once("pilot", lambda: _pilot(data, file, team))
    steps.once("rested", lambda: _grow(data, PROCESS))
    steps.once("open", lambda: history.set_phase("open", team))
    members = steps.once("members", lambda: _members(told))
    steps.once("sold", lambda: _sell(pilot, by=team, buyer=members[0]["member"]))
    steps.once("listed", lambda: _list(members))
    steps.once("second", lambda: second_account(people_, _free(told)[len(members)]))
    steps.once("stopped", lambda: history.stop_releases(people_["team2"]["member"]))
    steps.once("plan", lambda: _announce(data, people_, file))
    there = {role: {"platform_password": text} for role, text in told["passwords"].items()}
    known = {role: person | there.get(role, {}) for role, person in people_.items()}
    return known, [{k: one[k] for k in one if k != "handle"} for one in members]


def rules() -> str:
    """The policy as this operator publishes it: its second version, with what a PDS lacks."""
    text = policy(RULES).replace("version = 1\n", "version = 2\n")
    return text.replace("assume_absent = []", f"assume_absent = {json.dumps(ABSENT)}")


def _signed_up(data: Path) -> dict[str, Any]:
    """Who is who on the PDS, once everybody is there."""
    return dict(_await(data / "demo" / "pds" / "people.json", lambda _: True))


def _grow(data: Path, days: int) -> None:
    """Time goes by; whoever lives has written since."""
    step(days * DAY)
    settle()
    market = now().timestamp()
    _await(data / "demo" / "pds" / "lived", lambda at: market - float(at) < FRESH_SECONDS)


def _await(file: Path, is_right: Callable[[Any], bool]) -> Any:
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if file.exists() and is_right(found := json.loads(file.read_text())):
            return found
        time.sleep(0.05)
    raise SystemExit(f"the people of the PDS do not come to an end; see {file.parent}")


def _pilot(data: Path, file: Path, by: str) -> list[str]:
    """Warn the holders of a few silent accounts; their handles, the shortest first."""
    began = now()
    rows: list[accounts.Row] = []
    accounts.import_platform(data, profile="atproto", all_rows=rows)
    silent = [row for row in rows if _is_silent(row) and began - row["last_post_at"] > _YEAR]
    chosen = sorted(silent, key=lambda row: (len(row["handle"]), row["handle"]))[:PILOT]
    source = data / "demo" / "pilot.jsonl"
    write_whole(source, "".join(json.dumps(row, default=str) + "\n" for row in chosen))
    stock = accounts.sweep(data, source, "pilot", policy=str(file))
    adopted = plan.adopt(
        namespace=NAMESPACE, stock=stock, by=by, starts_at=now(), stage_days=(0, 0, 0)
    )
    if not isinstance(adopted, Plan):
        raise SystemExit("a pilot account has too many followers")
    return [str(row["handle"]) for row in chosen]


_YEAR = timedelta(days=365)


def _is_silent(row: accounts.Row) -> bool:
    return row.get("status") == "active" and row["handle"] not in accounts.FIRST


def _free(told: Mapping[str, Any]) -> list[str]:
    """Whose accounts live and are nobody's of the story."""
    story = set(told["people"].values())
    return [did for did in told["lively"] if did not in story]


def _members(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Holders who joined long ago, with a payout account: one more than will sell."""
    dids = _free(told)[: len(PRICES) + 1]
    since = now() - timedelta(days=200)
    made = []
    for did in dids:
        label, password = told["handles"][did], secrets.token_urlsafe(9)
        mail = f"{label}@people.example"
        joined = people.join(
            namespace=NAMESPACE, name=label, mail=mail, password=password, since=since
        )
        people.link(member=joined.id, account_id=did, since=since)
        give_payout_account(joined.id, mail)
        facts = {"member": joined.id, "mail": mail, "password": password, "handle": label}
        made.append(facts | {"account_id": did, "language": "en"})
    return made


def _sell(stock: Sequence[str], *, by: str, buyer: str) -> str:
    """One released handle, bought by card and moved on the PDS; answers the sale's id."""
    from django.conf import settings

    price = Money(SOLD_FOR, settings.CURRENCY)
    reclaim.prepare_sale(namespace=NAMESPACE, handle=stock[0])
    opened = listing.open_house(namespace=NAMESPACE, handle=stock[0], by=by, price=price)
    agreed = listing.buy(listing_id=opened.id, buyer=buyer)
    payments.pay(sale_id=agreed.id, by=buyer, method="pm_card_visa")
    settle()
    step(4 * DAY)
    state = sales.sale(agreed.id, viewer=buyer)["state"]
    if state != "settled":
        raise SystemExit(f"the demo's sale of @{stock[0]} ended as {state}")
    return str(agreed.id)


def _list(members: Sequence[Mapping[str, Any]]) -> None:
    """Whoever sells lists the handle that they hold."""
    from django.conf import settings

    for one, minor in zip(members[1:], PRICES, strict=True):
        price = Money(minor, settings.CURRENCY)
        listing.open_(namespace=NAMESPACE, handle=one["handle"], seller=one["member"], price=price)


def _announce(data: Path, people_: Mapping[str, Any], file: Path) -> str:
    return history.announce(data, people_, profile="atproto", rules=RULES, file=file)
