"""What the public and a holder may know of reclaim; docs/concepts/reclaim.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from onym.core import plan as plans
from onym.core import policy
from onym.core import reclaim as core
from onym.core.errors import NotFound
from onym.core.handle import State
from onym.core.plan import Stop
from onym.core.policy import Outcome
from onym.queries import ground, reasons, standing
from onym.queries.ground import Ground
from onym.queries.standing import Seen
from onym.store import reclaim as store
from onym.store.models import Document, Plan, Reclaim


def answer(*, namespace: str | Ground, handle: str, policy_id: str | None = None) -> dict[str, Any]:
    """The body of `GET /handles/{handle}/reclaim`: reason codes and the earliest date only.

    `policy_id` asks what another published policy would say; default is that of the plan in use.
    Refuses `handle_malformed`, `not_found` for an unknown policy.
    """
    looked = ground.of(namespace)
    return answer_of(looked, standing.seen(namespace=looked, handle=handle), policy_id=policy_id)


def answer_of(looked: Ground, found: Seen, *, policy_id: str | None = None) -> dict[str, Any]:
    """The same about a handle that was looked at already."""
    row = _policy(looked, policy_id, found)
    given = _verdict(looked, found, row)
    return {
        "handle": found.handle,
        "verdict": given.verdict.value,
        "reasons": list(given.reasons),
        "policy": {"id": row.name, "version": row.version},
        "earliest_at": _wire(_earliest(looked, found, row, given)),
        "stopped_by": _stopped_by(looked, found, given),
    }


def _policy(looked: Ground, policy_id: str | None, found: Seen) -> Document:
    newest = next(iter(looked.plans), None)
    plan = found.plan or newest
    row = looked.policy(policy_id or (plan.policy_name if plan else None))
    if row is None:
        raise NotFound("no such policy is published here")
    return row


def _verdict(looked: Ground, found: Seen, row: Document) -> policy.Verdict:
    """The policy's verdict on what the directory knows, as of when the directory was read."""
    told = _decided(found) or _swept(found, row)
    if told is not None:
        return told
    account = dict(found.account or {})
    account |= {"protected_list": found.listed is State.PROTECTED}
    account |= {"reserved_list": found.listed is State.RESERVED}
    return policy.verdict(policy.parse(row.text, row.name), account, _as_of(looked))


def _as_of(looked: Ground) -> datetime:
    newest = next(iter(looked.plans), None)
    known = [looked.imported_at, newest.as_of if newest else None]
    return min(max((at for at in known if at), default=looked.now), looked.now)


def _decided(found: Seen) -> policy.Verdict | None:
    """What no policy need be asked about: nobody holds it, it was kept, it changed hands."""
    if found.standing.state is State.FREE or found.account is None:
        return policy.Verdict(verdict=Outcome.KEEP, reasons=("not_held",))
    row = found.row
    if row is None or found.plan is not None:
        return None
    if row.account_id != found.account["account_id"]:
        return policy.Verdict(verdict=Outcome.KEEP, reasons=("changed_hands",))
    if any(process.account_id == row.account_id for process in found.processes):
        return policy.Verdict(verdict=Outcome.KEEP, reasons=("kept",))
    return None


def _swept(found: Seen, row: Document) -> policy.Verdict | None:
    """What the sweep in use found, if it is this policy that is asked about."""
    plan, finding = found.plan, found.finding
    if plan is None or finding is None or plan.policy_ref != f"{row.name}/{row.version}":
        return None
    return policy.Verdict(
        verdict=finding.verdict, reasons=finding.reasons, resting_days=finding.resting_days
    )


def _stopped_by(looked: Ground, found: Seen, given: policy.Verdict) -> list[str]:
    """What keeps a handle that may be reclaimed from being released, whatever the date."""
    if given.verdict not in core.TAKEN:
        return []
    row, process = found.row, found.process
    waits = process is not None and process.listed_at is not None
    facts = {
        "release_stop": plans.is_on(looked.stops, now=looked.now),
        "appeal_open": row is not None and row.appeal_open,
        "dispute_open": row is not None and row.dispute_open,
        "no_channel": waits and process is not None and process.confirmed_by_id is None,
    }
    return [code for code, holds in facts.items() if holds]


