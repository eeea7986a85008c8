"""A small market with a real platform and a real mailbox, a sweep in use, and a clock to step."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import requests
from django.db import connection, transaction
from tests import make
from tests.demo import plaza as plazas
from tests.demo.servers import Program, free_port

from onym import ports
from onym.core import events
from onym.core.names import canon
from onym.core.policy import PROTECTIONS
from onym.flows import clock, contacts, names, plan, stop
from onym.flows import desk as desk_flow
from onym.jobs import clock as clock_jobs
from onym.jobs import notice as notice_jobs
from onym.jobs import payments as payment_jobs  # noqa: F401 - registers its tasks
from onym.jobs import reclaim as reclaim_jobs
from onym.jobs import sweep as sweep_jobs
from onym.ports.mail import DjangoMail
from onym.ports.signed_http import SignedHttp
from onym.queries import due, standing
from onym.store import clock as store_clock
from onym.store.models import Event, Handle, Plan
from onym.sweep import snapshot

OLD = datetime(2020, 3, 1, 9, 30, tzinfo=UTC)
SCHEMA = pa.schema(
    {
        **{name: pa.string() for name in ("handle", "canonical", "account_id", "verdict", "tier")},
        "reasons": pa.list_(pa.string()),
        **{name: pa.int64() for name in ("idle_days", "appraisal_mid_minor", "resting_days")},
        "deadline_at": pa.timestamp("us"),
    }
)
JOBS: dict[str, Callable[..., None]] = {
    "reclaim.tell": reclaim_jobs.tell,
    "reclaim.tell_one": reclaim_jobs.tell_one,
    "reclaim.look": reclaim_jobs.look,
    "notice.send": notice_jobs.send,
    "sweep.adopt": sweep_jobs.adopt,
}


@dataclass(slots=True)
class Mailbox:
    program: Program
    smtp: int

    def letters(self, to: str) -> list[dict[str, Any]]:
        found = requests.get(f"{self.program.base}/messages", params={"to": to}, timeout=10)
        return list(found.json())

    def copies(self, to: str) -> list[int]:
        """How often each letter came in."""
        found = requests.get(f"{self.program.base}/demo/copies", params={"to": to}, timeout=10)
        return [letter["copies"] for letter in found.json()]


@contextmanager
def outside(folder: Path) -> Iterator[tuple[plazas.Plaza, Mailbox]]:
    """The platform and the mailbox, each a process of its own."""
    (folder / "plaza").mkdir()
    plaza = plazas.start(folder / "plaza")
    smtp = free_port()
    options = ["--smtp-port", str(smtp), "--clock-file", str(plaza.clock)]
    program = Program("onym_demo.mailbox", folder / "mailbox", options).start()
    try:
        yield plaza, Mailbox(program, smtp)
    finally:
        program.stop()
        plaza.program.stop()


@dataclass(slots=True)
class Idle:
    """An account that nobody uses any more, as it was signed up on the platform."""

    account_id: str
    handle: str
    row: dict[str, Any]

    @property
    def mail(self) -> str | None:
        return self.row.get("email")


@dataclass(slots=True)
class World:
    """The market under test; `steps` counts what the clock has done."""

    place: Any
    plaza: plazas.Plaza
    box: Mailbox
    folder: Path
    team: list[Any] = field(default_factory=list)
    count: int = 0
    dropped: list[str] = field(default_factory=list)

    def idle(self, **columns: Any) -> Idle:
        """Sign up an account that was last seen in 2020."""
        told = {"last_login_at": OLD.isoformat(), "created_at": OLD.isoformat(), "followers": 12}
        told |= dict.fromkeys(PROTECTIONS, False) | {"inbound_refs": 3, "locale": "en"}
        wished = told | columns
        account_id, handle = self.plaza.sign_up(**wished)
        row = self.plaza.port().account(account_id=account_id)
        assert row is not None
        return Idle(account_id, handle, dict(row))

    def know(self, *accounts: Idle, rows: Sequence[dict[str, Any]] = ()) -> None:
        """Import a directory of these accounts, as the platform tells of them now, or of `rows`."""
        self.count += 1
        folder = self.folder / f"directory-{self.count}"
        table = self.folder / f"accounts-{self.count}.jsonl"
        told = [self.plaza.port().account(account_id=a.account_id) or {} for a in accounts]
        rows = rows or [dict(row) for row in told]
        table.write_text("".join(json.dumps(_wire(row)) + "\n" for row in rows))
        made = snapshot.import_accounts(
            [table], folder, mapping={}, profile="x", seal=contacts.seal
        )
        names.import_directory(namespace=self.place.id, snapshot=made.snapshot)

    def stock(self, *accounts: Idle, **columns: Any) -> Path:
        """A sweep that found these accounts idle, as a stock."""
        self.count += 1
        sweep = self.folder / f"sweep-{self.count}"
        sweep.mkdir()
        file = sweep / "findings-0.parquet"
        rows = [_finding(account, columns) for account in accounts]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        part = {"file": file.name, "rows": len(rows), "sha256": digest, "digest": digest}
        manifest = {
            "policy": {"id": "x-2023", "version": 1},
            "profile": "x",
            "as_of": store_clock.now().isoformat(),
            "verdicts": {"reclaim": len(rows)},
            "partitions": [part],
        }
        (sweep / "manifest.json").write_text(json.dumps(manifest))
        first = [canon(account.handle, "x") for account in accounts]
        with duckdb.connect(config={"threads": 1}) as con:
            made = snapshot.write_stock(
                con, sweep, self.folder / f"stock-{self.count}", first=first
            )
        return made.path

    def adopt(self, *accounts: Idle, **columns: Any) -> Plan:
        """Know and sweep these accounts, and take the sweep into use from an hour ahead on."""
        self.know(*accounts)
        return self.adopt_known(*accounts, **columns)

    def adopt_known(self, *accounts: Idle, **columns: Any) -> Plan:
        """The same for accounts that the directory knows already."""
        made = plan.adopt(
            namespace=self.place.id,
            stock=self.stock(*accounts, **columns),
            by=self.team[0].id,
            starts_at=store_clock.now() + timedelta(hours=1),
        )
        if isinstance(made, Plan):
            return made
        carried = desk_flow.approve(approval_id=made.id, by=self.team[1].id, shown=made.shown)
        assert isinstance(carried, Plan)
        return carried

    def stop(self, on: bool) -> None:
        """Switch the release stop; two people lift it."""
        asked = stop.set_stop(namespace=self.place.id, on=on, by=self.team[0].id)
        if not on:
            desk_flow.approve(approval_id=asked.id, by=self.team[1].id, shown=asked.shown)

    def now(self) -> datetime:
        return store_clock.now()

    def go(self, *, days: float = 0, to: datetime | None = None, then: bool = True) -> datetime:
        """Step through every deadline up to an instant, doing all work before the next.

        `then` False leaves the work of the last instant undone.
        """
        until = to or self.now() + timedelta(days=days)
        done: set[due.Due] = set()
        while waiting := [i for i in due.until(until) if i not in done and (then or i.at < until)]:
            now = clock.set_ahead(to=waiting[0].at)
            for item in (item for item in waiting if item.at <= now):
                done.add(item)
                clock_jobs.run(item)
            self.work()
        return clock.set_ahead(to=until)

    def link(self, account: Idle) -> str:
        """The token of the keep link that the account got by mail."""
        text = self.box.letters(account.mail or "")[-1]["text"]
        found = re.search(r"^http\S+/en/keep/(\S+)$", text, re.MULTILINE)
        assert found is not None, text
        return found[1]

    def touch(self, account: Idle) -> Handle:
        """Give the handle a row of its own, as any flow does that is about it."""
        with transaction.atomic():
            return names.touch(namespace=self.place.id, handle=account.handle)

    def state(self, account: Idle) -> str:
        """As the public sees it."""
        return self.seen(account).standing.state.value

    def seen(self, account: Idle) -> standing.Seen:
        return standing.seen(namespace=self.place.id, handle=account.handle)

    def leaves(self, type_: str) -> list[dict[str, Any]]:
        """The bodies of the leaves of one type, in order."""
        rows = Event.objects.filter(namespace_id=self.place.id, type=type_).order_by("seq")
        return [events.read(bytes(row.entry)).body for row in rows]

    def silence(self) -> None:
        """The platform does not answer any more."""
        dead = SignedHttp(
            base=f"http://127.0.0.1:{free_port()}",
            key_id="onym",
            private_key=self.plaza.key,
            timeout=1,
        )
        ports.install(platforms={self.place.id: dead})

    def answer_again(self) -> None:
        ports.install(platforms={self.place.id: self.plaza.port()})

    def work(self) -> None:
        """Run every job that waits, and those that come of it, once."""
        while found := _take():
            for task, arguments in found:
                if task in JOBS:
                    JOBS[task](**arguments)
                else:
                    self.dropped.append(task)

    def notices(self, account: Idle) -> list[str]:
        """What the platform has told an account, the oldest first."""
        page = self.plaza.program.get(f"/@{account.handle}").text
        said = re.findall(rf"Keep your handle {account.handle}: (\d+) days? left", page)
        return list(reversed(said))


def _take() -> list[tuple[str, dict[str, Any]]]:
    """Jobs that may run now; what is to be asked again later waits for the next call."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            delete from procrastinate_jobs where id in (
                select id from procrastinate_jobs where status = 'todo'
                and (scheduled_at is null or scheduled_at <= clock_timestamp())
            ) returning id, task_name, args
            """
        )
        rows = sorted(cursor.fetchall())
    return [(task, json.loads(a) if isinstance(a, str) else a) for _, task, a in rows]


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}


def _finding(account: Idle, columns: dict[str, Any]) -> dict[str, Any]:
    found = {
        "handle": account.handle,
        "canonical": canon(account.handle, "x"),
        "account_id": account.account_id,
        "verdict": "reclaim",
        "reasons": ["idle_login"],
        "idle_days": 2000,
        "deadline_at": None,
        "tier": "standard",
        "appraisal_mid_minor": 5000,
        "resting_days": 30,
    }
    return found | columns


def world(folder: Path, plaza: plazas.Plaza, box: Mailbox, settings: Any, **changes: Any) -> World:
    """An empty market whose platform and mailbox run; two people of the team."""
    settings.DEMO = True
    settings.DEMO_CLOCK_FILE = str(plaza.clock)
    settings.DATA = folder
    plaza.advance_to(0)
    place = make.namespace(**changes)
    mail = DjangoMail(host="127.0.0.1", port=box.smtp, timeout=10)
    ports.install(platforms={place.id: plaza.port()}, mail=mail)
    team = [make.member(place, roles="curator") for _ in range(2)]
    team.append(make.member(place, roles="reviewer"))
    return World(place=place, plaza=plaza, box=box, folder=folder, team=team)
