"""Seeded bugs: each is planted from outside in a process of its own, never in the source.

A bug is a plain function that changes the program or the database it runs on. test_controls.py
shows that each one is seen.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from django.db import connection, transaction

from onym import ports
from onym.core import people
from onym.core.sale import PaymentState
from onym.flows import inbox, names, payments, record, transfer
from onym.flows import sale as sales
from onym.jobs import payments as payment_jobs
from onym.jobs import queue
from onym.jobs import transfer as transfer_jobs
from onym.ports.atproto_moves import Moves
from onym.ports.platform import Answer, Outcome
from onym.queries import transfer as transfer_orders
from onym.store import clock, rowlocks
from onym.store.models import IdempotentRequest, Payment, SaleSlot
from onym.store.platform import Writes


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def books_need_not_balance() -> None:
    """The deferred trigger of the books is gone."""
    _sql("drop trigger entry_sums_to_zero on store_posting")


def a_handle_may_have_two_live_sales() -> None:
    """A dropped constraint."""
    _sql("drop index one_live_sale_per_handle")


def the_sale_slot_is_not_looked_at() -> None:
    """Whoever comes takes the slot."""
    _sql("drop index one_live_sale_per_handle")

    def fill(row: Any, *, kind: str, ref: str, instead_of: Any, now: Any) -> None:
        made = {"kind": kind, "ref": ref, "filled_at": now}
        SaleSlot.objects.update_or_create(handle=row, defaults=made)

    names.fill_slot = fill


def rows_are_read_without_a_lock() -> None:
    """Two flows read the same state and both act on it."""

    def one(model: Any, **key: object) -> Any:
        return model._default_manager.filter(**key).first()

    rowlocks._one = one


def the_read_back_is_skipped() -> None:
    """What the platform answers is believed without asking who holds the handle."""
    told = transfer.record_read_back

    def believe(*, transfer_id: str, holder: str | None) -> bool:
        order = transfer_orders.order(transfer_id)
        moved = order is not None and order.state in ("done", "sent", "unknown", "pending")
        return told(transfer_id=transfer_id, holder=order.to if order and moved else holder)

    transfer_jobs.transfer.record_read_back = believe


def the_clock_is_read_before_the_row_lock() -> None:
    """An instant from before the wait decides after it."""
    kept: list[datetime] = []
    lock = rowlocks.sale

    def early(id_: str) -> Any:
        kept[:] = [clock.now()]
        return lock(id_)

    payments.rowlocks = SimpleNamespace(sale=early, payment=rowlocks.payment)
    payments.clock = SimpleNamespace(now=lambda: kept[0] if kept else clock.now())


def each_process_has_a_clock_of_its_own() -> None:
    """The machine's clock instead of the one clock."""
    clock.now = lambda: datetime.now(UTC)


def an_unknown_move_is_refunded_without_asking() -> None:
    """Time is over, so the money goes back, whatever the platform may have done."""

    def over(*, sale_id: str) -> None:
        with transaction.atomic():
            sale = rowlocks.sale(sale_id)
            now = clock.now()
            if sale.state in transfer.DELIVERING and now >= sale.delivery_until:
                sales.give_up(sale, holder=sale.handle.account_id, why="late", now=now)

    transfer.delivery_over = over


class _FreshKeys:
    """A port that names every charge anew."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def charge(self, **asked: Any) -> Any:
        asked |= {"key": f"{asked['key']}-{next(self._numbers)}", "intent_id": None}
        return self._port.charge(**asked)


def a_charge_is_tried_again_under_a_new_key() -> None:
    """So the provider cannot know that it is the same charge."""
    ports.install(payments={"demo": _FreshKeys(ports.payments("demo"))})


class _NewMoves:
    """A port that names every move anew."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def move(self, **asked: Any) -> Any:
        return self._port.move(**asked | {"key": f"{asked['key']}-{next(self._numbers)}"})


def a_move_is_asked_for_again_under_a_new_key() -> None:
    """So the answer of the first is never heard."""
    ports.install(platforms={"demo": _NewMoves(ports.platform("demo"))})


