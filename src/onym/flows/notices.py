"""The notices of a plan: a wave to a whole part, or one account alone; docs/concepts/reclaim.md.

A wave is opened, sent by a job and recorded; run again after a crash it sends under the same keys,
so nobody is told twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.area import Area
from onym.core.errors import NotFound
from onym.core.plan import DAY
from onym.flows import area, names, part, record, standing
from onym.store import clock, ids, rowlocks, secrets
from onym.store import reclaim as store
from onym.store.models import Notice, Plan, PlanPart, Reclaim
from onym.sweep import outcome
from onym.sweep.directory import Directory

KIND = "handle_warned"
SENT, NONE = "sent", "none"
OPEN = ("pending", "unknown")
"""Fates that may still become another one."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """One holder to be told: `key` names the notice for ever; `letter` is that of their mail."""

    handle: str
    account_id: str
    language: str
    key: str
    letter: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wave:
    """What a job sends. Facts hold the statement of reasons as data; the text is made of them."""

    namespace: str
    addressees: tuple[Addressee, ...]


def due(*, part_id: int, number: int) -> None:
    """Notice `number` of a part is due: order its wave. Early or repeated calls do nothing."""
    with transaction.atomic():
        row = rowlocks.plan_part(part_id)
        if area.is_stopped(Area.RECLAIM, namespace=row.plan.namespace_id):
            return
        at = plans.notice_due(row.plan.snapshot(), row.snapshot(), number)
        if row.sent[number - 1] is None and at is not None and at <= clock.now():
            record.hasten("reclaim.tell", lock=f"part-{part_id}", part_id=part_id, number=number)


def open_wave(*, part_id: int, number: int) -> Wave | None:
    """Who is told by notice `number` of a part; None once it is recorded, or not due yet.

    Letters by mail get their rows here, so that their fate is kept from the first moment.
    """
    with transaction.atomic():
        row = rowlocks.plan_part(part_id)
        now = clock.now()
        if area.is_stopped(Area.RECLAIM, namespace=row.plan.namespace_id):
            return None
        at = plans.notice_due(row.plan.snapshot(), row.snapshot(), number)
        if row.sent[number - 1] is not None or at is None or now < at:
            return None
        _open(row, now=now)
        told = _addressed(row, _members(row), number=number)
        return Wave(row.plan.namespace_id, tuple(told))


def _open(row: PlanPart | Reclaim, *, now: datetime) -> None:
    """Fix the instant that the texts are made for: sent again, they are the same to the letter.

    What could not be sent for long promises too little, so it begins anew under another key.
    """
    if row.opened_at is None:
        row.opened_at, row.turn = now, 0
    elif now - row.opened_at > plans.GRACE:
        row.opened_at, row.turn = now, row.turn + 1
    row.save(update_fields=["opened_at", "turn"])


def _members(row: PlanPart) -> list[core.Finding]:
    """Those that go by the part's waves: not those that are told on their own or by the list."""
    alone = Reclaim.objects.filter(plan=row.plan, bucket__gte=row.low, bucket__lt=row.high)
    alone = alone.exclude(sent=None, listed_at=None)
    apart = set(alone.values_list("handle__handle", flat=True))
    return [finding for finding in part.members(row) if finding.handle not in apart]


def _addressed(
    row: PlanPart | Reclaim, findings: Iterable[core.Finding], *, number: int
) -> list[Addressee]:
    """Everybody who is told by this notice; who has a mail address gets a letter."""
    known = names.directory(row.plan.namespace_id)
    made = [_addressee(row, finding, known, number=number) for finding in findings]
    letters = [letter for _, letter in made if letter is not None]
    kept = _write_letters(row.plan, letters)
    return [
        dataclasses.replace(addressee, letter=kept[letter.about]) if letter else addressee
        for addressee, letter in made
    ]


def _addressee(
    row: PlanPart | Reclaim, finding: core.Finding, known: Directory | None, *, number: int
) -> tuple[Addressee, Notice | None]:
    account = known.by_handle(finding.handle) if known else None
    address = known.email(finding.account_id) if known else None
    facts = _facts(row, finding, account, number=number)
    again = f"/{row.turn}" if row.turn else ""
    addressee = Addressee(
        handle=finding.handle,
        account_id=finding.account_id,
        language=names.language_of(account),
        key=f"{row.plan_id}/{finding.account_id}/{number}{again}",
        letter=None,
        facts=facts,
    )
    return addressee, _letter(row, addressee, address) if address else None


def _facts(
    row: PlanPart | Reclaim,
    finding: core.Finding,
    account: standing.Account | None,
    *,
    number: int,
) -> dict[str, Any]:
    """The statement of reasons: facts, rule, version, automated or not, redress."""
    plan, opened_at = row.plan, row.opened_at or row.plan.adopted_at
    days = tuple(plan.periods["notice_days"])
    sent = tuple(row.sent or (None,) * len(days))
    end = plans.deadline(sent, notice_days=days, now=opened_at)
    seen = core.last_sign(account) if account else None
    return {
        "handle": account["display"] if account else finding.handle,
        "keep": {"handle": finding.handle, "account_id": finding.account_id, "plan": plan.id},
        "number": number,
        "days_left": days[number - 1],
        "deadline_at": (end or opened_at + days[0] * DAY).isoformat(),
        "reasons": list(finding.reasons),
        "last_seen_at": seen.isoformat() if seen else None,
        "policy": plan.policy_name,
        "version": plan.policy_version,
        "as_of_at": plan.as_of.isoformat(),
        "automated": True,
        "appeal_days": plan.periods["appeal_days"],
    }


