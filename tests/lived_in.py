"""A market in which much has happened, written down directly: what pages are counted on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db import transaction
from tests import make
from tests.flows import purses
from tests.flows.banking import Banking

from onym.core import ledger as core
from onym.flows import (
    bank,
    invitation,
    invoice,
    ledger,
    log,
    names,
    offer,
    outgoing,
    people,
    record,
    watch,
    webhook,
)
from onym.queries import notice
from onym.store import clock, secrets
from onym.store import reclaim as store
from onym.store import watch as watches
from onym.store.models import (
    Appeal,
    BankLine,
    Campaign,
    Delivery,
    DirectoryImport,
    Document,
    Handle,
    HookCall,
    Invitation,
    Invoice,
    Listing,
    Notice,
    Plan,
    PlanPart,
    Reclaim,
    Sale,
    SaleSlot,
    Transfer,
    Webhook,
)
from onym.sweep import snapshot

PASSWORD = "kiln-and-clay"
DAY = timedelta(days=1)
SCHEMA = pa.schema(
    {
        **{name: pa.string() for name in ("handle", "canonical", "account_id", "verdict", "tier")},
        "reasons": pa.list_(pa.string()),
        **{name: pa.int64() for name in ("idle_days", "appraisal_mid_minor", "resting_days")},
        "deadline_at": pa.timestamp("us"),
    }
)


@dataclass(slots=True)
class LivedIn:
    """The market, two members who can sign in with `PASSWORD`, and ids that addresses need."""

    place: Any
    now: datetime
    buyer: Any
    curator: Any
    sale: str
    offer: str
    offer_token: str
    invitation: str
    campaign: str
    keep: str
    plan: str
    alerts: str
    sweep: str
    checkout: str
    payment_file: str
    invoice: str


def market() -> LivedIn:
    """A fresh namespace `demo`, and months of a market in it."""
    place, now = make.namespace(), clock.now()
    buyer, curator = _people(place)
    directory(place, now)
    plan = adopted(place, now)
    sellers = _listings(place, now)
    sales = [_sale(place, buyer, sellers[n % 30], now - n * 3 * DAY) for n in range(60)]
    _statement(buyer, now)
    purses.lived_in(buyer, now)
    made = [_offer(buyer, n) for n in range(25)]
    campaign, link = _campaigns(place, curator)
    keep = _on_their_way(place, plan, now)
    _waiting(place, curator, now)
    _watches(buyer)
    _called(buyer, sales[0], now)
    log.integrate()
    return LivedIn(
        place,
        now,
        buyer,
        curator,
        sales[0].id,
        made[0],
        _token(made[1]),
        link,
        campaign,
        keep,
        plan.id,
        watches.token(buyer.id),
        make.sweep(place, by=curator.id, stock=plan.path).id,
        _checkout(place, buyer, sellers[0], now),
        _banking(place, curator),
        _invoice(sales[0], now),
    )


def _watches(buyer: Any) -> None:
    """Watched handles and saved searches, with a hit each; @moon is watched."""
    place = buyer.namespace
    for name in ("moon", *(f"sold{n}" for n in range(9))):
        watch.handle(namespace=place.id, handle=name, by=buyer.id)
    watch.search(namespace=place.id, by=buyer.id, prefix="mo", most=make.usd(5_000))
    for n in range(9):
        row = Handle.objects.get(namespace=place, handle=f"sold{n}")
        watch.note(watch.Hit("sold", f"sal_{n}", row, clock.now(), make.usd(500)))


def _called(buyer: Any, sale: Sale, now: datetime) -> None:
    """A relying site of hers that has not heard everything, and hooks after the last sale."""
    site = webhook.subscribe(namespace="demo", by=buyer.id, url="https://site.example/hook")
    Webhook.objects.filter(pk=site.id).update(state="active")
    for leaf in range(3):
        Delivery.objects.create(
            id=f"dlv_{leaf}",
            webhook_id=site.id,
            leaf_index=leaf,
            state="dead",
            attempts=10,
            status=503 if leaf else None,
            why="" if leaf else "timeout",
            made_at=now,
            answered_at=now,
        )
    moved = Transfer.objects.create(
        id="trf_last",
        namespace_id="demo",
        handle=sale.handle,
        sale=sale,
        to=sale.buyer_account_id,
        placeholder="user_1",
        fence=1,
        state="done",
        started_at=now,
    )
    for n, (name, state) in enumerate(HOOKS):
        HookCall.objects.create(
            id=f"hok_{n}",
            handle=sale.handle,
            about=moved.id,
            position=n,
            name=name,
            url="https://plaza.example/hooks",
            state=state,
            ordered_at=now,
        )


HOOKS = (
    ("sessions", "done"),
    ("tokens", "refused"),
    ("webhooks", "unknown"),
    ("mail-aliases", "pending"),
)


def _people(place: Any) -> tuple[Any, Any]:
    joined = []
    for name in ("nadia", "amal"):
        mail = f"{name}@mail.example"
        joined.append(people.join(namespace=place.id, name=name, mail=mail, password=PASSWORD))
    people.link(member=joined[0].id, account_id="acc-nadia")
    make.handle(place, "nadia", account_id="acc-nadia")
    people.grant(member=joined[1].id, role="curator")
    return joined[0], joined[1]


def directory(place: Any, now: datetime) -> None:
    """Accounts that nobody touched: active ones, and idle ones that the sweep finds."""
    folder = _folder()
    rows = [
        {
            "account_id": f"d-{n}",
            "handle": f"moor{n:03d}",
            "created_at": (now - 900 * DAY).isoformat(),
            "last_login_at": (now - (800 if n % 2 else 2) * DAY).isoformat(),
            **dict.fromkeys(("memorial", "verified", "public_body", "legal_hold"), False),
        }
        for n in range(120)
    ]
    table = folder / "accounts.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = snapshot.import_accounts(
        [table], folder / "directory", mapping={}, profile=place.profile
    )
    names.import_directory(namespace=place.id, snapshot=made.snapshot)
    DirectoryImport.objects.update(at=now - 2 * DAY)


def _folder() -> Path:
    folder = Path(settings.DATA) / "made" / f"lived-{next(make._count)}"
    folder.mkdir(parents=True)
    return folder


def adopted(place: Any, now: datetime) -> Plan:
    """Two sweeps in use, the newer one with findings in three parts that stand differently."""
    older = make.reclaimed(place, "older", ending="kept", ended_at=now - 50 * DAY).plan
    found = [f"moor{n:03d}" for n in range(1, 120, 2)] + [f"way{n}" for n in range(12)]
    row = make.copy(older, id="pln_lived", path=str(_stock(place, found, now)))
    starts = [now - 100 * DAY, now - 20 * DAY, now + 9 * DAY]
    row.as_of, row.adopted_at = now - 101 * DAY, now - 101 * DAY
    row.stages = [
        [percent, at.isoformat()] for percent, at in zip((1, 10, 100), starts, strict=True)
    ]
    row.save()
    parts = zip(((0, 3_000), (3_000, 6_000), (6_000, 10_000)), starts, strict=True)
    for stage, ((low, high), at) in enumerate(parts):
        sent = [at + late * DAY if at + late * DAY < now else None for late in (0, 16, 27)]
        PlanPart.objects.create(
            plan=row,
            stage=stage,
            low=low,
            high=high,
            starts_at=at,
            sent=sent,
            resting=[[30, 20]],
            retiring=2,
        )
    return row


def _stock(place: Any, found: list[str], now: datetime) -> Path:
    sweep = _folder()
    rows = [
        {
            "handle": name,
            "canonical": name,
            "account_id": f"d-{int(name[4:])}" if name.startswith("moor") else f"acc-{name}",
            "verdict": "reclaim",
            "tier": "standard",
            "reasons": ["idle_login"],
            "idle_days": 800,
            "appraisal_mid_minor": 5_000,
            "resting_days": 30,
            "deadline_at": None,
        }
        for name in sorted(found)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), sweep / "findings-0.parquet")
    digest = hashlib.sha256((sweep / "findings-0.parquet").read_bytes()).hexdigest()
    swept = {
        "policy": {"id": "x-2023", "version": 1},
        "profile": place.profile,
        "as_of": (now - 101 * DAY).isoformat(),
        "rows": 200,
        "verdicts": {"keep": 200 - len(rows), "reclaim": len(rows)},
        "partitions": [
            {"file": "findings-0.parquet", "rows": len(rows), "sha256": digest, "digest": digest}
        ],
    }
    (sweep / "manifest.json").write_text(json.dumps(swept))
    with duckdb.connect(config={"threads": 1}) as con:
        return snapshot.write_stock(con, sweep, sweep / "stock").path


def _listings(place: Any, now: datetime) -> list[Any]:
    """Thirty sellers with an open listing each, and handles that are released and unsold."""
    sellers = []
    for n in range(30):
        row = make.handle(place, f"moon{n}" if n else "moon")
        sellers.append(make.member(place, account=row.account_id))
        listed(row, sellers[-1], minor=(n + 1) * 1_000, at=now - n * DAY)
    for n in range(30):
        make.handle(place, f"sold{n}", cool_off_until=now + DAY)
    for n in range(10):
        make.handle(place, f"free{n}", state="released", account_id=None)
    return sellers


def listed(row: Any, seller: Any, *, minor: int, at: datetime, **changes: Any) -> Any:
    """An open listing that fills the handle's sale slot."""
    id_ = f"lst_{next(make._count):05d}"
    made = Listing.objects.create(
        id=id_,
        namespace=row.namespace,
        handle=row,
        seller=seller,
        price_minor=minor,
        currency="USD",
        opened_at=at,
        **changes,
    )
    if made.state == "open":
        SaleSlot.objects.create(handle=row, kind="listing", ref=id_, filled_at=at)
    return made


