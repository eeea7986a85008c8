"""What every flow records beside its rows: log events, jobs, notices, answers, approvals.

All of it is written in the flow's own transaction, so a crash leaves either all or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import OperationalError, connection, transaction
from procrastinate.contrib.django import app as jobs
from procrastinate.exceptions import ConnectorException

from onym.core import trace
from onym.core.errors import IdempotencyMismatch, InProgress, Refusal
from onym.core.events import Event, Opening, canonical, seal
from onym.store import bulk, clock, ids, requests, rowlocks, secrets
from onym.store.models import Approval, IdempotentRequest, Link, MailAddress, Member, Notice
from onym.store.models import Event as EventRow

TWIN_WAITS = "5s"
NOT_KEPT = frozenset({401, 402, 429, 503})
NOT_KEPT_CODES = frozenset({"in_progress", "second_factor_needed"})


def log(*events: Event, namespace: str, at: datetime) -> None:
    """Write `events` as rows that the integrator turns into leaves, in this order."""
    rows = []
    for event in events:
        sealed = seal(event, namespace=namespace, at=at, salt=lambda: os.urandom(32))
        openings = _openings(event, sealed.openings)
        rows.append(
            {
                "namespace_id": namespace,
                "type": event.type,
                "ref": event.ref,
                "at": at,
                "entry": sealed.entry,
                "openings": openings,
            }
        )
    bulk.insert(EventRow, rows)


def _openings(event: Event, openings: Mapping[str, Any]) -> bytes | None:
    if not openings:
        return None
    return secrets.seal(json.dumps(openings), place=openings_place(event.type, event.ref))


def openings_place(type_: str, ref: str) -> str:
    """The associated data under which an event's openings are sealed."""
    return f"event.openings/{type_}/{ref}"


def opening(type_: str, ref: str, field: str) -> Opening:
    """What opens the commitment to `field` in the event (type, ref); kept until erased."""
    row = EventRow.objects.filter(type=type_, ref=ref).order_by("seq").last()
    if row is None or row.openings is None:
        raise LookupError(f"no opening of {field} in {type_} {ref}")
    openings = json.loads(secrets.open_(row.openings, place=openings_place(type_, ref)))
    return Opening(salt=openings[field]["salt"], value=openings[field]["value"])


def defer(
    task: str, *, lock: str, in_seconds: int = 0, priority: int = 0, **arguments: Any
) -> None:
    """Order an outside call: a job row in this transaction, run after commit.

    Jobs with the same `lock` (the id of what they are about) never run side by side; those with
    a lower `priority` wait for the others.
    """
    later = {"seconds": in_seconds} if in_seconds else None
    job = jobs.configure_task(name=task, lock=lock, schedule_in=later, priority=priority)
    try:
        job.defer(**arguments, **trace.carried())
    except ConnectorException as fault:  # its wrapping hides whether the database is at fault
        if not isinstance(fault.__cause__, psycopg.OperationalError):
            raise
        raise OperationalError(str(fault.__cause__)) from fault.__cause__


def hasten(task: str, *, lock: str, **arguments: Any) -> None:
    """Have a job run now: the one that waits for its time is brought forward, and only where none
    is ordered or under way it is ordered.

    For what the clock comes upon again and again: chains of asking would multiply else.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "update procrastinate_jobs set scheduled_at = null"
            " where lock = %s and task_name = %s and status = 'todo'",
            [lock, task],
        )
    if not ordered(task, locks=[lock]):
        defer(task, lock=lock, **arguments)


def ordered(task: str, *, locks: Sequence[str]) -> set[str]:
    """Those of the locks under which such a job waits, or is under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select lock from procrastinate_jobs"
            " where lock = any(%s) and task_name = %s and status in ('todo', 'doing')",
            [list(locks), task],
        )
        return {lock for (lock,) in cursor.fetchall()}


def ask_soon(task: str, payment: str) -> None:
    """Order one more question about a payment, beside those that come back by themselves.

    A lock of its own: a job that waits for its time holds up every later one of its lock.
    """
    defer(task, lock=f"{payment}:hint", payment_id=payment, attempt=-1)


