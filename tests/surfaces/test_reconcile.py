"""`onym reconcile`: down to zero unknowns, and each planted difference named; exit 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import stripe
from click.testing import CliRunner
from django.db import connection
from tests import world as worlds
from tests.demo.servers import Program
from tests.faults import test_outside, ways

from onym.cli import reconcile
from onym.flows import reconcile as flow
from onym.queries import reconcile as queries
from onym.store.models import Chargeback, Entry, Reconciliation


@pytest.fixture
def world(database: str, settings: Any, tmp_path: Any) -> Any:
    """With a provider of its own: what other tests paid is nobody's here."""
    made = worlds.market(settings)
    clocked = ["--clock-file", str(made.out.plaza.clock)]
    options = ["--settle-seconds", "0.3", "--webhook-secret", worlds.SECRET, *clocked]
    provider = Program("onym_demo.payments", tmp_path / "payments", options).start()
    shared, bank = made.out.provider, made.out.bank
    made.out.provider = provider
    made.out.bank = worlds.bank(provider)
    made.install()
    yield made
    made.out.provider, made.out.bank = shared, bank
    provider.kill()


def lived(world: worlds.World) -> dict[str, str]:
    """A sale paid out, one refunded, one charged back and won, one charged back and open."""
    sales = {}
    for name in ("paid", "won", "open"):
        way = ways.trade(world, price=400, mail=False)
        sales[name] = way.agree()
        way.pay(sales[name])
        world.drain(hurry=True)
        if name == "paid":
            way.accept(sales[name])
    back = ways.cancelled(world)
    sales["refunded"] = back.agree()
    back.pay(sales["refunded"])
    world.drain(hurry=True)
    back.cancel(sales["refunded"])
    world.pass_time(days=1.5)
    for name in ("won", "open"):
        taken = dispute(world, sales[name])
        if name == "won":
            assert world.out.provider.pull(f"/demo/disputes/{taken}/end", outcome="won").ok
    told()
    world.drain(hurry=True)
    world.pass_time(days=1)
    return sales


def dispute(world: worlds.World, sale: str) -> str:
    intent = Entry.objects.get(kind="funded", ref=sale).provider_id
    return str(world.out.provider.pull("/demo/disputes", payment_intent=intent).json()["id"])


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    told = CliRunner().invoke(reconcile.command, ["--json", *arguments], standalone_mode=False)
    assert told.exception is None, told.exception
    return int(told.return_value), json.loads(told.output)


def told() -> str:
    """The same for people."""
    return CliRunner().invoke(reconcile.command, [], standalone_mode=False).output


def test_a_market_that_has_lived_matches_to_the_last_payment(world: worlds.World) -> None:
    lived(world)
    code, report = run()
    assert (code, report["differences"], report["under_way"]) == (0, [], 0)
    kinds = {day["kind"]: (day["theirs"], day["ours"]) for day in report["days"]}
    assert kinds["transfer"] == kinds["refund"] == kinds["reinstated"] == (1, 1)
    counted = [sum(d[side] for d in report["days"]) for side in ("theirs", "ours")]
    assert counted == [report["matched"]] * 2 == [9, 9]
    assert "9 matched, 0 under way, 0 unknown" in told()
    world.audit()


def client(world: worlds.World) -> Any:
    return stripe.StripeClient(
        "sk_test_onym",
        base_addresses={"api": world.out.provider.base},
        http_client=stripe.RequestsClient(timeout=5),
    ).v1


def paid_by_nobody(world: worlds.World, _: dict[str, str]) -> None:
    card = {"confirm": True, "payment_method": "pm_card_visa"}
    client(world).payment_intents.create({"amount": 700, "currency": "usd", **card})


def refunded_by_hand(world: worlds.World, sales: dict[str, str]) -> None:
    """Somebody pressed *refund* on the provider's own pages."""
    intent = Entry.objects.get(kind="funded", ref=sales["paid"]).provider_id
    client(world).refunds.create({"payment_intent": intent, "amount": 100})


def sent_by_hand(world: worlds.World, _: dict[str, str]) -> None:
    asked = {"amount": 50, "currency": "usd", "destination": world.out.bank}
    client(world).transfers.create(asked)


def disputed_untold(world: worlds.World, sales: dict[str, str]) -> None:
    dispute(world, sales["paid"])


