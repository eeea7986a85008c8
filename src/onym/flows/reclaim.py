"""One touched handle on its way: kept, looked at, confirmed, released; docs/concepts/reclaim.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from onym import ports
from onym.core import access, policy
from onym.core import reclaim as core
from onym.core.errors import (
    AlreadyClosed,
    HandleLocked,
    HandleUnavailable,
    NotAllowed,
    NotFound,
    PlatformUnavailable,
    ReleaseStopped,
)
from onym.core.handle import State
from onym.core.names import canon
from onym.flows import invitation, listing, names, plan, record, sale, staff, standing, transfer
from onym.ports.platform import AccountRow
from onym.store import clock, rowlocks
from onym.store import reclaim as store
from onym.store.models import Appeal, Handle, Member, Reclaim, SaleSlot
from onym.store.reclaim import Claim


def keep_by_link(*, token: str) -> Handle:
    """The holder keeps with the link of a notice, without signing in.

    Refuses `not_found` for a link that is not ours, `handle_locked` once money is in escrow,
    `already_closed` when another account holds the handle. A second time is nothing.
    """
    return _keep(store.read_keep_token(token), how="link")


def keep(*, namespace: str, handle: str, by: str) -> Handle:
    """The same by a member whose linked account holds the handle. Refuses `not_allowed`, too."""
    member = Member.objects.get(pk=by)
    canonical = canon(handle, member.namespace.profile)
    row = Handle.objects.filter(namespace_id=namespace, handle=canonical).first()
    account = row.account_id if row else _account_of(namespace, canonical)
    if account is None or account not in member.snapshot().accounts:
        raise NotAllowed("only its holder keeps a handle")
    return _keep(Claim(namespace, canonical, account, ""), how="member")


def _account_of(namespace: str, handle: str) -> str | None:
    known = names.directory(namespace)
    found = known.by_handle(handle) if known else None
    return found["account_id"] if found else None


def _keep(claim: Claim, *, how: str) -> Handle:
    with transaction.atomic():
        row = names.touch(namespace=claim.namespace, handle=claim.handle)
        now = clock.now()
        if row.account_id != claim.account_id:
            raise AlreadyClosed("another account holds this handle now")
        process = store.open_process(row)
        if process is not None:
            _give_back(row, process, by=claim.account_id, how=how, now=now)
        return row


def _give_back(row: Handle, process: Reclaim, *, by: str, how: str, now: datetime) -> None:
    leave_market(row, now=now)
    held, ended = core.keep(
        row.snapshot(),
        process.snapshot(),
        by=by,
        deadline_at=standing.of(row, process, now=now).deadline_at,
        waking_days=process.plan.periods["waking_days"],
        now=now,
    )
    standing.write_end(row, process, held=held, ended=ended, how=how, now=now)
    _withdraw_appeals(row, now=now)
    _tell(row, process, "handle_kept", now=now)


def leave_market(row: Handle, *, now: datetime) -> None:
    """End whatever would sell a locked handle: listing, invitations, a sale that is not funded.

    Refuses `handle_locked` once money is in escrow (H9).
    """
    if row.locked_by is not None:
        raise HandleLocked("the money for this handle is in escrow already", why="sale")
    sale.yield_to_holder(row=row, now=now)
    listing.close(row, now=now)
    invitation.close_for(row, why="holder_returned", now=now)
    SaleSlot.objects.filter(handle=row, kind="listing").delete()


def _withdraw_appeals(row: Handle, *, now: datetime) -> None:
    """Who keeps the handle needs no decision any more."""
    Appeal.objects.filter(handle=row, state="open", account_id=row.account_id).update(
        state="withdrawn", decided_at=now
    )
    if row.appeal_open:
        row.appeal_open = False
        row.save(update_fields=["appeal_open"])


def _tell(row: Handle, process: Reclaim, kind: str, *, now: datetime) -> None:
    """Confirm to the account by the address the directory knows and on the platform."""
    known = names.directory(row.namespace_id)
    record.notify(
        namespace=row.namespace_id,
        kind=kind,
        about=f"{process.plan_id}/{row.handle}",
        now=now,
        account_id=process.account_id,
        address=known.email(process.account_id) if known else None,
        language=names.spoken_by(row.namespace_id, process.account_id),
        facts={"handle": row.display},
    )


# The clock


def step(*, process_id: int) -> None:
    """Something is due about one handle: write it down, tell its holder, or order the last look.

    Early or repeated calls do nothing.
    """
    handle = Handle.objects.filter(reclaim=process_id).first()
    if handle is None:
        raise NotFound("no such process")
    with transaction.atomic():
        row = names.touch(namespace=handle.namespace_id, handle=handle.handle)
        now = clock.now()
        process = store.open_process(row)
        if process is None or process.pk != process_id or row.locked_by is not None:
            return
        account = _directory_row(row)
        if row.state == State.RELEASED and standing.was_seen(account, process.plan):
            leave_market(row, now=now)
            standing.give_back(row, process, ending=None, how="directory", now=now)
            return
        _order(process, row, now=now)


def _directory_row(row: Handle) -> standing.Account | None:
    known = names.directory(row.namespace_id)
    found = known.by_handle(row.handle) if known else None
    return found if found and found["account_id"] == row.account_id else None


def _order(process: Reclaim, row: Handle, *, now: datetime) -> None:
    if process.next_at is None or process.next_at > now:
        return
    if process.sent is not None and None in process.sent:
        record.hasten("reclaim.tell_one", lock=f"process-{process.pk}", process_id=process.pk)
    elif row.state == State.RESTING:
        record.hasten("reclaim.look", lock=f"process-{process.pk}", process_id=process.pk)


# The last look


@dataclass(frozen=True, slots=True)
class Question:
    """What the platform is asked before a release: the holder and when the account was seen."""

    process_id: int
    namespace: str
    handle: str
    account_id: str


def question(*, process_id: int) -> Question | None:
    """What to ask before the release, or None if nothing waits for it."""
    process = Reclaim.objects.select_related("handle").filter(pk=process_id, ended_at=None).first()
    if process is None or process.handle.state != State.RESTING:
        return None
    row = process.handle
    return Question(process.pk, row.namespace_id, row.handle, process.account_id)


def look(*, process_id: int) -> State | None:
    """Ask the platform afresh and record what it says; outside every transaction.

    Answers the state that follows. Refuses `platform_unavailable`: no fresh answer, no release.
    """
    asked = question(process_id=process_id)
    if asked is None:
        return None
    platform = ports.platform(asked.namespace)
    holder = platform.holder(handle=asked.handle).account_id
    account = platform.account(account_id=asked.account_id)
    return record_look(process_id=process_id, holder=holder, account=account)


def record_look(*, process_id: int, holder: str | None, account: AccountRow | None) -> State:
    """What the platform said in the last look: released, or back to its holder.

    Refuses `platform_unavailable` when the answer says less than the sweep knew.
    """
    with transaction.atomic():
        _hold_stop(process_id)
        process = rowlocks.process(process_id)
        now = clock.now()
        row = process.handle
        if process.ended_at is not None or row.locked_by is not None:
            return State(row.state)
        verdict = _look(row, process, holder=holder, account=account, now=now)
        if verdict is core.Look.NO_ANSWER:
            raise PlatformUnavailable("the platform does not say when the account was last seen")
        if verdict is core.Look.SILENT:
            process.looked_at = now
            standing.advance(row, process, now=now)
            return State(row.state)
        leave_market(row, now=now)
        standing.give_back(row, process, ending=ENDINGS[verdict], how="last_look", now=now)
        if verdict is core.Look.GONE:
            row.state = State.HELD if holder else State.FREE
            transfer.change_holder(row, to=holder, cause="platform", now=now)
        return State(row.state)


def _hold_stop(process_id: int) -> None:
    """The release stop stays as it is while this transaction relies on it."""
    found = Reclaim.objects.filter(pk=process_id).values_list("plan__namespace_id", flat=True)
    rowlocks.namespace_shared(found.first() or "")


ENDINGS = {
    core.Look.SEEN: None,  # woke or returned, as the deadline says
    core.Look.PROTECTED: core.Ending.PROTECTED,
    core.Look.GONE: core.Ending.GONE,
}


def _look(
    row: Handle, process: Reclaim, *, holder: str | None, account: AccountRow | None, now: datetime
) -> core.Look:
    rules = plan.published(row.namespace_id, process.plan.policy_name, process.plan.policy_version)
    fresh = dict(account or {})
    listed = names.listed(namespace=row.namespace_id, canonical=row.handle)
    fresh |= {
        "protected_list": listed is State.PROTECTED,
        "reserved_list": listed is State.RESERVED,
    }
    return core.look(
        account_id=process.account_id,
        holder=holder,
        verdict=policy.verdict(rules, fresh, now).verdict,
        last_seen=core.last_sign(fresh),
        known_last_seen=_known_last_seen(row, process),
    )


def _known_last_seen(row: Handle, process: Reclaim) -> datetime | None:
    """The newest sign of life that the sweep could know: not one that a later import brought."""
    account = _directory_row(row)
    seen = core.last_sign(account) if account else None
    return None if seen is None else min(seen, process.plan.as_of)


def prepare_sale(*, namespace: str, handle: str) -> State:
    """Before staff list or offer a handle of the stock: give it its row and take the last look.

    Call it outside every transaction, before the flow that sells; calling it again is harmless.
    Refuses `handle_unavailable` with the state, `release_stopped`, `platform_unavailable`.
    """
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        process = store.open_process(row)
        if row.state != State.RESTING or process is None:
            return State(row.state)
        stands = standing.of(row, process, now=now)
    if stands.resting_until is None or now < stands.resting_until:
        raise HandleUnavailable("the handle is resting", rung=State.RESTING.value)
    if stands.release_at is None:
        raise ReleaseStopped()
    if now < stands.release_at or row.appeal_open:
        raise HandleUnavailable("the handle is resting", rung=State.RESTING.value)
    return look(process_id=process.pk) or State.RESTING


# The public list


def confirm(*, namespace: str, handle: str, by: str) -> Handle:
    """A reviewer confirms that a handle whose notice only stands on the public list may go on.

    Refuses `not_allowed`, `not_found`, `already_closed`.
    """
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        staff.expect(by, access.Action.DECIDE_APPEAL, namespace=namespace)
        process = store.open_process(row)
        if process is None:
            raise NotFound("nothing is decided about this handle")
        core.confirm(process.snapshot())
        process.confirmed_by_id = by
        standing.advance(row, process, now=now)
        return row