def _sale(place: Any, buyer: Any, seller: Any, at: datetime) -> Any:
    row = Handle.objects.get(namespace=place, handle=f"sold{next(make._count) % 30}")
    return sale(row, buyer, seller, minor=50_000, at=at)


def sale(row: Any, buyer: Any, seller: Any, *, minor: int, at: datetime, **changes: Any) -> Any:
    """A settled sale between members, at 5 % commission, that closed at `at`."""
    commission = minor // 20
    fields = {
        "id": f"sal_{next(make._count):05d}",
        "namespace": row.namespace,
        "handle": row,
        "kind": "trade",
        "mechanism": "offer",
        "by": "off_x",
        "buyer": buyer,
        "seller": seller,
        "buyer_account_id": "acc-nadia",
        "seller_account_id": row.account_id,
        "currency": "USD",
        "price_minor": minor,
        "gross_minor": minor + commission,
        "commission_minor": commission,
        "proceeds_minor": minor,
        "state": "settled",
        "agreed_at": at - DAY,
        "funding_until": at,
        "funded_at": at - DAY,
        "closed_at": at,
        "read_back_account_id": "acc-nadia",
        "read_back_at": at,
        "versions": {"fees": "onym-2026/1"},
    }
    return Sale.objects.create(**fields | changes)


