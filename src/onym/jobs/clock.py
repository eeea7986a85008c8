"""What the clock makes due, and the demo's stepping clock.

Deadlines lie in rows; this only asks early and often. In the demo the clock stops at each deadline
until all that follows from it is done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import close_old_connections, connections

from onym import ports
from onym.core.errors import Refusal
from onym.flows import (
    bank,
    deposit,
    dispute,
    invitation,
    ledger,
    link,
    log,
    notices,
    offer,
    part,
    payments,
    reclaim,
    reconcile,
    refresh,
    retained,
    sale,
    settlement,
    transfer,
    watch,
    webhook,
)
from onym.flows import clock as clocks
from onym.jobs.queue import task
from onym.queries import clock, due

LOOK_SECONDS = 1.0
AGAIN_SECONDS, LONGEST_SECONDS = 20.0, 300.0
AT_ONCE = 500
"""So many deadlines share a commit, at most."""
IDLE_SECONDS = 60.0
DAILY_LOOK_SECONDS = 300.0
ADVANCE = "clock.advance"


def _pair(id_: str, one: str, other: str) -> dict[str, int]:
    first, second = id_.split("/")
    return {one: int(first), other: int(second)}


FLOWS: dict[str, Callable[[str], None]] = {
    "payments.funding_over": lambda id_: payments.funding_over(sale_id=id_),
    "transfer.cooled": lambda id_: transfer.cooled(sale_id=id_),
    "transfer.delivery_over": lambda id_: transfer.delivery_over(sale_id=id_),
    "transfer.let_go": lambda id_: retained.let_go(handle_id=int(id_)),
    "sale.inspected": lambda id_: sale.inspected(sale_id=id_),
    "offer.expire": lambda id_: offer.expire(offer_id=id_),
    "invitation.expire": lambda id_: invitation.expire(invitation_id=id_),
    "ledger.pay_out": lambda id_: ledger.pay_out(payout_id=id_),
    "payments.refund_late": lambda id_: payments.refund_late(payment_id=id_),
    "dispute.return_late": lambda id_: dispute.return_late(transfer_id=id_),
    "deposit.over": lambda id_: deposit.over(deposit_id=id_),
    "bank.look_again": lambda id_: bank.look_again(sale_id=id_),
    "reclaim.tell": lambda id_: notices.due(**_pair(id_, "part_id", "number")),
    "reclaim.rest": lambda id_: part.rest(part_id=int(id_)),
    "reclaim.release": lambda id_: part.release(**_pair(id_, "part_id", "resting_days")),
    "reclaim.step": lambda id_: reclaim.step(process_id=int(id_)),
    "watch.gather": lambda id_: watch.gather(namespace=id_),
    "watch.tell": lambda id_: watch.tell(member=id_),
    "link.unlinked": lambda id_: link.unlinked(link_id=int(id_)),
    "webhook.gather": lambda id_: webhook.gather(webhook_id=id_),
}
"""Each deadline that `queries.due` knows, and the flow that answers it."""

TOGETHER: dict[str, Callable[[Sequence[str]], object]] = {
    "sale.inspected": lambda ids: settlement.inspected_all(sale_ids=ids),
    "ledger.pay_out": lambda ids: ledger.pay_out_all(payout_ids=ids),
}
"""Flows that answer many deadlines in one commit, with the outcome that one by one has."""

log_ = logging.getLogger(__name__)


class Rounds:
    """Looks for what is due, again and again; what stays due is tried again after a while, which
    grows from 20 seconds to five minutes.
    """

    def __init__(self) -> None:
        self._tried: dict[due.Due, tuple[float, float]] = {}

    def once(self) -> int:
        """Run every flow that is due now and was not tried lately; answers how many."""
        started = time.monotonic()
        found = due.until(clock.now())
        tried = {item: self._tried[item] for item in found if item in self._tried}
        fresh = [item for item in found if started >= tried.get(item, (0.0, 0.0))[0]]
        for item in fresh:
            wait = min(2 * tried[item][1], LONGEST_SECONDS) if item in tried else AGAIN_SECONDS
            tried[item] = (started + wait, wait)
        self._tried = tried
        run_all(fresh)
        return len(fresh)


def run_all(items: Iterable[due.Due]) -> None:
    """Every flow of `items` in turn; those that may share a commit come last, together."""
    shared: dict[str, list[due.Due]] = {}
    for item in items:
        if item.what in TOGETHER:
            shared.setdefault(item.what, []).append(item)
        else:
            run(item)
    for found in shared.values():
        for start in range(0, len(found), AT_ONCE):
            _run_together(found[start : start + AT_ONCE])


def _run_together(items: Sequence[due.Due]) -> None:
    """All in one flow; if one of them spoils it, each half by itself, down to the one."""
    if len(items) == 1:
        run(items[0])
        return
    try:
        TOGETHER[items[0].what]([item.id for item in items])
    except Exception as fault:  # it is told of when it runs alone
        log_.info("%d × %s not together: %s", len(items), items[0].what, fault)
        half = len(items) // 2
        _run_together(items[:half])
        _run_together(items[half:])


def run(item: due.Due) -> None:
    """One flow; a refusal or a fault of one deadline must not hold up the others."""
    try:
        FLOWS[item.what](item.id)
    except Refusal as refusal:
        log_.info("%s %s: %s", item.what, item.id, refusal.code)
    except Exception:
        log_.exception("%s %s", item.what, item.id)


def keep_time(
    stop: threading.Event, *, look: float = LOOK_SECONDS, daily: float = DAILY_LOOK_SECONDS
) -> None:
    """The jobs process's own thread: the flows that are due, about once a second."""
    rounds, looked = Rounds(), time.monotonic()
    while not stop.wait(look):
        close_old_connections()
        try:
            rounds.once()
            if time.monotonic() - looked > daily:
                looked = time.monotonic()
                _daily()
        except Exception:  # whatever it was, deadlines must not stand still for it
            log_.exception("what is due could not be done")
    connections.close_all()


def _daily() -> None:
    """What is done once a day of the machine's, and the platform's list every so many hours."""
    if ports.takes_payments(settings.NAMESPACE):
        reconcile.order(namespace=settings.NAMESPACE)
    refresh.order(namespace=settings.NAMESPACE)


@task(ADVANCE)
def advance(*, target: str) -> None:
    """Step through every deadline up to `target`, finishing all work before the next step."""
    until = datetime.fromisoformat(target)
    done: set[due.Due] = set()
    settle()
    while True:
        waiting = [item for item in due.until(until) if item not in done]
        if not waiting:
            break
        now = clocks.set_ahead(to=waiting[0].at)
        ripe = [item for item in waiting if item.at <= now]
        done.update(ripe)
        run_all(ripe)
        settle()
    clocks.set_ahead(to=until)
    log.integrate()


def settle() -> None:
    """Wait until no job runs or could run; what hangs longer than a minute is left to itself."""
    log.integrate()
    give_up = time.monotonic() + timedelta(seconds=IDLE_SECONDS).total_seconds()
    while clock.busy(but=ADVANCE) and time.monotonic() < give_up:
        time.sleep(0.01)
