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
from onym.queries import reasons, standing
from onym.queries.standing import Seen
from onym.store import clock
from onym.store import reclaim as store
from onym.store.desk import document
from onym.store.models import (
    DirectoryImport,
    Document,
    Plan,
    Reclaim,
)


def answer(*, namespace: str, handle: str, policy_id: str | None = None) -> dict[str, Any]:
    """The body of `GET /handles/{handle}/reclaim`: reason codes and the earliest date only.

    `policy_id` asks what another published policy would say; default is that of the plan in use.
    Refuses `handle_malformed`, `not_found` for an unknown policy.
    """
    now = clock.now()
    found = standing.seen(namespace=namespace, handle=handle, now=now)
    row = _policy(namespace, policy_id, found, now=now)
    given = _verdict(namespace, found, row, now=now)
    stopped = _stopped_by(namespace, found, given)
    return {
        "handle": found.handle,
        "verdict": given.verdict.value,
        "reasons": list(given.reasons),
        "policy": {"id": row.name, "version": row.version},
        "earliest_at": _wire(_earliest(namespace, found, row, given, now=now)),
        "stopped_by": stopped,
    }


def _policy(namespace: str, policy_id: str | None, found: Seen, *, now: datetime) -> Document:
    newest = next(iter(store.plans_of(namespace)), None)
    plan = found.plan or newest
    wanted = policy_id or (plan.policy_name if plan else None)
    row = document(namespace=namespace, kind="policy", at=now, name=wanted)
    if row is None:
        raise NotFound("no such policy is published here")
    return row


def _verdict(namespace: str, found: Seen, row: Document, *, now: datetime) -> policy.Verdict:
    """The policy's verdict on what the directory knows, as of when the directory was read."""
    told = _decided(found) or _swept(found, row)
    if told is not None:
        return told
    account = dict(found.account or {})
    listed = standing.listed(namespace, found.handle)
    account |= {"protected_list": listed is State.PROTECTED}
    account |= {"reserved_list": listed is State.RESERVED}
    as_of = _as_of(namespace, now=now)
    return policy.verdict(policy.parse(row.text, row.name), account, as_of)


def _as_of(namespace: str, *, now: datetime) -> datetime:
    last = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id").first()
    newest = next(iter(store.plans_of(namespace)), None)
    known = [last.at if last else None, newest.as_of if newest else None]
    return min(max((at for at in known if at), default=now), now)


def _decided(found: Seen) -> policy.Verdict | None:
    """What no policy need be asked about: nobody holds it, it was kept, it changed hands."""
    if found.standing.state is State.FREE or found.account is None:
        return policy.Verdict(verdict=Outcome.KEEP, reasons=("not_held",))
    row = found.row
    if row is None or found.plan is not None:
        return None
    if row.account_id != found.account["account_id"]:
        return policy.Verdict(verdict=Outcome.KEEP, reasons=("changed_hands",))
    if Reclaim.objects.filter(handle=row, account_id=row.account_id).exists():
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


def _stopped_by(namespace: str, found: Seen, given: policy.Verdict) -> list[str]:
    """What keeps a handle that may be reclaimed from being released, whatever the date."""
    if given.verdict not in core.TAKEN:
        return []
    on = plans.is_on(store.stops(namespace), now=clock.now())
    row, process = found.row, found.process
    waits = process is not None and process.listed_at is not None
    facts = {
        "release_stop": on,
        "appeal_open": row is not None and row.appeal_open,
        "dispute_open": row is not None and row.dispute_open,
        "no_channel": waits and process is not None and process.confirmed_by_id is None,
    }
    return [code for code, holds in facts.items() if holds]


def _earliest(
    namespace: str, found: Seen, row: Document, given: policy.Verdict, *, now: datetime
) -> datetime | None:
    """When it could be released if nothing changes and the stop were lifted now."""
    plan, finding = found.plan, found.finding
    if plan is not None and finding is not None and plan.policy_name == row.name:
        lifted = tuple(
            stop if stop.until else Stop(stop.since, max(now, stop.since))
            for stop in store.stops(namespace)
        )
        if finding.resting_days is None:
            return None
        if found.process is None:
            made = plan.snapshot()
            return core.state(finding, plan=made, stops=lifted, now=now).release_at
        return _of_process(found.process, finding, plan, lifted, now=now)
    if given.earliest_at is None or given.verdict is Outcome.PROTECTED:
        return None
    running = given.verdict in core.TAKEN and given.resting_days is not None
    if not running:
        return given.earliest_at
    days = policy.parse(row.text, row.name).periods.notice_period_days + (given.resting_days or 0)
    return max(given.earliest_at, now + timedelta(days=days))


def _of_process(
    process: Reclaim,
    finding: core.Finding,
    plan: Plan,
    stops: tuple[Stop, ...],
    *,
    now: datetime,
) -> datetime | None:
    stands = core.standing(
        process.snapshot(),
        finding=finding,
        plan=plan.snapshot(),
        stops=stops,
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
    kept: bool
    gone: bool
    appeal_open: bool


def keep_page(*, token: str, language: str) -> KeepPage:
    """What the link's page says; looking changes nothing. Refuses `not_found`."""
    claim = store.read_keep_token(token)
    plan = Plan.objects.filter(pk=claim.plan, namespace_id=claim.namespace).first()
    if plan is None:
        raise NotFound("this link is not one of ours")
    found = standing.seen(namespace=claim.namespace, handle=claim.handle)
    finding = found.finding or standing.finding_in(plan, found.handle)
    holder = found.row.account_id if found.row else (found.account or {}).get("account_id")
    account = found.account
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
