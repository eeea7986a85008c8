"""The demo's past: a pilot of forty accounts, a few invited sales, keeps, an appeal, a refund."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests
from django.conf import settings

from onym import ports
from onym.core.money import Money
from onym.core.sale import State
from onym.flows import (
    appeal,
    appraisal,
    clock,
    contacts,
    desk,
    invitation,
    names,
    payments,
    people,
    plan,
    reclaim,
    stop,
)
from onym.queries import clock as clocks
from onym.queries import names as handles
from onym.queries import sale as sales
from onym.site.demo import NAMESPACE, Steps, write_whole
from onym.store import reclaim as tokens
from onym.store.models import Approval, Invitation, Plan
from onym.sweep import snapshot

PILOT = 40
FIRST = ("handle", "sunset")
"""Story handles: in the plan's first stage."""

DAY = 86_400
INVITED = (
    # account that buys, price in cents, what becomes of it
    ("1005", 250_000, "settled"),
    ("1006", 480_000, "settled"),
    ("1009", 310_000, "refunded"),
    ("1010", 720_000, "settled"),
    ("1011", 150_000, "declined"),
)


def now() -> datetime:
    return clocks.now()


def begin(days: int) -> None:
    """The clock starts in the past; the platform's accounts were made for that day."""
    clock.begin(offset_seconds=-days * DAY)


def arrive() -> None:
    """Market time is the machine's from here on."""
    if now() < datetime.now(UTC):
        step((datetime.now(UTC) - now()).total_seconds())
    clock.begin(offset_seconds=0)


def step(seconds: float) -> None:
    """Let the jobs process walk through every deadline on the way."""
    target = clock.order_advance(seconds=int(seconds))
    until = time.monotonic() + 300
    while clocks.stepping():
        if time.monotonic() > until:
            raise SystemExit("the clock did not arrive; see DATA/log of the jobs process")
        time.sleep(0.02)
    if now() < target - timedelta(seconds=2):
        raise SystemExit("the clock stopped on its way")


def settle() -> None:
    """Wait until no job is under way."""
    until = time.monotonic() + 60
    while clocks.busy(but="clock.advance") and time.monotonic() < until:
        time.sleep(0.02)


# Directory and sweeps


def import_platform(data: Path) -> str:
    """All accounts of the platform, page by page, as the directory."""
    file = data / "demo" / f"accounts-{time.time_ns()}.jsonl"
    with file.open("w") as out:
        for row in _accounts():
            out.write(json.dumps(row, default=_plain) + "\n")
    folder = data / "namespaces" / NAMESPACE / "directory" / f"{now():%Y%m%dT%H%M%S}"
    try:
        made = snapshot.import_accounts([file], folder, mapping={}, profile="x", seal=contacts.seal)
    finally:
        file.unlink()
    names.import_directory(namespace=NAMESPACE, snapshot=made.snapshot)
    return str(folder)