def _earliest(looked: Ground, found: Seen, row: Document, given: policy.Verdict) -> datetime | None:
    """When it could be released if nothing changes and the stop were lifted now."""
    plan, finding, now = found.plan, found.finding, looked.now
    if plan is not None and finding is not None and plan.policy_name == row.name:
        return _planned(looked, found, plan, finding)
    if given.earliest_at is None or given.verdict is Outcome.PROTECTED:
        return None
    running = given.verdict in core.TAKEN and given.resting_days is not None
    if not running:
        return given.earliest_at
    days = policy.parse(row.text, row.name).periods.notice_period_days + (given.resting_days or 0)
    return max(given.earliest_at, now + timedelta(days=days))


def _planned(looked: Ground, found: Seen, plan: Plan, finding: core.Finding) -> datetime | None:
    now, made = looked.now, looked.made[plan.id]
    lifted = tuple(
        stop if stop.until else Stop(stop.since, max(now, stop.since)) for stop in looked.stops
    )
    if finding.resting_days is None:
        return None
    if found.process is None:
        return core.state(finding, plan=made, stops=lifted, now=now).release_at
    stands = core.standing(
        found.process.snapshot(),
        finding=finding,
        plan=made,
        stops=lifted,
        appeal_open=False,
        now=now,
    )
    return stands.release_at


def _wire(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


@dataclass(frozen=True, slots=True)
class KeepPage:
    """What a keep link shows: the evidence goes to the holder alone."""

    namespace: str
    handle: str
    state: State
    reasons: Sequence[str]
    deadline_at: datetime | None
    release_at: datetime | None
    policy: str
    version: int
    last_seen_at: datetime | None
    as_of: datetime
    adopted_at: datetime
    stopped: bool
    appeal_days: int
    appeal_until: datetime | None
    kept: bool
    gone: bool
    appeal_open: bool


def keep_page(*, token: str, language: str) -> KeepPage:
    """What the link's page says; looking changes nothing. Refuses `not_found`."""
    claim = store.read_keep_token(token)
    looked = ground.of(claim.namespace)
    plan = next((plan for plan in looked.plans if plan.id == claim.plan), None)
    if plan is None:
        raise NotFound("this link is not one of ours")
    found = standing.seen(namespace=looked, handle=claim.handle)
    finding = found.finding or standing.finding_in(plan, found.handle)
    holder, account = found.holder, found.account
    days, decided_at = plan.periods["appeal_days"], found.standing.deadline_at
    return KeepPage(
        namespace=claim.namespace,
        handle=account["display"] if account else found.handle,
        state=found.standing.state,
        reasons=reasons.phrases(finding.reasons if finding else (), language=language),
        deadline_at=found.standing.deadline_at,
        release_at=found.standing.release_at,
        policy=plan.policy_name,
        version=plan.policy_version,
        last_seen_at=core.last_sign(account) if account else None,
        as_of=plan.as_of,
        adopted_at=plan.adopted_at,
        stopped=plans.is_on(looked.stops, now=looked.now),
        appeal_days=days,
        appeal_until=decided_at + timedelta(days=days) if decided_at else None,
        kept=holder == claim.account_id and found.standing.state is State.HELD,
        gone=holder != claim.account_id,
        appeal_open=found.row is not None and found.row.appeal_open,
    )


def without_channel(*, namespace: str) -> list[dict[str, Any]]:
    """The public list: handles whose holders nobody can reach; a reviewer confirms each."""
    rows = Reclaim.objects.filter(
        plan__namespace_id=namespace, listed_at__isnull=False, ended_at=None
    )
    return [
        {
            "handle": row.handle.display,
            "listed_at": row.listed_at,
            "reasons": list(row.reasons),
            "confirmed": row.confirmed_by_id is not None,
        }
        for row in rows.select_related("handle").order_by("listed_at", "pk")
    ]