def _checkout(place: Any, buyer: Any, seller: Any, now: datetime) -> str:
    """A sale that waits for the buyer's money."""
    row = make.handle(place, "unpaid")
    unpaid = {"funded_at": None, "closed_at": None, "funding_until": now + DAY, "state": "funding"}
    unread = {"read_back_account_id": None, "read_back_at": None}
    made = sale(row, buyer, seller, minor=60_000, at=now, **unpaid, **unread)
    SaleSlot.objects.create(handle=row, kind="sale", ref=made.id, filled_at=now)
    return str(made.id)


@transaction.atomic
def _invoice(made: Any, now: datetime) -> str:
    invoice.issue(made, now=now)
    return str(Invoice.objects.get().id)


def _banking(place: Any, curator: Any) -> str:
    """Money in suspense, a charge of the bank, and a return that has gone into a payment file."""
    banking = Banking(place).install()
    banking.take(
        *(banking.came(f"{n}.50", f"for the moon {n}") for n in range(1, 4)),
        banking.came("-2.00", "charges"),
    )
    line = BankLine.objects.filter(rest_minor=150).get()
    bank.decide(line_id=line.id, by=curator.id)
    return str(outgoing.file(namespace=place.id, by=curator.id).id)


@transaction.atomic
def _statement(member: Any, now: datetime) -> None:
    for n in range(50):
        entry = core.Entry(
            "settled",
            f"sal_x{n}",
            "USD",
            {f"member:{member.id}:payable": 100 + n, f"escrow:sal_x{n}": -100 - n},
        )
        ledger.book(entry, namespace=member.namespace_id, at=now)


