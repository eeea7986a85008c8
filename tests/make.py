"""Builders: plain functions with keyword overrides and counters; no random data."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import struct
import time
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from onym.core import guidelines
from onym.core.money import Money

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_count = itertools.count(1)


def usd(whole: float) -> Money:
    """12.34 → 1234 cents."""
    return Money(round(whole * 100), "USD")


def namespace(**changes: Any) -> Any:
    """A namespace in phase open without a release stop, with its documents and house member."""
    from onym.store.models import Member, Namespace

    fields = {
        "id": "demo",
        "title": "Handle Marketplace",
        "profile": "x",
        "currency": "USD",
        "phase": "open",
        "release_stop": False,
        "created_at": LONG_AGO,
    }
    place = Namespace.objects.create(**fields | changes)
    fees = resources.files("onym.core").joinpath("data/fees/onym-2026.toml").read_text()
    policy = resources.files("onym.core").joinpath("policies/x-2023.toml").read_text()
    document(place, kind="fees", name="onym-2026", text=fees)
    document(place, kind="guidelines", name="onym-2026", text=guidelines.built_in())
    document(place, kind="policy", name="x-2023", text=policy)
    Member.objects.create(id="mbr_house", namespace=place, is_house=True, created_at=LONG_AGO)
    return place


def document(place: Any, *, kind: str, name: str, text: str, version: int = 1) -> Any:
    from onym.store.models import Document

    return Document.objects.create(
        namespace=place,
        kind=kind,
        name=name,
        version=version,
        effective_from=LONG_AGO,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def member(
    place: Any,
    *,
    account: str | None = None,
    mail: str | None = None,
    roles: str = "",
    **changes: Any,
) -> Any:
    """A member of long standing; `account` is linked, `mail` verified, `roles` given."""
    from onym.store import secrets
    from onym.store.models import Link, MailAddress, Member, PayoutAccount, StaffRole

    id_ = changes.pop("id", f"mbr_{next(_count):04d}")
    row = Member.objects.create(id=id_, namespace=place, created_at=LONG_AGO, **changes)
    if account is not None:
        Link.objects.create(namespace=place, member=row, account_id=account, linked_at=LONG_AGO)
        PayoutAccount.objects.create(
            member=row, provider="stripe", account=f"acct_{id_}", ready_at=LONG_AGO
        )
    if mail is not None:
        MailAddress.objects.create(
            namespace=place,
            member=row,
            address_sealed=secrets.seal(mail, place=f"mailaddress.address/{id_}"),
            address_index=secrets.index(mail, purpose="mail"),
            verified_at=LONG_AGO,
        )
    for role in roles.split():
        StaffRole.objects.create(member=row, role=role, granted_at=LONG_AGO)
    return row


def token(member: Any, *, scopes: str = "read buy sell desk") -> str:
    """A bearer token of the member."""
    from onym.store import secrets
    from onym.store.models import Token

    text = f"token-{next(_count)}"
    Token.objects.create(digest=secrets.digest(text), member=member, scopes=scopes.split())
    return text


def totp(member: Any) -> str:
    """The secret of an authenticator app that the member has had for long."""
    from onym.flows import factors

    return factors.equip(member=member.id, since=LONG_AGO)


def totp_code(secret: str, *, later: int = 0) -> str:
    """What the app shows now, or so many half minutes later (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30 + later)
    mac = hmac.digest(base64.b32decode(secret), counter, "sha1")
    (value,) = struct.unpack_from(">I", mac, mac[-1] & 0x0F)
    return f"{(value & 0x7FFFFFFF) % 1_000_000:06}"


def confirmed(client: Any, *, ago: float = 0, kind: str = "totp") -> Any:
    """The browser, its session as if the second factor had been given so many seconds ago."""
    session = client.session
    records = session.get("account_authentication_methods", [])
    shown = {"method": "mfa", "type": kind, "id": 0, "at": time.time() - ago}
    session["account_authentication_methods"] = [*records, shown]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    return client


def browser(member: Any, *, ago: float = 0) -> Any:
    """The member's browser, signed in, which gave the second factor so many seconds ago."""
    from django.contrib.auth.models import User
    from django.test import Client

    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    client = Client()
    client.force_login(member.user)
    return confirmed(client, ago=ago)


