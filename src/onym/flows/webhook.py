"""Webhooks: a relying site subscribes, its address is pinged, and leaves are told it until it has
heard them: at least once, in no promised order; docs/guides/relying.md.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from onym.core import access
from onym.core import webhook as core
from onym.core.errors import AlreadyClosed, Malformed, NotFound
from onym.core.webhook import Said, Standing, State
from onym.flows import limits, record, staff
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import Delivery, Event, Webhook

MOST = 10
BATCH = 500
TYPE = "TransferReadBack"
LAST = -10
"""Strangers' addresses wait for everything else that is to be done."""


def subscribe(*, namespace: str, by: str, url: str) -> Webhook:
    """An address that is told of every hand-over from now on, once it has answered a ping.

    The surface has made sure that it leads out of our network. Refuses `malformed` beyond `MOST`
    and for one that is subscribed already, `rate_limited`.
    """
    limits.spend("webhook", who=by)
    with transaction.atomic():
        rowlocks.member(by)
        now = clock.now()
        mine = Webhook.objects.filter(member_id=by).exclude(state=Standing.ENDED)
        if mine.count() >= MOST:
            raise Malformed(f"at most {MOST} webhooks; end one first", limit=MOST)
        index = secrets.index(url, purpose="webhook")
        if mine.filter(url_index=index).exists():
            raise Malformed("this address is subscribed already", field="url")
        last = Event.objects.filter(namespace_id=namespace).aggregate(last=Max("leaf_index"))
        row = _make(namespace, by, url, leaf=-1 if last["last"] is None else last["last"], now=now)
        _order_ping(row, in_seconds=0)
        return row


def _make(namespace: str, by: str, url: str, *, leaf: int, now: datetime) -> Webhook:
    id_ = ids.new("whk")
    secret = core.secret(os.urandom(core.SECRET_BYTES))
    return Webhook.objects.create(
        id=id_,
        namespace_id=namespace,
        member_id=by,
        url_sealed=secrets.seal(url, place=f"webhook.url/{id_}"),
        url_index=secrets.index(url, purpose="webhook"),
        secret_sealed=secrets.seal(secret, place=f"webhook.secret/{id_}"),
        leaf=leaf,
        made_at=now,
    )


def end(*, webhook_id: str, by: str) -> Webhook:
    """No more to this address; what waits is given up. Refuses `not_found`, `already_closed`."""
    with transaction.atomic():
        row = _own(webhook_id, by)
        if row.state == Standing.ENDED:
            raise AlreadyClosed("this webhook has ended")
        _end(row, why="member", now=clock.now())
        return row


def rotate(*, webhook_id: str, by: str) -> Webhook:
    """A new secret; the one before signs beside it for `core.OVERLAP`, one before that no more.

    Refuses `not_found`, `already_closed`, `rate_limited`.
    """
    limits.spend("webhook", who=by)
    with transaction.atomic():
        row = _own(webhook_id, by)
        if row.state == Standing.ENDED:
            raise AlreadyClosed("this webhook has ended")
        fresh = core.secret(os.urandom(core.SECRET_BYTES))
        row.secret_before_sealed = row.secret_sealed
        row.secret_before_until = clock.machine() + core.OVERLAP
        row.secret_sealed = secrets.seal(fresh, place=f"webhook.secret/{row.id}")
        row.save(update_fields=["secret_sealed", "secret_before_sealed", "secret_before_until"])
        return row


def _own(webhook_id: str, by: str) -> Webhook:
    row = rowlocks.webhook(webhook_id)
    if row.member_id != by:
        raise NotFound("no such webhook")
    return row


def _end(row: Webhook, *, why: str, now: datetime) -> None:
    row.state, row.ended_at, row.why = Standing.ENDED, now, why
    row.save(update_fields=["state", "ended_at", "why"])
    waiting = Delivery.objects.filter(webhook=row, state=State.PENDING)
    waiting.update(state=State.DEAD, why="ended")


# The first ping