def _offer(buyer: Any, n: int) -> str:
    place = buyer.namespace
    row = make.handle(place, f"wanted{n}")
    made = offer.make(namespace=place.id, handle=row.handle, buyer=buyer.id, price=make.usd(100))
    return made.id


def _token(offer_id: str) -> str:
    told = Notice.objects.filter(kind="offer_made", facts__offer=offer_id).first()
    letter = notice.letter(told.id) if told else None
    assert letter is not None
    return str(letter.facts["href"]).rsplit("/", 1)[1]


def _campaigns(place: Any, curator: Any) -> tuple[str, str]:
    for n in range(5):
        made = invitation.propose(
            namespace=place.id,
            handle=f"free{n}",
            by=curator.id,
            price=make.usd(900),
            criteria="they asked",
            expires_in_days=14,
            recipients=[invitation.Recipient(f"p{m}@mail.example", "Ada", "en") for m in range(4)],
        )
        assert isinstance(made, Campaign)
        invitation.send(campaign_id=made.id, by=curator.id)
    for row in Invitation.objects.all():
        assert invitation.sending(invitation_id=row.id)
    last = Invitation.objects.filter(campaign=made).order_by("position").first()
    assert last is not None
    return made.id, last.token


def _on_their_way(place: Any, plan: Plan, now: datetime) -> str:
    """Touched handles under the plan: warned, listed as unreached, and appealed against."""
    for n in range(12):
        row = make.handle(place, f"way{n}", state="warned")
        process = Reclaim.objects.create(
            handle=row,
            plan=plan,
            bucket=4_000,
            account_id=row.account_id,
            verdict="reclaim",
            reasons=["idle_login"],
            resting_days=30,
            written="warned",
            sent=None if n % 3 == 0 else [now - 9 * DAY, None, None],
            listed_at=now - DAY if n % 3 == 0 else None,
        )
        if n % 3 == 1:
            _appealed(process, now)
    return store.keep_token(namespace=place.id, handle="way2", account_id="acc-way2", plan=plan.id)


def _appealed(process: Any, now: datetime) -> None:
    id_ = f"app_{next(make._count):05d}"
    text = secrets.seal("I was on the sea.", place=f"appeal.text/{id_}")
    Appeal.objects.create(
        id=id_,
        namespace=process.handle.namespace,
        handle=process.handle,
        process=process,
        account_id=process.account_id,
        text_sealed=text,
        opened_at=now,
    )
    Handle.objects.filter(pk=process.handle_id).update(appeal_open=True)


def _waiting(place: Any, curator: Any, now: datetime) -> None:
    """Proposals for a second person, and older versions of every document."""
    for n in range(10):
        payload = {"handle": f"free{n}", "price": {"minor": "1000000", "currency": "USD"}}
        record.propose(
            namespace=place.id,
            action="list",
            payload=payload,
            facts={},
            by=curator.id,
            now=now,
        )
    for row in list(Document.objects.all()):
        for version in (2, 3):
            make.copy(row, version=version, effective_from=now - version * DAY)
