"""A member who joined by the platform and gave no address is told by the platform's notices."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import requests
from tests import make
from tests import world as worlds
from tests.faults import ways

from onym import ports
from onym.flows import offer, payments, people, record
from onym.flows import sale as sales
from onym.jobs import notice
from onym.queries import notice as letters
from onym.store import secrets
from onym.store.models import MailAddress, Notice, Sale
from onym.web.templatetags.market import moment


@pytest.fixture
def world(database: str, settings: Any) -> Any:
    made = worlds.market(settings)
    yield made
    ports.clear()


def test_a_member_without_an_address_is_told_through_the_platform_of_every_step(
    world: worlds.World,
) -> None:
    account, handle = world.account()
    make.handle(world.place, handle, account_id=account)
    seller = people.arrive(namespace="demo", account_id=account, language="fr")
    buyer, _, _ = world.member(mail="buyer@mail.example")
    made = offer.make(namespace="demo", handle=handle, buyer=buyer.id, price=make.usd(700))
    sale = offer.accept(offer_id=made.id, by=seller.id)
    payments.pay(sale_id=sale.id, by=buyer.id, method="pm_card_visa")
    world.drain()
    world.pass_time(days=2)
    sales.accept(sale_id=sale.id, by=buyer.id)
    world.drain()
    rows = Notice.objects.filter(account_id=account, channel="platform")
    told = dict(rows.values_list("kind", "state"))
    steps = ["offer_made", "sale_agreed", "trade_cooling", "sale_delivered", "sale_settled"]
    assert {kind: told.get(kind) for kind in steps} == dict.fromkeys(steps, "sent")
    page = requests.get(
        f"{world.out.plaza.program.base}/@{world_handle(world, account)}", timeout=9
    )
    assert f"/fr/sales/{sale.id}" in page.text  # the cooling-off's cancel link
    assert {row.language for row in rows.exclude(kind="offer_made")} == {"fr"}
    world.pass_time(days=8)
    assert Notice.objects.filter(account_id=account, kind="paid_out").exists() or (
        Notice.objects.filter(account_id=account, kind="payout_account_needed").exists()
    )


def test_the_letters_of_a_sale_name_its_own_ends(world: worlds.World) -> None:
    way = ways.trade(world, price=400)
    sale = Sale.objects.get(pk=way.agree())
    way.pay(sale.id)
    world.drain()
    world.pass_time(days=2)
    sale.refresh_from_db()
    ends = {"sale_agreed": sale.funding_until, "sale_delivered": sale.inspection_until}
    for kind, until in ends.items():
        rows = Notice.objects.filter(kind=kind)
        assert rows
        for row in rows:
            facts = letters.complete(row.facts, language="en", namespace="demo")
            _, text, _ = notice.render(kind, language="en", facts=facts)
            assert f"until {moment(until)}" in text, (kind, text)


def world_handle(world: worlds.World, account: str) -> str:
    row = world.out.platform().account(account_id=account)
    assert row is not None
    return str(row["handle"])


def test_many_are_told_at_once_and_who_has_no_address_by_the_platform(world: worlds.World) -> None:
    account, _ = world.account()
    bare = people.arrive(namespace="demo", account_id=account, language="en")
    mailed, other, _ = world.member(mail="ada@one.example")
    told = [(bare.id, "sal_1", {"sale": "sal_1"}), (mailed.id, "sal_1", {"sale": "sal_1"})]
    for _ in range(2):
        record.notify_all(told, namespace="demo", kind="paid_out", now=world.now())
    rows = Notice.objects.filter(kind="paid_out")
    assert sorted(rows.values_list("channel", "account_id")) == [
        ("mail", None),
        ("platform", account),
    ]
    assert other not in rows.values_list("account_id", flat=True)


def test_an_address_that_is_given_later_takes_the_platforms_place(world: worlds.World) -> None:
    account, _ = world.account()
    bare = people.arrive(namespace="demo", account_id=account, language="en")
    MailAddress.objects.create(
        namespace=world.place,
        member=bare,
        address_sealed=b"",
        address_index="x",
        verified_at=world.now() - timedelta(days=1),
    )

    MailAddress.objects.update(
        address_sealed=secrets.seal("late@one.example", place=MailAddress.place(bare.id))
    )
    record.notify(namespace="demo", kind="paid_out", about="sal_2", now=world.now(), member=bare.id)
    assert [row.channel for row in Notice.objects.filter(kind="paid_out")] == ["mail"]