def _order_ping(row: Webhook, *, in_seconds: int) -> None:
    record.defer(
        "webhook.ping", lock=row.id, in_seconds=in_seconds, priority=LAST, webhook_id=row.id
    )


def record_ping(*, webhook_id: str, said: Said) -> None:
    """What the address answered: it is in use, pinged again later, or forgotten."""
    with transaction.atomic():
        row = rowlocks.webhook(webhook_id)
        if row.state != Standing.PENDING:
            return
        now = clock.now()
        row.pings += 1
        if said.ok:
            row.state, row.verified_at = Standing.ACTIVE, now
        row.save(update_fields=["pings", "state", "verified_at"])
        wait = core.next_wait(row.pings, most=core.PINGS)
        if said.gone or (not said.ok and wait is None):
            _end(row, why="gone" if said.gone else "unanswered", now=now)
        elif not said.ok:
            _order_ping(row, in_seconds=wait or 0)


# Telling


def gather(*, webhook_id: str) -> None:
    """Order a delivery for each hand-over since the last one, at most `BATCH`; again is nothing."""
    with transaction.atomic():
        row = rowlocks.webhook(webhook_id)
        if row.state != Standing.ACTIVE:
            return
        now = clock.now()
        rows = Event.objects.filter(namespace_id=row.namespace_id, type=TYPE)
        leaves: list[Any] = list(
            rows.filter(leaf_index__gt=row.leaf)
            .order_by("leaf_index")
            .values_list("leaf_index", flat=True)[:BATCH]
        )
        for leaf in leaves:
            _order(row, leaf, now=now)
        if leaves:
            row.leaf = leaves[-1]
            row.save(update_fields=["leaf"])


def _order(row: Webhook, leaf: int, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            made = Delivery.objects.create(
                id=ids.new("dlv"), webhook=row, leaf_index=leaf, made_at=now
            )
    except IntegrityError:
        return  # it was ordered before
    _send(made)


def _send(row: Delivery, *, in_seconds: int = 0) -> None:
    """One webhook's messages never go out side by side: a slow receiver holds up itself alone."""
    record.defer(
        "webhook.deliver",
        lock=row.webhook_id,
        in_seconds=in_seconds,
        priority=LAST,
        delivery_id=row.id,
        attempt=row.attempts,
    )


def record_attempt(*, delivery_id: str, attempt: int, said: Said) -> None:
    """What the receiver answered to attempt `attempt` (from 0): heard, tried again, or given up.

    The same attempt recorded twice counts once.
    """
    with transaction.atomic():
        row = rowlocks.delivery(delivery_id)
        if row.state != State.PENDING or row.attempts != attempt:
            return
        row.attempts += 1
        row.status, row.why, row.answered_at = said.status, said.why, clock.machine()
        wait = core.next_wait(row.attempts)
        if said.ok:
            row.state = State.DELIVERED
        elif wait is None or said.gone:
            row.state = State.DEAD
        row.save()
        if said.gone and row.webhook.state != Standing.ENDED:
            _end(row.webhook, why="gone", now=clock.now())
        elif row.state == State.PENDING:
            _send(row, in_seconds=wait or 0)


def send_again(*, delivery_id: str, by: str, at_desk: bool = False) -> Delivery:
    """Begin anew with one that was given up: a member their own, the desk any of its namespace.

    Refuses `not_found`, `not_allowed`, `already_closed` where it is not given up or its webhook
    has ended.
    """
    with transaction.atomic():
        row = rowlocks.delivery(delivery_id)
        if at_desk:
            staff.expect(by, access.Action.SEND_AGAIN, namespace=row.webhook.namespace_id)
        elif row.webhook.member_id != by:
            raise NotFound("no such delivery")
        if row.state != State.DEAD or row.webhook.state != Standing.ACTIVE:
            raise AlreadyClosed("only what was given up can be sent again, and to a live webhook")
        row.state, row.attempts, row.why = State.PENDING, 0, ""
        row.save(update_fields=["state", "attempts", "why"])
        _send(row)
        return row
