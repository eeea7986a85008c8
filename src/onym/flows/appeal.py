"""Appeals: opened by the holder, decided by a second reviewer; docs/concepts/reclaim.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import access
from onym.core import appeal as core
from onym.core import handle as handles
from onym.core import reclaim as reclaims
from onym.core import sale as sales
from onym.core.errors import AlreadyClosed, HandleLocked, Malformed, NotAllowed, NotFound
from onym.core.events import Event
from onym.flows import names, reclaim, record, remedy, staff, standing, term, transfer, waiting
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks, secrets
from onym.store import reclaim as store
from onym.store.models import Appeal, Handle, Link, Member, Reclaim, Sale

CODE = re.compile(r"[a-z][a-z0-9_]{0,59}")
"""Reasons enter the public log, so they are codes and never somebody's words."""


def open_(*, namespace: str, handle: str, by: str, text: str) -> Appeal:
    """A member objects for the linked account whose handle is, or was, reclaimed.

    Refuses `malformed`, `not_allowed`, `not_found` when nothing was decided, `expired`,
    `already_closed` for a handle that was kept or an appeal that is open.
    """
    member = Member.objects.get(pk=by)
    accounts = member.snapshot().accounts
    return _open(namespace, handle, accounts=accounts, member=member, text=text)


def open_by_link(*, token: str, text: str) -> Appeal:
    """The same with the link of a notice, without signing in. Refuses `not_found`, too."""
    claim = store.read_keep_token(token)
    link = Link.objects.filter(
        namespace_id=claim.namespace, account_id=claim.account_id, unlinked_at=None
    ).first()
    member = link.member if link else None
    accounts = (claim.account_id,)
    return _open(
        claim.namespace, claim.handle, accounts=accounts, member=member, text=text, by_link=True
    )


def _open(
    namespace: str,
    handle: str,
    *,
    accounts: Sequence[str],
    member: Member | None,
    text: str,
    by_link: bool = False,
) -> Appeal:
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        now = clock.now()
        process = _process(row, accounts=accounts)
        member = _appellant(row, process, member=member, by_link=by_link)
        days = process.plan.periods["appeal_days"]
        decided_at = standing.of(row, process, now=now).deadline_at
        core.expect_openable(text=text, decided_at=decided_at, days=days, now=now)
        if Appeal.objects.filter(handle=row, account_id=process.account_id, state="open").exists():
            raise AlreadyClosed("an appeal about this handle is open already")
        made = _create(row, process, member=member, text=text, now=now)
        _bar(row, process, now=now)
        remedy.tell(made, "appeal_opened", now=now, held=row.appeal_open)
        return made


def _process(row: Handle, *, accounts: Sequence[str]) -> Reclaim:
    """What was decided about this handle while one of `accounts` held it."""
    found = Reclaim.objects.select_related("plan").filter(handle=row).order_by("-pk")
    own = found.filter(account_id__in=accounts).first()
    if own is None:
        if found.exists() or row.account_id not in accounts:
            raise NotAllowed("only the account that held the handle may appeal")
        raise NotFound("nothing is decided about this handle")
    if own.ending is not None and own.ending != reclaims.Ending.GONE:
        raise AlreadyClosed("the handle was kept")
    if Appeal.objects.filter(process=own, state=core.State.UPHELD).exists():
        raise AlreadyClosed("an appeal about this was upheld already")
    own.handle = row
    return own


def _appellant(
    row: Handle, process: Reclaim, *, member: Member | None, by_link: bool
) -> Member | None:
    """Who appeals; who has bought the account whole is not the one that it was taken from."""
    sold = term.sold_by_platform(row, account_id=process.account_id)
    if sold is None or member is None or member.id != sold.buyer_id:
        return member
    if by_link:  # the notice's link is as old as the notice, and so is whoever got it
        return None
    raise NotAllowed("only whoever had the account before it was sold may appeal")


def _create(
    row: Handle, process: Reclaim, *, member: Member | None, text: str, now: datetime
) -> Appeal:
    id_ = ids.new("apl")
    return Appeal.objects.create(
        id=id_,
        namespace_id=row.namespace_id,
        handle=row,
        process=process,
        account_id=process.account_id,
        member=member,
        text_sealed=secrets.seal(text, place=f"appeal.text/{id_}"),
        opened_at=now,
    )


def _bar(row: Handle, process: Reclaim, *, now: datetime) -> None:
    """No release and no sale while it is open; what money in escrow has bought is not undone."""
    if row.locked_by is not None or row.account_id != process.account_id:
        return
    if term.sold_by_platform(row, account_id=process.account_id) is not None:
        return
    reclaim.leave_market(row, now=now)
    row.appeal_open = True
    row.save(update_fields=["appeal_open"])
    standing.advance(row, process, now=now)