def notify(
    *,
    namespace: str,
    kind: str,
    about: str,
    now: datetime,
    member: str | None = None,
    account_id: str | None = None,
    address: str | None = None,
    language: str = "en",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Order one message about `about`, by every channel that is named; a second time is nothing.

    A member is told at every verified address, without one by each of their accounts; an account
    through the platform. `language` is of whoever is told and is no member.
    """
    told: dict[str, Any] = {"namespace_id": namespace, "kind": kind, "about": about, "made_at": now}
    told["facts"] = dict(facts or {})
    if member is not None:
        row = Member.objects.get(pk=member)
        language = row.language
        mails = list(row.mailaddress_set.filter(replaced_at=None))
        for mail in mails:
            _notice(**told, channel="mail", address=mail.address, language=language)
        for account in [] if mails else _accounts(member):
            _notice(**told, channel="platform", account_id=account, language=language)
    if address is not None:
        _notice(**told, channel="mail", address=address, language=language)
    if account_id is not None:
        _notice(**told, channel="platform", account_id=account_id, language=language)


def _accounts(member: str) -> list[str]:
    """Where a member who has given no address is told: who joined by the platform reads there."""
    rows = Link.objects.filter(member_id=member, unlinked_at=None).order_by("id")
    return list(rows.values_list("account_id", flat=True))


def _notice(*, address: str = "", account_id: str | None = None, **fields: Any) -> None:
    id_ = ids.new("ntc")
    sealed = secrets.seal(address, place=f"notice.address/{id_}") if address else None
    row, made = Notice.objects.get_or_create(
        namespace_id=fields["namespace_id"],
        kind=fields["kind"],
        about=fields["about"],
        channel=fields["channel"],
        account_id=account_id,
        address_index=secrets.index(address, purpose="mail") if address else "",
        defaults={**fields, "id": id_, "address_sealed": sealed},
    )
    if made:
        defer("notice.send", lock=row.id, notice_id=row.id)


def notify_all(
    told: Iterable[tuple[str, str, Mapping[str, Any]]], *, namespace: str, kind: str, now: datetime
) -> None:
    """`notify` for many (member, about, facts), those with an address in a fixed number of
    statements.

    The caller holds the locks of what it is about, so that nobody else tells of it meanwhile.
    """
    orders = list(told)
    known = Notice.objects.filter(
        namespace_id=namespace, kind=kind, about__in={about for _, about, _ in orders}
    )
    done = set(known.values_list("about", "channel", "account_id", "address_index"))
    letters = {}
    mails = _mails({member for member, _, _ in orders})
    for member, about, facts in orders:
        if member not in mails:
            notify(namespace=namespace, kind=kind, about=about, now=now, member=member, facts=facts)
        for index, address, language in mails.get(member, ()):
            name = (about, "mail", None, index)
            if name not in done:
                letters[name] = _letter(address, about=about, facts=facts) | {
                    "namespace_id": namespace,
                    "kind": kind,
                    "address_index": index,
                    "language": language,
                    "made_at": now,
                }
    bulk.insert(Notice, list(letters.values()))
    _defer_all("notice.send", [(row["id"], {"notice_id": row["id"]}) for row in letters.values()])


def _mails(members: Iterable[str]) -> dict[str, list[tuple[str, str, str]]]:
    """Where each member is written to: (index, address, language) of every verified address."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    rows = MailAddress.objects.filter(member_id__in=members, replaced_at=None)
    for member, index, sealed, language in rows.values_list(
        "member_id", "address_index", "address_sealed", "member__language"
    ):
        address = secrets.open_(sealed, place=MailAddress.place(member))
        found.setdefault(member, []).append((index, address, language))
    return found


def _letter(address: str, *, about: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    id_ = ids.new("ntc")
    sealed = secrets.seal(address, place=f"notice.address/{id_}")
    return {
        "id": id_,
        "about": about,
        "facts": dict(facts),
        "channel": "mail",
        "address_sealed": sealed,
    }


def _defer_all(task: str, orders: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """One job for each (lock, arguments), all in one statement."""
    if orders:
        job = jobs.configure_task(name=task).job
        jobs.job_manager.batch_defer_jobs(
            [
                job.evolve(lock=lock, task_kwargs=arguments | trace.carried())
                for lock, arguments in orders
            ]
        )


def record_notice(*, notice_id: str, state: str) -> None:
    """What became of a notice: sent, bounced, suppressed, or unknown, to be tried again."""
    with transaction.atomic():
        row = rowlocks.notice(notice_id)
        now = clock.now()
        if row.state in ("pending", "unknown"):
            row.state, row.answered_at = state, now
            row.save(update_fields=["state", "answered_at"])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told: an HTTP status and a JSON body of ids and figures."""

    status: int
    body: Any


def once(*, member: str, route: str, key: str, payload: Any, run: Callable[[], Answer]) -> Answer:
    """Run a write that the client named; the same name and payload gets the first answer again.

    One transaction holds the request's row and the flow's rows, so the answer exists exactly when
    the deed does. A refusal is an answer and is kept, except those of `NOT_KEPT`. A twin in flight
    waits 5 s. `route` holds no link's secret (`named`), and of the payload a keyed digest is kept.
    Refuses `idempotency_mismatch`, `in_progress`, and whatever `run` refuses.
    """
    plain = hashlib.sha256(canonical(payload)).hexdigest()
    digest = requests.keyed(plain)
    refusal: Refusal | None = None
    with transaction.atomic():
        row, is_new = _claim(member=member, route=route, key=key, digest=digest)
        if row.payload_sha256 not in (digest, plain):  # the release before writes the plain one
            raise IdempotencyMismatch("the key was used for another request")
        if not is_new:
            return _again(row)
        try:
            answer = _undone_if_refused(run)
        except Refusal as error:
            if error.status in NOT_KEPT or error.code in NOT_KEPT_CODES:
                raise
            refusal, answer = error, Answer(error.status, problem(error))
        row.status, row.body = answer.status, answer.body
        row.save(update_fields=["status", "body"])
    if refusal is not None:
        raise refusal
    return answer


named = requests.named


def _undone_if_refused(run: Callable[[], Answer]) -> Answer:
    kept: Refusal | None = None
    with transaction.atomic():
        try:
            return run()
        except Refusal as error:
            if not error.keeps:
                raise
            kept = error
    raise kept


def answer(*, member: str, route: str, key: str, answer: Answer) -> None:
    """The final answer of a request whose first one was only that work is under way."""
    rows = IdempotentRequest.objects.filter(member_id=member, route=route, key=key, status=202)
    rows.update(status=answer.status, body=answer.body)


def _claim(*, member: str, route: str, key: str, digest: str) -> tuple[IdempotentRequest, bool]:
    name = {"member_id": member, "route": route, "key": key}
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"set local lock_timeout = '{TWIN_WAITS}'")
        with transaction.atomic():
            made = IdempotentRequest.objects.bulk_create(
                [IdempotentRequest(**name, payload_sha256=digest, made_at=clock.now())],
                ignore_conflicts=True,
            )
        with connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = 0")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "55P03":
            raise
        raise InProgress("the same request is still being worked on") from error
    row = rowlocks.request(**name)
    return row, row.status is None and bool(made)


def _again(row: IdempotentRequest) -> Answer:
    if row.status is None:
        raise InProgress("the same request is still being worked on")
    if row.status < 400:
        return Answer(row.status, row.body)
    raise Repeated(row.status, row.body or {})


class Repeated(Refusal):
    """A refusal given before, given again word for word."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        facts = {k: v for k, v in body.items() if k not in ("code", "detail", "status", "title")}
        super().__init__(str(body["detail"]), **facts)
        self.status = status  # type: ignore[misc]  # of the class, elsewhere
        self.code = str(body["code"])
        self.title = str(body["title"])  # type: ignore[misc]  # of the class, elsewhere


def problem(refusal: Refusal) -> dict[str, Any]:
    """The body of a refusal (RFC 9457 without `type`, which the surface adds)."""
    return {
        "title": refusal.title,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
        **refusal.facts,
    }


def propose(
    *,
    namespace: str,
    action: str,
    payload: Mapping[str, Any],
    facts: Mapping[str, Any],
    by: str,
    now: datetime,
) -> Approval:
    """Ask for a second person; what they approve is the digest of exactly what is shown."""
    return Approval.objects.create(
        id=ids.new("apr"),
        namespace_id=namespace,
        action=action,
        payload=dict(payload),
        facts=dict(facts),
        shown=shown(action=action, payload=payload, facts=facts),
        proposed_by_id=by,
        proposed_at=now,
    )


def shown(*, action: str, payload: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of what both people see, whichever language they read."""
    seen = {"action": action, "payload": payload, "facts": facts}
    return hashlib.sha256(canonical(seen)).hexdigest()
