"""The demo's past: a pilot sweep, keeps, appeals, and the private offers that came of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings

from onym.core.money import MINOR_DIGITS
from onym.flows import appeal, desk, names, people, plan, reclaim, stop
from onym.flows import sweep as sweeps
from onym.queries import stock as stocks
from onym.site import demo_accounts as accounts
from onym.site import demo_campaigns as campaigns
from onym.site import demo_samples, demo_time
from onym.site.demo import (
    HISTORY_DAYS,
    NAMESPACE,
    Steps,
    found_market,
    policy,
    second_account,
    write_whole,
)
from onym.site.demo_time import DAY, arrive, now, settle, step
from onym.store import reclaim as tokens
from onym.store.models import Approval, Plan
from onym.sweep import counts

SEED = 7
PILOT = 48
KEPT, APPEALED = slice(20, 25), slice(25, 27)
"""Places among the pilot's handles: kept by a link, and appealed about."""


ACCOUNTS = {"buyer": "1002", "seller": "1003", "acme": "1004"}
"""The story's accounts on Plaza."""


def live(
    data: Path, steps: Steps, words: Callable[[], int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The whole first start on Plaza; answers the people of demo.json, and members beside them.

    `words` waits for the lexicon and answers 0 once it is there.
    """
    steps.once("clock", lambda: demo_time.begin(HISTORY_DAYS))
    policies = [policy(name) for name in ("onym-default", "onym-atproto", "x-2023")]
    people_ = steps.once("people", lambda: found_market(ACCOUNTS, policies))
    chosen = steps.once("directory", lambda: accounts.begin(data))
    if words() != 0:
        raise SystemExit("the lexicon could not be built")
    members = _past(data, people_, chosen, steps)
    steps.once("plan", lambda: announce(data, people_))
    *_, second, _, _ = chosen["lively"]  # the last two are the samples'
    steps.once("second", lambda: second_account(people_, second["account_id"]))
    steps.once("samples", lambda: demo_samples.make(data, chosen["lively"]))
    return people_, members


def _past(
    data: Path, people_: Mapping[str, Any], chosen: Mapping[str, Any], steps: Steps
) -> list[dict[str, Any]]:
    """From the first warning to the release stop, on the demo's clock; answers the members."""
    staff = {role: people_[role]["member"] for role in ("team1", "team2")}
    pilot = steps.once("pilot", lambda: _pilot(data, chosen["quiet"][:PILOT], staff["team1"]))
    members = steps.once(
        "members", lambda: _members(chosen["lively"][: campaigns.BOUGHT + campaigns.ASKED])
    )
    steps.once("warned", lambda: step(10 * DAY))
    steps.once("kept", lambda: _keep(pilot["plan"], pilot["handles"][KEPT]))
    steps.once("appealed", lambda: _appeal(pilot["plan"], pilot["handles"][APPEALED], staff))
    steps.once("rested", lambda: step(54 * DAY))
    steps.once("invited", lambda: set_phase("invited", staff["team1"]))
    stock = steps.once("stock", _stock)
    told = _offers(stock, members, staff, steps)
    steps.once("appeal", lambda: _object(pilot["plan"], stock[len(told)]["handle"]))
    steps.once("stopped", lambda: stop_releases(staff["team2"]))
    write_whole(data / "demo" / "history.json", json.dumps(told, indent=1))
    return [one for one in members if one["password"]]


def _pilot(data: Path, chosen: Sequence[Mapping[str, Any]], by: str) -> dict[str, Any]:
    """Warn the holders of some accounts; the handles in the order that they were chosen in."""
    source = data / "demo" / "pilot.jsonl"
    write_whole(source, "".join(json.dumps(row) + "\n" for row in chosen))
    stock = accounts.sweep(data, source, "pilot")
    adopted = plan.adopt(
        namespace=NAMESPACE, stock=stock, by=by, starts_at=now(), stage_days=(0, 0, 0)
    )
    if not isinstance(adopted, Plan):
        raise SystemExit("a pilot account has too many followers")
    return {"plan": adopted.id, "handles": [str(row["handle"]).lower() for row in chosen]}


def _members(chosen: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Members who joined long ago; those who are going to buy have a password."""
    since = now() - timedelta(days=200)
    made = []
    for place, row in enumerate(chosen):
        password = secrets.token_urlsafe(9) if place < campaigns.BOUGHT else ""
        member = people.join(
            namespace=NAMESPACE,
            name=str(row["handle"]),
            mail=row["email"],
            password=password or None,
            language=row["locale"],
            since=since,
        )
        people.link(member=member.id, account_id=row["account_id"], since=since)
        facts = {"member": member.id, "mail": row["email"], "password": password}
        made.append(facts | {"account_id": row["account_id"], "language": row["locale"]})
    return made


def _stock() -> list[dict[str, Any]]:
    """What the pilot has set free, the dearest first, each with its appraisal."""
    found = stocks.stock(NAMESPACE)
    worth = [(row["handle"], row["appraisal"].minor) for row in found if row["appraisal"]]
    return [{"handle": handle, "appraisal_minor": minor} for handle, minor in worth]


def _offers(
    stock: Sequence[Mapping[str, Any]],
    members: Sequence[Mapping[str, Any]],
    staff: Mapping[str, str],
    steps: Steps,
) -> list[dict[str, Any]]:
    """The campaigns one after another; each buyer buys once."""
    everybody = [campaigns.Person(one["member"], one["mail"], one["language"]) for one in members]
    buyers, others = iter(everybody[: campaigns.BOUGHT]), iter(everybody[campaigns.BOUGHT :])
    told = []
    for turn, (wanted, handle) in enumerate(zip(campaigns.planned(SEED), stock, strict=False)):
        asked = [next(buyers if way in campaigns.ENDS else others) for way in wanted.ways]
        minor = campaigns.price(
            appraisal_minor=handle["appraisal_minor"],
            percent=wanted.percent,
            unit=10 ** MINOR_DIGITS[settings.CURRENCY],
        )
        act = partial(
            campaigns.run,
            wanted,
            handle=handle["handle"],
            price_minor=minor,
            people=asked,
            staff=staff,
        )
        told.append(steps.once(f"campaign {turn + 1}", act))
    return told


def _token(plan_id: str, handle: str) -> str:
    known = names.directory(NAMESPACE)
    account = known.by_handle(handle) if known else None
    if account is None:
        raise SystemExit(f"@{handle} is not in the directory")
    return tokens.keep_token(
        namespace=NAMESPACE, handle=handle, account_id=account["account_id"], plan=plan_id
    )


def _keep(plan_id: str, handles: list[str]) -> None:
    for handle in handles:
        reclaim.keep_by_link(token=_token(plan_id, handle))
    settle()


def _appeal(plan_id: str, handles: list[str], staff: Mapping[str, str]) -> None:
    """One appeal is upheld, one rejected, both by a second person."""
    texts = ("I was ill and am back now.", "I want to keep it for later.")
    reasons = (["holder_was_away"], ["no_sign_of_use"])
    for handle, text, outcome, why in zip(
        handles, texts, ("upheld", "rejected"), reasons, strict=True
    ):
        opened = appeal.open_by_link(token=_token(plan_id, handle), text=text)
        appeal.decide(appeal_id=opened.id, by=staff["team2"], outcome=outcome, reasons=why)
    settle()


def _object(plan_id: str, handle: str) -> None:
    """A third holder objects late; this appeal still waits at the desk when the demo begins."""
    text = "I moved abroad and lost my phone. The handle carries my work of nine years."
    appeal.open_by_link(token=_token(plan_id, handle), text=text)
    settle()


def set_phase(phase: str, by: str) -> None:
    desk.set_phase(namespace=NAMESPACE, phase=phase, by=by)


def stop_releases(by: str) -> None:
    """The operator stops all releases: so it stands when the demo begins."""
    stop.set_stop(namespace=NAMESPACE, on=True, by=by)


def _count(sweep_id: str, stock: Path, *, out: Path) -> None:
    """The desk sees this sweep like those that it asks for."""
    import duckdb

    body = json.loads((out / "manifest.json").read_bytes())
    with duckdb.connect() as con:
        reasons = counts.reasons(con, out)
    facts = {"accounts": body["rows"], "verdicts": body["verdicts"], "reasons": reasons}
    sweeps.finish(sweep_id=sweep_id, stock=stock, **facts)


def announce(
    data: Path,
    people_: Mapping[str, Any],
    *,
    profile: str = "x",
    rules: str = "x-2023",
    file: Path | None = None,
) -> str:
    """Today: a fresh directory, a sweep over all of it, and a plan that two people agreed on.

    `rules` is the published policy's id, `file` its text where it is not the product's own.
    """
    arrive()
    folder = accounts.import_platform(data, profile=profile)
    by = people_["team1"]["member"]
    ordered = sweeps.order(namespace=NAMESPACE, policy=rules, by=by, adopts=False)
    stock = accounts.sweep(data, Path(folder), "first", policy=str(file or rules))
    _count(ordered["sweep"]["id"], stock, out=data / "namespaces" / NAMESPACE / "sweeps" / "first")
    made = plan.adopt(namespace=NAMESPACE, stock=stock, by=by, starts_at=now())
    if isinstance(made, Approval):
        by = people_["operator"]["member"]
        desk.approve(approval_id=made.id, by=by, shown=made.shown)
    return str(stock)
