"""The market with its outside for tests: platform, payment provider and mailbox as processes of
their own, started once a run; jobs run here, one after the other, off the real queue.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import requests
import stripe
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import Q
from tests import make
from tests.demo import plaza as plazas
from tests.demo.servers import Program, free_port

from onym import ports
from onym.flows import clock, log
from onym.jobs import clock as clock_jobs
from onym.jobs import worker
from onym.ports.mail import DjangoMail
from onym.ports.stripe import StripePayments
from onym.queries import audit, due
from onym.store import clock as store_clock
from onym.store.models import (
    Appeal,
    BookAccount,
    Chargeback,
    Entry,
    Handle,
    Link,
    Payment,
    Payout,
    PayoutAccount,
    Posting,
    Sale,
    SaleSlot,
)

SECRET = "whsec_onym"
MOST_JOBS = 400
_numbers = itertools.count(1)


@dataclass(slots=True)
class Outside:
    """The three programs; their clock is the file that the market writes."""

    folder: Path
    plaza: plazas.Plaza
    provider: Program
    mailbox: Program
    smtp: int
    bank: str = ""

    def platform(self, timeout: float = 5.0) -> Any:
        return self.plaza.port(timeout)

    def custodian(self) -> str | None:
        found: str | None = self.platform().capabilities().custodian
        return found

    def payments(self, timeout: float = 5.0) -> StripePayments:
        return StripePayments(
            api_key="sk_test_onym",
            api_base=self.provider.base,
            webhook_secrets=(SECRET,),
            timeout=timeout,
        )

    def mail(self) -> DjangoMail:
        return DjangoMail(host="127.0.0.1", port=self.smtp, timeout=5)

    def letters(self, to: str) -> list[dict[str, Any]]:
        found = requests.get(f"{self.mailbox.base}/messages", params={"to": to}, timeout=10)
        return list(found.json())

    def copies(self, to: str) -> list[int]:
        """How often each letter to this address came in, repeated Message-IDs counted."""
        asked = {"to": to}
        found = requests.get(f"{self.mailbox.base}/demo/copies", params=asked, timeout=10)
        return [told["copies"] for told in found.json()]

    def books(self) -> dict[str, Any]:
        """The provider's own double entry; it must balance whatever we did."""
        told: dict[str, Any] = self.provider.get("/demo/books").json()
        assert told["balanced"], told
        return told

    def taken(self, sale: str) -> dict[str, int]:
        """What the provider says moved for one sale, by reason, as seen from our balance."""
        found: dict[str, int] = self.books()["sales"].get(sale, {})
        return found

    def own_funds(self) -> None:
        """Money of the operator's own at the provider, so that what banks take leaves enough."""
        stripe.StripeClient(
            "sk_test_onym",
            base_addresses={"api": self.provider.base},
            http_client=stripe.RequestsClient(timeout=5),
        ).v1.payment_intents.create(
            {
                "amount": 10_000_000,
                "currency": "usd",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "metadata": {"sale_id": "own_funds"},
            }
        )

    def calm(self) -> None:
        """Disarm every fault that is left."""
        for program in (self.plaza.program, self.provider):
            requests.delete(program.base + "/demo/faults", timeout=10)


@lru_cache(maxsize=1)
def outside() -> Outside:
    """Started by the first test that asks, killed with the run."""
    folder = Path(tempfile.mkdtemp(prefix="onym-outside-"))
    (folder / "plaza").mkdir()
    plaza = plazas.start(folder / "plaza", count=60)
    clocked = ["--clock-file", str(plaza.clock)]
    options = ["--settle-seconds", "0.3", "--webhook-secret", SECRET, *clocked]
    provider = Program("onym_demo.payments", folder / "payments", options).start()
    smtp = free_port()
    options = ["--smtp-port", str(smtp), *clocked]
    mailbox = Program("onym_demo.mailbox", folder / "mailbox", options).start()
    found = Outside(folder, plaza, provider, mailbox, smtp)
    atexit.register(_end, folder, [plaza.program, provider, mailbox], os.getpid())
    found.bank = bank(provider)
    return found


def _end(folder: Path, programs: list[Program], owner: int) -> None:
    """Only in the process that began it: what was forked off leaves the outside alone."""
    if os.getpid() != owner:
        return
    for program in programs:
        program.kill()
    shutil.rmtree(folder, ignore_errors=True)


def bank(provider: Program) -> str:
    """A connected account that may be paid; every seller of these tests uses it."""
    client = stripe.StripeClient(
        "sk_test_onym",
        base_addresses={"api": provider.base},
        http_client=stripe.RequestsClient(timeout=5),
    ).v1
    made = client.accounts.create({"type": "express", "email": "seller@people.example"})
    assert provider.pull(f"/demo/accounts/{made.id}/complete").ok
    return str(made.id)