def handle(place: Any, name: str, **changes: Any) -> Any:
    """A held handle with its one open tenure; `state` and `account_id` may be overridden."""
    from django.db import transaction

    from onym.store.models import Handle, Tenure

    fields = {"state": "held", "account_id": f"acc-{name}", "touched_at": LONG_AGO}
    with transaction.atomic():  # a test may kill the database between the two
        row = Handle.objects.create(namespace=place, handle=name, display=name, **fields | changes)
        if row.account_id:
            Tenure.objects.create(
                handle=row, account_id=row.account_id, held_from=LONG_AGO, cause="registered"
            )
    return row


def named(member: Any, name: str = "Nadia Roux") -> Any:
    """The member with a name, as screening compares it."""
    from onym.store import secrets

    member.name_sealed = secrets.seal(name, place=f"member.name/{member.id}")
    member.save(update_fields=["name_sealed"])
    return member


def days(count: float) -> timedelta:
    return timedelta(days=count)


def stock(name: str) -> Path:
    """A sweep of x-2023 that found nobody, as a stock: what has a row of its own needs no more."""
    import duckdb
    from django.conf import settings

    from onym.sweep import snapshot

    folder = Path(settings.DATA) / "made" / f"{name}-{next(_count)}"
    folder.mkdir(parents=True)
    swept = {
        "policy": {"id": "x-2023", "version": 1},
        "profile": "x",
        "as_of": NOW.isoformat(),
        "verdicts": {},
        "partitions": [],
    }
    (folder / "manifest.json").write_text(json.dumps(swept))
    with duckdb.connect() as con:
        return snapshot.write_stock(con, folder, folder / "stock").path


def reclaimed(
    place: Any,
    name: str,
    *,
    state: str = "warned",
    account: str | None = None,
    upheld: str = "compensate",
    **changes: Any,
) -> Any:
    """A handle on its way under a plan of x-2023, all notices sent at `NOW`; the open process.

    `upheld` is what the plan's policy says about a sold handle whose appeal is right.
    """
    from onym.store.models import Plan, Reclaim

    row = handle(place, name, state=state, account_id=account or f"acc-{name}")
    plan = Plan.objects.create(
        id=f"pln_{next(_count):04d}",
        namespace=place,
        policy_name="x-2023",
        policy_version=1,
        path=str(stock(name)),
        as_of=NOW,
        periods={
            "notice_days": [30, 14, 3],
            "release_daily": 10,
            "idle_days": 30,
            "appeal_days": 180,
            "waking_days": 90,
            "upheld": upheld,
            "compensate_percent": 50,
        },
        stages=[],
        adopted_at=NOW,
    )
    fields = {
        "bucket": 0,
        "account_id": row.account_id,
        "verdict": "reclaim",
        "reasons": ["idle_login"],
        "resting_days": 30,
        "written": state,
        "sent": [NOW] * 3,
    }
    return Reclaim.objects.create(handle=row, plan=plan, **fields | changes)


def campaign(row: Any, *, mails: str = "ada@mail.example bo@mail.example", **changes: Any) -> Any:
    """A draft of private offers for the handle's row at 900.00, its candidates committed."""
    from onym.flows import invitation

    team = changes.pop("by", None) or member(row.namespace, roles="curator").id
    return invitation.propose(
        namespace=row.namespace_id,
        handle=row.handle,
        by=team,
        price=usd(900),
        criteria="firms of that name",
        recipients=[invitation.Recipient(mail, "", "en") for mail in mails.split()],
        expires_in_days=14,
        **changes,
    )


def sweep(place: Any, *, by: str, **changes: Any) -> Any:
    """A sweep of ten accounts that found four, done at `NOW`."""
    from onym.store.models import Sweep

    fields = {
        "id": f"swp_{next(_count):04d}",
        "policy": "x-2023",
        "version": 1,
        "as_of": NOW,
        "state": "done",
        "ordered_at": NOW,
        "ended_at": NOW,
        "accounts": 10,
        "verdicts": {"keep": 6, "warn": 1, "reclaim": 3},
        "reasons": {"idle_login": 4},
    }
    return Sweep.objects.create(namespace=place, ordered_by_id=by, **fields | changes)


def released(place: Any, name: str, *, now: datetime, **changes: Any) -> Any:
    """The same two months after the notices, the last look taken: it may be sold."""
    sent = [now - days(61)] * 3
    return reclaimed(place, name, state="released", sent=sent, looked_at=now, **changes)


def copy(row: Any, **changes: Any) -> Any:
    """A second row like `row`, under a new key, with `changes`; the database has its say."""
    fields = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}
    if "id" not in changes and row._meta.pk.attname == "id" and not isinstance(row.pk, str):
        del fields["id"]
    return type(row).objects.create(**fields | changes)
