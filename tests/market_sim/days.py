"""Seeded days: people act, jobs run once, twice or never, processes die, deadlines pass."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from tests import make
from tests.market_sim import auditor
from tests.market_sim.outside import Crash, Plaza, Post, Provider, Weather
from tests.market_sim.people import PLACE, People

from onym import ports
from onym.core.errors import Refusal
from onym.flows import log
from onym.jobs import clock as deadlines
from onym.jobs import notice, payments, transfer
from onym.queries import audit, due
from onym.store import clock
from onym.store.models import DemoClock

JOBS: dict[str, Callable[..., None]] = {
    "sale.charge": payments.charge,
    "sale.give_up_charge": payments.give_up_charge,
    "sale.refund": payments.refund,
    "ledger.pay_out": payments.pay_out,
    "ledger.pay_out_all": payments.pay_out_all,
    "transfer.move": transfer.move,
    "transfer.retain": transfer.retain,
    "transfer.unreserve": transfer.unreserve,
    "notice.send": notice.send,
    "invitation.send": notice.send_campaign,
}
MEMBERS, RELEASED, DRAIN = 8, 9, 30
UPHELD = ("compensate", "return_and_refund", "wait")
"""What the policies say about a sold handle whose appeal is right, in turn."""
GAP = timedelta(minutes=61, seconds=37)
"""Between two steps: no sum of gaps falls near a whole hour, so no deadline falls on a step."""


@dataclass
class Report:
    """What a seed led to; `digest` is over the events, so a replay can be recognised."""

    seed: int
    steps: int
    digest: str
    crashes: int
    sales: dict[str, int]
    remedies: dict[str, int]
    faults: list[str]


@dataclass
class Days:
    seed: int
    lines: list[str] = field(default_factory=list)
    crashes: int = 0
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.weather = Weather(self.draw, lost=0.15, crash=0.02, stale=0.3)
        self.provider, self.plaza = Provider(self.weather), Plaza(self.weather)
        self.post, self.people = Post(self.weather), People(self.draw, self.plaza)
        self.at = clock.now()

    def run(self, steps: int) -> Report:
        """Live through `steps`, let all that is under way end in fair weather, and audit."""
        self.settle_in()
        for step in range(steps):
            self.step(self.draw.choice((1, 1, 2, 5, 11)))
            if step % 10 == 0:
                self.audit()
        self.weather.clear()
        for _ in range(DRAIN):
            self.pass_time(41)
            if not self.under_way():
                break
        self.audit()
        self.faults += auditor.faults(self.provider, self.plaza)
        digest = hashlib.sha256("\n".join(self.lines).encode()).hexdigest()
        sales, remedies = self.count("state", "store_sale"), self.count("remedy", "store_appeal")
        return Report(self.seed, steps, digest, self.crashes, sales, remedies, self.faults)

    def settle_in(self) -> None:
        settings.DEMO = True
        port: Any = self.provider
        plaza: Any = self.plaza
        ports.install(payments={PLACE: port}, platforms={PLACE: plaza}, mail=self.post)
        place = make.namespace()
        make.member(place, id="mbr_staff", roles="curator agent")
        make.member(place, id="mbr_judge", roles="reviewer")
        for number in range(MEMBERS):
            name = f"sim{number}"
            make.member(place, id=f"mbr_{name}", account=f"acc-{name}", mail=self.mail(name))
            self.plaza.holders[make.handle(place, name).handle] = f"acc-{name}"
        for number in range(RELEASED):
            name = f"old{number}"
            make.member(place, id=f"mbr_{name}", account=f"acc-{name}", mail=self.mail(name))
            upheld = UPHELD[number % len(UPHELD)]
            make.released(place, name, now=self.at, upheld=upheld)
            self.plaza.holders[name] = f"acc-{name}"

    def mail(self, name: str) -> str:
        return f"mbr_{name}@mail.example"

    def step(self, gaps: int) -> None:
        self.try_(self.people.act)
        self.pass_time(gaps)

    def pass_time(self, gaps: int) -> None:
        self.at += gaps * GAP
        self.set_clock(self.at)
        self.try_(self.deadlines)
        self.try_(lambda: str(log.integrate()))
        self.deliver()

    def deadlines(self) -> str:
        """All that is due, as the clock does it; what a crash cuts off is due the next time."""
        items = due.until(self.at)
        deadlines.run_all(items)
        return " ".join(item.what for item in items)

    def under_way(self) -> bool:
        """Whether a job waits, or a deadline will come within two months."""
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from procrastinate_jobs where status = 'todo'")
            (jobs,) = cursor.fetchone()
        ahead = due.until(self.at + timedelta(days=60))
        return bool(jobs or [item for item in ahead if item.what != "transfer.let_go"])

    def set_clock(self, to: datetime) -> None:
        self.plaza.at = to
        row, _ = DemoClock.objects.get_or_create(pk=1)
        row.offset_seconds += round((to - clock.now()).total_seconds())
        row.save()

    def deliver(self) -> None:
        """Every job that waits, oldest first; some twice, some not this time."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select id, task_name, args from procrastinate_jobs"
                " where status = 'todo' order by id"
            )
            jobs = cursor.fetchall()
        for id_, name, arguments in jobs:
            given = json.loads(arguments) if isinstance(arguments, str) else arguments
            if self.weather.lost and self.draw.random() < 0.1:
                continue
            twice = self.weather.lost and self.draw.random() < 0.15
            if self.job(name, given) and (not twice or self.job(name, given)):
                with connection.cursor() as cursor:
                    cursor.execute("delete from procrastinate_jobs where id = %s", [id_])

    def job(self, name: str, arguments: dict[str, Any]) -> bool:
        """Whether it came to its end: what a crash cut short is delivered again."""
        return self.try_(lambda: JOBS[name](**arguments) or name)  # type: ignore[func-returns-value]  # some do

    def try_(self, what: Callable[[], str]) -> bool:
        """Do it with death behind any statement; write down what came of it, without ids."""
        try:
            with connection.execute_wrapper(self.deadly):
                self.lines.append(what())
        except Refusal as refusal:
            self.lines.append(f"refused {refusal.code}")
        except Crash:
            self.crashes += 1
            self.lines.append("crash")
            connection.close()
            return False
        return True

    def deadly(self, execute: Any, *given: Any) -> Any:
        """Each statement may be the last, before or after it is carried out."""
        if self.weather.strikes(self.weather.crash / 10):
            raise Crash
        done = execute(*given)
        if self.weather.strikes(self.weather.crash / 10):
            raise Crash
        return done

    def audit(self) -> None:
        broken = [c for c in audit.run() if c.verdict is audit.Verdict.VIOLATED]
        self.faults += [f"step {len(self.lines)}: {check}" for check in broken]

    def count(self, column: str, table: str) -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(f"select {column} from {table} where {column} <> ''")
            return dict(sorted(Counter(value for (value,) in cursor.fetchall()).items()))