def _sql(statement: str, *values: Any) -> None:
    """Past the triggers that forbid it, as a broken restore would."""
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute(statement, values)
        cursor.execute("set session_replication_role = origin")


def invented(world: worlds.World, sales: dict[str, str]) -> None:
    _sql("update store_entry set provider_id = 'tr_invented' where kind = 'paid_out'")


def off_by_one(world: worlds.World, sales: dict[str, str]) -> None:
    _sql(
        "update store_posting p set minor = minor + sign(minor) from store_entry e"
        " where e.id = p.entry_id and e.kind = 'funded' and e.ref = %s",
        sales["paid"],
    )


def of_another_sale(world: worlds.World, sales: dict[str, str]) -> None:
    _sql("update store_entry set ref = 'sal_other' where kind = 'refunded'")


def twice(world: worlds.World, sales: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("alter table store_entry drop constraint if exists one_entry_per_payment")
        cursor.execute("drop index if exists one_entry_per_payment")
        cursor.execute("set session_replication_role = replica")
        cursor.execute(
            "with again as (insert into store_entry (kind, ref, provider_id, at, namespace_id)"
            " select kind, 'sal_again', provider_id, at, namespace_id from store_entry"
            " where kind = 'refunded' returning id)"
            " insert into store_posting (entry_id, account_id, minor, currency)"
            " select again.id, p.account_id, p.minor, p.currency from again, store_posting p"
            " join store_entry e on e.id = p.entry_id"
            " where e.kind = 'refunded' and e.ref <> 'sal_again'"
        )
        cursor.execute("set session_replication_role = origin")


Plant = Callable[[worlds.World, dict[str, str]], None]
PLANTED: list[tuple[Plant, list[tuple[str, str]]]] = [
    (paid_by_nobody, [("not_booked", "charge")]),
    (refunded_by_hand, [("not_booked", "refund")]),
    (sent_by_hand, [("not_booked", "transfer")]),
    (disputed_untold, [("not_booked", "dispute")]),
    (invented, [("not_booked", "transfer"), ("not_there", "transfer")]),
    (off_by_one, [("amount_differs", "charge")]),
    (of_another_sale, [("sale_differs", "refund")]),
    (twice, [("booked_twice", "refund")]),
]


def test_each_planted_difference_is_named_and_the_exit_is_one(world: worlds.World) -> None:
    sales = lived(world)
    known: list[tuple[str, str]] = []
    for plant, found in PLANTED:
        if plant is twice:
            _sql("update store_entry set ref = %s where ref = 'sal_other'", sales["refunded"])
            known.remove(("sale_differs", "refund"))
        plant(world, sales)
        known += found
        code, report = run()
        assert code == 1
        seen = sorted((one["what"], one["kind"]) for one in report["differences"])
        assert seen == sorted(known), plant.__name__


def test_a_chargeback_that_nobody_told_of_is_asked_about_at_once(world: worlds.World) -> None:
    sales = lived(world)
    dispute(world, sales["paid"])
    before = Chargeback.objects.count()
    run()
    world.drain(hurry=True)
    assert Chargeback.objects.count() == before + 1
    assert run()[0] == 0
    world.check(sales["paid"])


def test_a_payment_whose_answer_is_still_asked_for_is_under_way(world: worlds.World) -> None:
    way = ways.trade(world, price=400, mail=False)
    sale = way.agree()
    test_outside.plan(world, "payment_intents.confirm", "lost")
    test_outside.plan(world, "payment_intents.retrieve", "silent", times=50)
    way.pay(sale)
    world.drain()
    world.out.calm()
    code, report = run()
    assert (code, report["under_way"]) == (0, 1)
    world.drain(hurry=True)
    assert run()[1]["matched"] == 1


def test_the_day_is_compared_once_by_a_job_and_its_outcome_kept(world: worlds.World) -> None:
    lived(world)
    Reconciliation.objects.all().delete()
    assert flow.order(namespace="demo")
    world.drain(hurry=True)
    assert not flow.order(namespace="demo")
    kept = queries.last("demo")
    assert kept is not None
    assert (kept.matched, kept.differences) == (9, [])


def test_a_provider_that_does_not_answer_is_no_difference(world: worlds.World) -> None:
    test_outside.plan(world, "*", "silent", times=5)
    told = CliRunner().invoke(reconcile.command, [], standalone_mode=False)
    assert getattr(told.exception, "code", "") == "platform_unavailable"
    assert not Reconciliation.objects.exists()