@dataclass(slots=True)
class World:
    """One market under test."""

    place: Any
    out: Outside
    team: list[Any] = field(default_factory=list)
    worker_id: int | None = None

    # ---- people and handles

    def account(self, **columns: Any) -> tuple[str, str]:
        """A new account of the platform and the handle that it holds."""
        columns.setdefault("handle", f"w{os.getpid()}_{next(_numbers)}")
        return self.out.plaza.sign_up(**columns)

    def member(self, **changes: Any) -> tuple[Any, str, str]:
        """A member with a fresh account: (row, account id, handle). A payout goes to the bank."""
        account, handle = self.account()
        row = make.member(self.place, account=account, **changes)
        PayoutAccount.objects.filter(member=row).update(account=self.out.bank)
        return row, account, handle

    def holder(self, **changes: Any) -> tuple[Any, str, str]:
        """A member whose handle has its row: ready to be sold."""
        row, account, handle = self.member(**changes)
        make.handle(self.place, handle, account_id=account)
        return row, account, handle

    def stock(self, **changes: Any) -> str:
        """A released handle that nobody holds, here and on the platform."""
        name = f"s{os.getpid()}_{next(_numbers)}"
        make.handle(self.place, name, **{"state": "released", "account_id": None} | changes)
        return name

    def holds(self, handle: str) -> str | None:
        """Who holds the handle on the platform itself."""
        found: str | None = self.out.platform().holder(handle=handle).account_id
        return found

    # ---- work and time

    def install(self, payments: Any = None, platform: Any = None) -> None:
        """Fill the ports, with connections of this process's own."""
        ports.install(
            payments={self.place.id: payments or self.out.payments()},
            platforms={self.place.id: platform or self.out.platform()},
            mail=self.out.mail(),
        )

    def drain(self, *, hurry: bool = False) -> int:
        """Run queued jobs until none may run now. `hurry` lets what waits to be asked again run at
        once, a few times over; a job that raises fails the test.
        """
        ran = self._drain()
        for _ in range(12 if hurry else 0):
            if not _wake():
                break
            ran += self._drain()
        return ran

    def _drain(self) -> int:
        for ran in range(MOST_JOBS):
            if not self.run_one():
                return ran
        raise AssertionError("the queue does not come to an end")

    def run_one(self) -> bool:
        """Fetch a job as a worker does, run it, finish it. False when none may run now."""
        from procrastinate.contrib.django import app

        job = self._fetch()
        if job is None:
            return False
        app.tasks[job["task_name"]](**job["args"])
        with connection.cursor() as cursor:
            cursor.execute("select procrastinate_finish_job_v1(%s, 'succeeded', true)", [job["id"]])
        return True

    def _fetch(self) -> dict[str, Any] | None:
        from procrastinate.contrib.django import app

        if self.worker_id is None:
            worker.load()
            with connection.cursor() as cursor:
                cursor.execute("select worker_id from procrastinate_register_worker_v1()")
                (self.worker_id,) = cursor.fetchone()
        found: dict[str, Any] = app.connector.execute_query_one(
            "select id, task_name, args from procrastinate_fetch_job_v2(null, %(me)s)",
            me=self.worker_id,
        )
        return found | {"args": json.loads(found["args"])} if found["id"] is not None else None

    def restart(self) -> int:
        """What a new start does about jobs of a worker that died; answers how many there were."""
        from procrastinate.contrib.django import app

        self.worker_id = None
        with connection.cursor() as cursor:
            cursor.execute(
                "update procrastinate_workers set last_heartbeat = now() - '1h'::interval"
            )
        stalled = async_to_sync(app.job_manager.get_stalled_jobs)(
            seconds_since_heartbeat=worker.STALLED_SECONDS
        )
        found = 0
        for job in stalled:
            async_to_sync(app.job_manager.retry_job)(job)
            found += 1
        return found

    def now(self) -> datetime:
        return store_clock.now()

    def step(self, seconds: float) -> datetime:
        """Let the clock jump, nothing else."""
        return clock.set_ahead(to=self.now() + timedelta(seconds=seconds))

    def pass_time(self, *, days: float = 0, to: datetime | None = None) -> datetime:
        """Step through every deadline on the way, finishing all work before the next."""
        until = to or self.now() + timedelta(days=days)
        done: set[due.Due] = set()
        self.drain(hurry=True)
        while waiting := [item for item in due.until(until) if item not in done]:
            at = max(clock.set_ahead(to=waiting[0].at), waiting[0].at)
            ripe = [item for item in waiting if item.at <= at]
            done.update(ripe)
            clock_jobs.run_all(ripe)
            self.drain(hurry=True)
        return clock.set_ahead(to=until)

    # ---- what must be true

    def check(self, *sales: str) -> None:
        """Books, holders and locks of these sales agree with the outside; the audit is clean."""
        for id_ in sales:
            self.check_sale(id_)
        self.check_books()
        self.audit()

    def check_sale(self, id_: str) -> None:
        self._check_money(id_)
        self._check_handle(id_)

    def audit(self) -> None:
        log.integrate()
        broken = [str(c) for c in audit.run() if c.verdict is audit.Verdict.VIOLATED]
        assert not broken, broken

    def _check_money(self, id_: str) -> None:
        sale = Sale.objects.get(pk=id_)
        taken = self.out.taken(id_)
        ours = sum(
            Posting.objects.filter(
                account__code__startswith="world:", entry_id__in=_entries(id_)
            ).values_list("minor", flat=True)
        )
        assert sum(taken.values()) == -ours, (sale.state, taken, ours)
        if sale.state == "settled":
            paid_out = sum(taken.values()) - sale.gross_minor - taken.get("dispute", 0)
            shared = Appeal.objects.filter(sale=sale, state="upheld", member__isnull=False)
            shares = sum(shared.values_list("compensation_minor", flat=True))
            owed = shares if sale.seller.is_house else sale.proceeds_minor
            assert taken.get("charge") == sale.gross_minor, taken
            assert paid_out in (0, -owed), (taken, owed)
        if sale.state in ("refunded", "expired", "cancelled"):
            assert sum(taken.values()) == 0, (sale.state, taken)
        if sale.state in ("settled", "refunded", "expired", "cancelled"):
            escrow = Posting.objects.filter(account__code=f"escrow:{id_}")
            assert sum(escrow.values_list("minor", flat=True)) == 0
            charges = Payment.objects.filter(sale=sale, kind="charge", state__in=OPEN)
            assert not charges.exists(), list(charges.values())

    def _check_handle(self, id_: str) -> None:
        sale = Sale.objects.select_related("handle").get(pk=id_)
        row: Handle = sale.handle
        held = self.holds(row.handle)
        assert row.account_id == held, (sale.state, row.account_id, held)
        if sale.state == "settled":
            assert held == sale.buyer_account_id
        if sale.term == "account":
            self._check_account(sale)
        if sale.state in ("settled", "refunded", "expired", "cancelled"):
            assert row.locked_by != id_
            assert not SaleSlot.objects.filter(handle=row, ref=id_).exists()

    def _check_account(self, sale: Sale) -> None:
        """Whose the account is on the platform agrees with money and links; no address is kept."""
        account = sale.seller_account_id or ""
        told = self.out.platform().handed_over(account_id=account)
        if sale.state in ("settled", "refunded", "expired", "cancelled"):
            orders = sale.transfer_set.filter(read_back_account_id__isnull=False, state="done")
            last = orders.order_by("fence").last()
            assert told.fence == (last.fence if last else 0), (sale.state, told)
            is_buyers = last is not None and last.hands_to_id == sale.buyer_id
            assert is_buyers == (sale.state == "settled"), sale.state
            links = Link.objects.filter(account_id=account, unlinked_at=None)
            assert links.filter(member_id=sale.buyer_id).exists() == is_buyers
            assert not sale.transfer_set.exclude(address_sealed=b"").exists()

    def check_books(self) -> None:
        for account in BookAccount.objects.filter(balance_minor__isnull=False):
            rows = Posting.objects.filter(account=account).values_list("minor", flat=True)
            assert sum(rows) == account.balance_minor, account.code
        assert sum(Posting.objects.values_list("minor", flat=True)) == 0