def decide(*, appeal_id: str, by: str, outcome: str, reasons: Sequence[str] = ()) -> Appeal:
    """A reviewer who had no part in it decides: `upheld` or `rejected`, with reason codes.

    Upheld, the handle goes back to its holder; if it was sold, the policy's remedy applies
    (flows/remedy, docs/concepts/reclaim.md).
    Refuses `not_allowed`, `second_person_needed`, `malformed`, `already_closed`, and
    `handle_locked` while a sale of the handle is under way: then it is decided after that.
    """
    if outcome not in (core.State.UPHELD, core.State.REJECTED):
        raise Malformed("an appeal is upheld or rejected")
    if not all(CODE.fullmatch(code) for code in reasons):
        raise Malformed("a reason is a code of small letters, such as was_active")
    place = Appeal.objects.filter(pk=appeal_id).values_list("namespace_id", flat=True).first()
    with transaction.atomic():
        rowlocks.namespace_shared(place or "")  # the stop decides what follows
        appeal = rowlocks.appeal(appeal_id)
        now = clock.now()
        reviewer = staff.expect(by, access.Action.DECIDE_APPEAL, namespace=appeal.namespace_id)
        core.expect_open(appeal.state)
        core.expect_reviewer(
            reviewer,
            deciders=[member.snapshot() for member in _deciders(appeal)],
            appellant=appeal.member.snapshot() if appeal.member else None,
        )
        _expect_no_sale(appeal.handle)
        appeal.state, appeal.decided_by_id, appeal.decided_at = outcome, by, now
        appeal.reasons = list(reasons) or [f"appeal_{outcome}"]
        if outcome == core.State.UPHELD:
            _uphold(appeal, now=now)
        appeal.save()
        _unbar(appeal, now=now)
        if appeal.handle.state in (handles.State.RELEASED, handles.State.FREE):
            waiting.tell(appeal.handle, since="decided", now=now)
        record.log(_decided(appeal), namespace=appeal.namespace_id, at=now)
        remedy.tell(appeal, "appeal_decided", now=now, **_told(appeal))
        return appeal


def _deciders(appeal: Appeal) -> list[Member]:
    """Everybody who had a part in what is appealed against."""
    process = appeal.process
    plan, approval = process.plan, process.plan.approval
    found = [plan.adopted_by, process.confirmed_by]
    found += [approval.proposed_by, approval.approved_by] if approval else []
    earlier = Appeal.objects.filter(process=process, decided_by__isnull=False)
    found += [one.decided_by for one in earlier.select_related("decided_by")]
    return [member for member in found if member is not None]


def _expect_no_sale(row: Handle) -> None:
    if Sale.objects.filter(handle=row, state__in=sales.LIVE).exists():
        raise HandleLocked("a sale of this handle is under way: decide when it has ended")


def _uphold(appeal: Appeal, *, now: datetime) -> None:
    row, process = appeal.handle, appeal.process
    process.handle = row
    sale, upheld = remedy.sale_of(appeal), process.plan.periods["upheld"]
    sold = _sold(appeal, sale)
    appeal.remedy = core.remedy(sold=sold, upheld=upheld)
    if sold is core.Sold.NOT:
        if process.ended_at is None:
            ending = reclaims.Ending.UPHELD
            standing.give_back(row, process, ending=ending, how="appeal", now=now)
    elif sale is not None and appeal.remedy is core.Remedy.RETURN:
        _take_back(appeal, sale, now=now)
    elif sale is not None and appeal.remedy is core.Remedy.COMPENSATE:
        remedy.compensate(appeal, sale, now=now)
        appeal.instead_of_return = "moved_on" if upheld == core.Remedy.RETURN else ""


def _sold(appeal: Appeal, sale: Sale | None) -> core.Sold:
    if term.sold_by_platform(appeal.handle, account_id=appeal.account_id) is not None:
        return core.Sold.ON  # what was wiped with the account cannot be given back
    if appeal.handle.account_id == appeal.account_id:
        return core.Sold.NOT
    if sale is None:
        return core.Sold.ELSEWHERE
    sale.handle = appeal.handle
    return core.Sold.BY_US if remedy.is_with_its_buyer(sale) else core.Sold.ON


def _take_back(appeal: Appeal, sale: Sale, *, now: datetime) -> None:
    """Order the handle's way back; the money follows once it is seen there."""
    row = appeal.handle
    reclaim.leave_market(row, now=now)
    names.fill_slot(row, kind="sale", ref=sale.id, instead_of=None, now=now)
    row.locked_by = handles.lock(row.snapshot(), sale=sale.id).locked_by
    row.save(update_fields=["locked_by"])
    rules = sale_flow.pinned(sale)
    sale_flow.write(sale, sales.take_back(sale.snapshot(), guidelines=rules, now=now))
    transfer.start(sale, row=row, to=appeal.account_id, now=now)
    appeal.sale = sale
    remedy.tell_buyer(sale, "sale_returning", now=now)


def _unbar(appeal: Appeal, *, now: datetime) -> None:
    row = appeal.handle
    if not row.appeal_open or row.account_id != appeal.account_id:
        return
    row.appeal_open = False
    row.save(update_fields=["appeal_open"])
    process = store.open_process(row)
    if process is not None:
        standing.advance(row, process, now=now)


def _decided(appeal: Appeal) -> Event:
    body: dict[str, Any] = {
        "handle": appeal.handle.handle,
        "outcome": appeal.state,
        "reasons": appeal.reasons,
        "id": appeal.id,
        "reviewer": appeal.decided_by_id,
    }
    evidence = {"account_id": appeal.account_id, "text": appeal.text, "remedy": appeal.remedy}
    return Event("AppealDecided", appeal.id, body, {"evidence": evidence})


def _told(appeal: Appeal) -> dict[str, Any]:
    told: dict[str, Any] = {
        "upheld": appeal.state == core.State.UPHELD,
        "remedy": appeal.remedy,
        "reasons": appeal.reasons,
    }
    if appeal.remedy == core.Remedy.COMPENSATE:
        told["amount"] = remedy.amount(appeal)
    return told