def _letter(row: PlanPart | Reclaim, addressee: Addressee, address: str) -> Notice:
    id_ = ids.new("ntc")
    return Notice(
        id=id_,
        namespace_id=row.plan.namespace_id,
        kind=KIND,
        about=secrets.digest(addressee.key)[:48],
        facts=dict(addressee.facts),
        channel="mail",
        address_sealed=secrets.seal(address, place=f"notice.address/{id_}"),
        address_index=secrets.index(address, purpose="mail"),
        language=addressee.language,
        made_at=row.opened_at or row.plan.adopted_at,
    )


def _write_letters(plan: Plan, letters: Sequence[Notice]) -> dict[str, str]:
    """Each letter's row by what it is about: the one that is there already, if there is one."""
    Notice.objects.bulk_create(letters, ignore_conflicts=True, batch_size=500)
    rows = Notice.objects.filter(
        namespace_id=plan.namespace_id, kind=KIND, about__in=[letter.about for letter in letters]
    )
    return dict(rows.values_list("about", "id"))


def record_wave(*, part_id: int, number: int, wave: Wave, platform: Mapping[str, str]) -> None:
    """What became of a wave: a file with every account's fate, one leaf, and rows for whom no
    channel reached. `platform` maps account ids to sent, refused, unknown or none.

    From here on the notice counts as sent, at this instant. A second time is nothing.
    """
    with transaction.atomic():
        row = rowlocks.plan_part(part_id)
        now = clock.now()
        if row.sent[number - 1] is not None:
            return
        mail, told = _mail_fates(wave), platform
        fates = [
            outcome.Fate(a.handle, a.account_id, mail.get(a.letter or "", NONE), told[a.account_id])
            for a in wave.addressees
        ]
        apart = [fate for fate in fates if SENT not in (fate.mail, fate.platform)]
        for fate in apart:
            _set_apart(row, fate, number=number, now=now)
        row.sent = [*row.sent[: number - 1], now, *row.sent[number:]]
        row.opened_at = None
        row.save(update_fields=["sent", "opened_at"])
        _log(row, [fate for fate in fates if fate not in apart], number=number, now=now)
        outcome.write(part.path_of(row, f"fates-{number}"), fates)


def _mail_fates(wave: Wave) -> dict[str, str]:
    letters = [a.letter for a in wave.addressees if a.letter]
    return dict(Notice.objects.filter(pk__in=letters).values_list("id", "state"))


def _log(row: PlanPart, told: Sequence[outcome.Fate], *, number: int, now: datetime) -> None:
    if not told:
        return
    days = tuple(row.plan.periods["notice_days"])
    end = plans.deadline(tuple(row.sent), notice_days=days, now=now)
    written = outcome.write(part.path_of(row, f"warned-{number}"), told)
    part.log_file("HandleWarned", row, written, ref=f"warned-{number}", at=now, deadline_at=end)


def _set_apart(row: PlanPart, fate: outcome.Fate, *, number: int, now: datetime) -> None:
    """An account that the wave did not reach goes a way of its own."""
    handle = names.touch(namespace=row.plan.namespace_id, handle=fate.handle)
    process = store.open_process(handle)
    if process is None:
        finding = standing.finding_in(row.plan, fate.handle)
        if finding is None:
            raise NotFound("this handle is not in the plan")
        process = standing.create(handle, plan=row.plan, finding=finding)
    if process.plan_id != row.plan_id:
        return
    if any(channel in OPEN for channel in (fate.mail, fate.platform)):
        process.sent = [*row.sent[: number - 1], *[None] * (len(row.sent) - number + 1)]
    else:
        process.sent, process.listed_at = None, now
    standing.advance(handle, process, now=now)


# One account on its own


def open_one(*, process_id: int) -> tuple[int, Wave] | None:
    """The notice that one account still has to get, with its number; None if none is due."""
    with transaction.atomic():
        process = rowlocks.process(process_id)
        now = clock.now()
        if process.ended_at or process.sent is None or None not in process.sent:
            return None
        if process.next_at is None or process.next_at > now:
            return None
        number = process.sent.index(None) + 1
        _open(process, now=now)
        told = _addressed(process, [process.finding()], number=number)
        return number, Wave(process.plan.namespace_id, tuple(told))


def record_one(*, process_id: int, number: int, wave: Wave, platform: str) -> bool:
    """What became of it; True when it is known. Refused by every channel: the public list."""
    with transaction.atomic():
        process = rowlocks.process(process_id)
        now = clock.now()
        if process.ended_at or process.sent is None or process.sent[number - 1] is not None:
            return True
        fates = (*_mail_fates(wave).values(), platform)
        if SENT in fates:
            told = core.told(process.snapshot(), number=number, at=now, notices=len(process.sent))
            process.sent, process.opened_at = list(told.sent or ()), None
        elif any(fate in OPEN for fate in fates):
            return False
        else:
            process.sent, process.listed_at = None, now
        standing.advance(process.handle, process, now=now)
        return True
