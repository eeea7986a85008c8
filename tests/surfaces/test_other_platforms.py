"""One sale from the platform's list to the settled books and the verified log, on each platform
that is no program of ours: a forum's own database, and a SCIM server.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg
import pytest
import requests
from click.testing import CliRunner
from tests import world as worlds
from tests.ports import test_scim as scim
from tests.ports import test_sql as forum
from tests.ports.test_scim import provider
from tests.surfaces.test_api import Caller

from onym import ports
from onym.cli import import_, verify
from onym.flows import documents, log
from onym.ports.scim import Scim
from onym.ports.sql import TABLES, Mapped, Sql
from onym.site.demo_pds import ABSENT
from onym.store.models import Transfer
from onym.store.platform import Writes

__all__ = ["provider"]
PRICE = {"minor": 40_000, "currency": "USD"}
_numbers = itertools.count(1)


@dataclass
class Platform:
    """`sign_up` makes an account by the platform's own means, and `name` asks it what the account
    is called; `is_judged` is whether it tells when somebody was there last.
    """

    open: Callable[[], Any]
    sign_up: Callable[[str], str]
    name: Callable[[str], str]
    is_judged: bool
    keeps: bool = False
    """Whether it keeps the handle that a buyer gives up."""


class Outside(worlds.Outside):
    """The provider and the mailbox of the other tests, with another platform."""

    def platform(self, timeout: float = 5.0) -> Any:
        known: Any = self.plaza
        return known.open()


@dataclass
class Plaza:
    """The clock of the other programs, and this platform."""

    clock: Any
    program: Any
    advance_to: Any
    open: Callable[[], Any]


@pytest.fixture
def sql(database: str) -> Platform:
    """A forum; whoever signs up was last there nine years ago."""
    with psycopg.connect(database) as db:
        db.execute(TABLES)
        db.execute(forum.FORUM)
    mapped = Mapped(
        dsn=database,
        profile="x",
        view="forum.onym_accounts",
        rename=forum.RENAME,
        custodian="kept",
        changed="changed_at",
        notice=forum.NOTICE,
    )

    def ask(statement: str, *values: str) -> str:
        with psycopg.connect(database) as db:
            row = db.execute(statement, values).fetchone()
        assert row is not None
        return str(row[0])

    joined = (
        "INSERT INTO forum.users (username, created_at, last_seen_at) "
        "VALUES (%s, now() - interval '10 years', now() - interval '9 years') RETURNING id"
    )
    named = "SELECT username FROM forum.users WHERE id = %s"
    return Platform(
        lambda: Sql(mapped, timeout=5.0),
        lambda name: ask(joined, name),
        lambda account: ask(named, account),
        is_judged=True,
        keeps=True,
    )


@pytest.fixture
def scim2(database: str, provider: str) -> Platform:
    def name(account: str) -> str:
        told = requests.get(f"{provider}/Users/{account}", headers=scim.HEADERS, timeout=10)
        return str(told.json()["userName"])

    def opened() -> Scim:
        journal = Writes(namespace="demo")
        return Scim(base=provider, token="tok", journal=journal, timeout=5.0, quiet=0.0)

    return Platform(opened, lambda label: scim.sign_up(provider, label)[0], name, is_judged=False)


@pytest.fixture(params=["sql", "scim2"])
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(platform: Platform, settings: Any) -> Iterator[worlds.World]:
    common = worlds.outside()
    facts = {field.name: getattr(common, field.name) for field in dataclasses.fields(common)}
    plaza: Any = Plaza(
        common.plaza.clock, common.plaza.program, common.plaza.advance_to, platform.open
    )
    out = Outside(**facts | {"plaza": plaza})
    made = worlds.market(settings, out=out, custodian_account_id="kept")
    documents.publish(namespace="demo", kind="policy", text=rules())
    yield made
    ports.clear()


def rules() -> str:
    """The policy as an operator publishes it who has no word for memorials and the like."""
    text = resources.files("onym.core").joinpath("policies/onym-default.toml").read_text()
    return text.replace("assume_absent = []", f"assume_absent = {json.dumps(ABSENT)}")


def joined(world: worlds.World, platform: Platform, mail: str) -> tuple[Caller, str, str]:
    """A member with an account of the platform: (who calls, the account, its handle)."""
    label = f"o{os.getpid()}_{next(_numbers)}"
    account = platform.sign_up(label)
    row = worlds.make.member(world.place, account=account, mail=mail)
    worlds.PayoutAccount.objects.filter(member=row).update(account=world.out.bank)
    return Caller(row), account, label


def sent(caller: Caller, path: str, body: Any = None) -> dict[str, Any]:
    answer = caller.send("POST", path, body)
    assert answer.status_code in (200, 201, 202), answer.content
    told: dict[str, Any] = answer.json()
    return told


def test_a_handle_goes_from_the_platforms_list_to_a_settled_sale_and_a_verified_log(
    world: worlds.World, platform: Platform, settings: Any
) -> None:
    seller, held_by, handle = joined(world, platform, "seller@one.example")
    buyer, buys_for, old = joined(world, platform, "buyer@two.example")
    read = CliRunner().invoke(import_.command, ["platform", "--namespace", "demo"])
    assert read.exit_code == 0, read.output
    told = seller.send("GET", f"/handles/{handle}/reclaim").json()
    assert told["policy"]["id"] == "onym-default"
    assert told["verdict"] == ("reclaim" if platform.is_judged else "keep"), told

    listing = sent(seller, "/listings", {"handle": handle, "price": PRICE})
    sale = sent(buyer, f"/listings/{listing['id']}/buy")["id"]
    sent(buyer, f"/sales/{sale}/pay", {"payment_method": "pm_card_visa"})
    world.drain(hurry=True)
    moved = buyer.send("GET", f"/sales/{sale}").json()
    assert (moved["state"], moved["read_back"]["account_id"]) == ("inspection", buys_for)
    assert platform.name(buys_for) == handle
    assert platform.name(held_by) not in (handle, old)

    world.pass_time(days=4)
    assert buyer.send("GET", f"/sales/{sale}").json()["state"] == "settled"
    world.check(sale)
    log.integrate()
    key = str(log.signer().verifier)
    proved = CliRunner().invoke(verify.command, [str(settings.DATA / "log"), "--key", key])
    assert (proved.exit_code, "nothing is wrong" in proved.output) == (0, True), proved.output


def test_an_old_handle_is_kept_and_leads_on_only_where_the_platform_keeps_it(
    world: worlds.World, platform: Platform
) -> None:
    seller, _, handle = joined(world, platform, "seller@one.example")
    buyer, _, old = joined(world, platform, "buyer@two.example")
    bought(world, seller, buyer, handle)
    said = buyer.send("GET", f"/handles/{old}").json()
    kept = ("reserved", {"account_id": "kept"}, handle) if platform.keeps else ("free", None, None)
    assert (said["state"], said["holder"], said["redirect_to"]) == kept
    asked = Transfer.objects.get()
    assert (asked.vacated, asked.retains) == (old, platform.keeps)


def test_a_name_that_is_no_handle_here_is_told_to_nobody(
    world: worlds.World, platform: Platform
) -> None:
    """Identity software likes mail addresses for names, and forums like spaces."""
    seller, _, handle = joined(world, platform, "seller@one.example")
    label = f"Ada.{next(_numbers)}@mail.example"
    account = platform.sign_up(label)
    buyer = Caller(worlds.make.member(world.place, account=account, mail="ada@two.example"))
    bought(world, seller, buyer, handle)
    assert platform.name(account) == handle
    log.integrate()
    feed = buyer.send("GET", "/handovers")
    assert [one["vacated"] for one in feed.json()["items"]] == [None]
    assert label.lower() not in feed.content.decode().lower()


def bought(world: worlds.World, seller: Caller, buyer: Caller, handle: str) -> None:
    """Imported, listed, bought by card, moved; and all that follows is done."""
    read = CliRunner().invoke(import_.command, ["platform", "--namespace", "demo"])
    assert read.exit_code == 0, read.output
    listing = sent(seller, "/listings", {"handle": handle, "price": PRICE})
    sale = sent(buyer, f"/listings/{listing['id']}/buy")["id"]
    sent(buyer, f"/sales/{sale}/pay", {"payment_method": "pm_card_visa"})
    world.drain(hurry=True)
    assert buyer.send("GET", f"/sales/{sale}").json()["state"] == "inspection"