OPEN = ("pending", "unknown")


def _entries(sale: str) -> list[int]:
    """The entries that move this sale's money across our border."""
    payouts = list(Payout.objects.filter(sale_id=sale).values_list("id", flat=True))
    taken = list(Chargeback.objects.filter(sale_id=sale).values_list("id", flat=True))
    return list(
        Entry.objects.filter(kind__in=("funded", "refunded"), ref=sale).values_list("id", flat=True)
    ) + list(
        Entry.objects.filter(
            Q(kind="paid_out", ref__in=payouts)
            | Q(kind__in=("charged_back", "reinstated"), ref__in=taken)
        ).values_list("id", flat=True)
    )


def _wake() -> int:
    """What was to be asked again later is to be asked now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "update procrastinate_jobs set scheduled_at = now() "
            "where status = 'todo' and scheduled_at > now()"
        )
        return int(cursor.rowcount)


def market(
    settings: Any, *, out: Outside | None = None, kind: type[World] = World, **changes: Any
) -> World:
    """An open market on a fresh database, with its outside, at today's date."""
    out = out or outside()
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.DEMO_CLOCK_FILE = str(out.plaza.clock)
    settings.DATA = Path(tempfile.mkdtemp(dir=out.folder))
    settings.LOG_ORIGIN = "test/log"
    out.calm()
    out.plaza.advance_to(0)
    custodian = out.custodian()
    place = make.namespace(**{"custodian_account_id": custodian} | changes)
    made = kind(place, out)
    made.install()
    made.team = [make.member(place, roles="curator"), make.member(place, roles="curator")]
    return made


def link(world: World, member: Any, account: str) -> None:
    """A further account of a member."""
    Link.objects.create(
        namespace=world.place, member=member, account_id=account, linked_at=make.LONG_AGO
    )


def until(true: Any, *, seconds: float = 10.0) -> Any:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return value