def the_answer_is_kept_apart_from_the_deed() -> None:
    """The idempotency row is written after the flow's transaction, in one of its own."""

    def once(*, member: str, route: str, key: str, payload: Any, run: Any) -> Any:
        name = {"member_id": member, "route": route, "key": key}
        found = IdempotentRequest.objects.filter(**name).first()
        if found:
            return record.Answer(found.status, found.body)
        answer = run()
        with transaction.atomic():
            more = {"status": answer.status, "body": answer.body, "made_at": clock.now()}
            IdempotentRequest.objects.create(**name, payload_sha256="", **more)
        return answer

    record.once = once


def a_webhook_is_believed() -> None:
    """What a hint says is recorded as the provider's answer."""

    def believe(*, namespace: str, provider: str, hint: Any) -> bool:
        for payment in Payment.objects.filter(sale_id=hint.sale_id, kind="charge"):
            payments.record_charge(
                payment_id=payment.id,
                state=PaymentState.PAID,
                provider=provider,
                provider_id=hint.intent_id,
            )
        return bool(namespace)

    inbox.payment_hint = believe


def kin_may_trade() -> None:
    """Nobody is ever somebody's kin."""
    people.is_kin = lambda one, other: False


def the_commission_is_a_cent_too_much() -> None:
    """Rounded up where the schedule says exactly."""
    from onym.core import fees
    from onym.core.money import Money

    split = fees.split

    def rounded_up(**asked: Any) -> Any:
        made, cent = split(**asked), Money(1, asked["price"].currency)
        return dataclasses.replace(made, gross=made.gross + cent, commission=made.commission + cent)

    fees.split = rounded_up


def the_last_look_is_skipped() -> None:
    """The handle moves whoever logged in meanwhile."""
    from onym.core import transfer as core

    core.last_look = lambda **_: core.Look.GO


def every_move_has_the_same_fence() -> None:
    """The fence does not rise, so a late write cannot be told from a new one."""
    start = transfer.start

    def stuck(sale: Any, *, row: Any, **more: Any) -> Any:
        row.fence = 0
        return start(sale, row=row, **more)

    transfer.start = stuck


def money_goes_back_without_a_bar() -> None:
    """A read that does not name the buyer is believed once time is over."""
    from onym.core import transfer as core

    after = core.after_read_back

    def hasty(**asked: Any) -> core.Next:
        found = after(**asked)
        return core.Next.GIVE_UP if found is core.Next.BAR else found

    core.after_read_back = hasty


def the_bar_never_reaches_the_platform() -> None:
    """It is taken for done, so nothing is shut out."""

    class Deaf:
        def __init__(self, port: Any) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            return getattr(self._port, name)

        def move(self, **asked: Any) -> Any:
            is_bar = asked["to"] == asked["expected_holder"]
            return Outcome(Answer.DONE) if is_bar else self._port.move(**asked)

    ports.install(platforms={"demo": Deaf(ports.platform("demo"))})


def stages_are_not_written_down() -> None:
    """The move on a PDS is not kept between its steps, so nobody can go on from there."""
    Writes.note = lambda *_: None  # type: ignore[method-assign]  # of this process alone


def an_undone_move_gives_nothing_back() -> None:
    """Refused is refused: the holder stays renamed, and whoever came between has the handle."""
    Moves._undo = lambda _self, write: Outcome(  # type: ignore[method-assign]  # of this process alone
        Answer.REFUSED, write.progress["why"]
    )


def nobody_waits_for_a_turn() -> None:
    """Two processes write to a PDS about one handle at once."""

    @contextmanager
    def at_once(*_: Any, **__: Any) -> Iterator[bool]:
        yield True

    rowlocks.platform_turn = at_once


def a_lost_assignment_is_not_looked_for() -> None:
    """An assignment without an answer is left as it is, and so is the old handle."""
    Moves._arrived_unheard = lambda *_: False  # type: ignore[method-assign]  # of this process alone


def a_failed_job_is_forgotten() -> None:
    """What a job raises is swallowed, so the queue takes it for done."""
    told = queue._told

    def quiet(name: str, job: Any, arguments: dict[str, Any]) -> None:
        with suppress(Exception):
            told(name, job, arguments)

    queue._told = quiet


def a_job_does_not_look_whether_it_was_done() -> None:
    """And names its call anew, so that the provider cannot know it either."""
    order = payment_jobs.orders.order

    def never_done(payment_id: str) -> Any:
        return dataclasses.replace(order(payment_id), state=PaymentState.PENDING, provider_id="")

    payment_jobs.orders = SimpleNamespace(order=never_done)
    a_charge_is_tried_again_under_a_new_key()