def _accounts() -> Iterable[Mapping[str, Any]]:
    cursor: str | None = None
    while True:
        rows, cursor = ports.platform(NAMESPACE).accounts(cursor=cursor)
        yield from rows
        if cursor is None:
            return


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def sweep(data: Path, source: Path, name: str) -> Path:
    """`onym sweep` under x-2023 as of now; its findings as a stock."""
    out = data / "namespaces" / NAMESPACE / "sweeps" / name
    command = [sys.executable, "-m", "onym.site.command", "sweep", str(source), "--json"]
    command += ["--policy", "x-2023", "--as-of", now().isoformat(), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    import duckdb

    folder = data / "namespaces" / NAMESPACE / "stock" / name
    with duckdb.connect() as con:
        snapshot.write_stock(con, out, folder, first=FIRST)
    return folder


# What happened


def live(data: Path, people_: Mapping[str, Any], steps: Steps) -> None:
    """From the first warning to the release stop, on the demo's clock."""
    team = people_["team1"]["member"]
    pilot = steps.once("pilot", lambda: _pilot(data, team))
    steps.once("warned", lambda: step(10 * DAY))
    steps.once("kept", lambda: _keep(pilot["plan"], pilot["handles"][:3]))
    steps.once("appealed", lambda: _appeal(pilot["plan"], pilot["handles"][3:5], people_))
    steps.once("rested", lambda: step(54 * DAY))
    steps.once("invited", lambda: _open_phase(team))
    for turn, (account, cents, end) in enumerate(INVITED):
        handle = pilot["handles"][6 + turn]
        steps.once(f"sale {turn + 1}", partial(_sale, team, handle, account, cents, end))
    steps.once("stopped", lambda: _stop(people_["team2"]["member"]))


def _pilot(data: Path, by: str) -> dict[str, Any]:
    """Warn the holders of forty accounts that nobody refers to and nothing protects."""
    chosen: list[Mapping[str, Any]] = []
    for row in _accounts():
        if _is_quiet(row):
            chosen.append(row)
        if len(chosen) == PILOT:
            break
    source = data / "demo" / "pilot.jsonl"
    write_whole(source, "".join(json.dumps(row, default=_plain) + "\n" for row in chosen))
    stock = sweep(data, source, "pilot")
    adopted = plan.adopt(
        namespace=NAMESPACE, stock=stock, by=by, starts_at=now(), stage_days=(0, 0, 0)
    )
    if not isinstance(adopted, Plan):
        raise SystemExit("a pilot account has too many followers")
    return {"plan": adopted.id, "handles": [str(row["handle"]).lower() for row in chosen]}


def _is_quiet(row: Mapping[str, Any]) -> bool:
    seen = row.get("last_login_at")
    guards = ["memorial", "verified", "public_body", "legal_hold", "minor", "dispute_open"]
    guards += ["appeal_open", "subscriber"]
    return (
        row.get("status") == "active"
        and isinstance(seen, datetime)
        and now() - seen > timedelta(days=200)
        and (row.get("inbound_refs") or 99) < 10
        and (row.get("followers") or 0) < 2_000
        and all(row.get(guard) is False for guard in guards)
        and str(row["handle"]).lower() not in FIRST
    )


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


def _appeal(plan_id: str, handles: list[str], people_: Mapping[str, Any]) -> None:
    """One appeal is upheld, one rejected, both by a second person."""
    texts = ("I was ill and am back now.", "I want to keep it for later.")
    reasons = (["holder_was_away"], ["no_sign_of_use"])
    for handle, text, outcome, why in zip(
        handles, texts, ("upheld", "rejected"), reasons, strict=True
    ):
        opened = appeal.open_by_link(token=_token(plan_id, handle), text=text)
        appeal.decide(
            appeal_id=opened.id, by=people_["team2"]["member"], outcome=outcome, reasons=why
        )
    settle()


def _open_phase(by: str) -> None:
    desk.set_phase(namespace=NAMESPACE, phase="invited", by=by)


def _sale(team: str, handle: str, account: str, cents: int, end: str) -> None:
    """A quiet offer to one buyer, and how it ended."""
    buyer, mail = _buyer(account)
    reclaim.prepare_sale(namespace=NAMESPACE, handle=handle)
    drafted = invitation.propose(
        namespace=NAMESPACE,
        handle=handle,
        by=team,
        price=Money(cents, "USD"),
        criteria="Members of long standing whose own handle is longer.",
        recipients=[invitation.Recipient(mail, "", "en")],
        expires_in_days=14,
        shown=appraisal.Shown(**handles.beside_price(NAMESPACE, handle)),
    )
    if isinstance(drafted, Approval):
        raise SystemExit("a pilot price needs no second person")
    invitation.send(campaign_id=drafted.id, by=team)
    settle()
    token = Invitation.objects.get(campaign_id=drafted.id).token
    step(DAY)
    if end == "declined":
        invitation.decline(token=token)
        return
    sale = invitation.accept(token=token, by=buyer)
    if end == "refunded":
        _come_back(sale.seller_account_id or "")
    payments.pay(sale_id=sale.id, by=buyer, method="pm_card_visa")
    settle()
    step(3 * DAY)
    found = sales.sale(sale.id, viewer=buyer)
    if found["state"] != (State.REFUNDED if end == "refunded" else State.SETTLED):
        raise SystemExit(f"the demo's sale of @{handle} ended as {found['state']}")


def _buyer(account: str) -> tuple[str, str]:
    mail = f"member{account}@mail.example"
    since = now() - timedelta(days=200)
    made = people.join(namespace=NAMESPACE, name=f"Member {account}", mail=mail, since=since)
    people.link(member=made.id, account_id=account, since=since)
    return made.id, mail


def _come_back(account: str) -> None:
    """The idle holder signs in to the platform, just before the money arrives."""
    url = f"{settings.PLATFORM_URL}/demo/login"
    requests.post(url, json={"account_id": account}, timeout=10).raise_for_status()


def _stop(by: str) -> None:
    """The operator stops all releases: so it stands when the demo begins."""
    stop.set_stop(namespace=NAMESPACE, on=True, by=by)


def announce(data: Path, people_: Mapping[str, Any]) -> str:
    """Today: a fresh directory, a sweep over all of it, and a plan that two people agreed on."""
    arrive()
    folder = import_platform(data)
    stock = sweep(data, Path(folder), "first")
    made = plan.adopt(
        namespace=NAMESPACE, stock=stock, by=people_["team1"]["member"], starts_at=now()
    )
    if isinstance(made, Approval):
        by = people_["team2"]["member"]
        desk.approve(approval_id=made.id, by=by, shown=made.shown)
    return str(stock)
