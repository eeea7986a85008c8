"""A displaced holder's share: in suspense until a linked member claims it after the appeal time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from tests import make
from tests.flows.test_sale import balance, paid, step
from tests.surfaces.test_bank import browser
from tests.surfaces.test_desk import text_of

from onym import ports
from onym.core import fees
from onym.core.errors import AlreadyClosed, Malformed, NotAllowed, NotFound
from onym.core.money import Money
from onym.core.sale import Kind, State
from onym.core.transfer import Look
from onym.core.transfer import State as TransferState
from onym.flows import record, settlement, share, transfer
from onym.flows import sale as flow
from onym.flows import term as terms
from onym.queries import audit, ground
from onym.queries import notice as notices
from onym.queries import share as queries
from onym.store import clock, rowlocks
from onym.store.models import (
    Document,
    Member,
    Notice,
    Payout,
    Sale,
)
from onym.store.share import DisplacedShare

pytestmark = pytest.mark.usefixtures("database")
DAYS_180 = 180 * 86_400


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    made = make.namespace()
    row = Document.objects.get(kind="fees")
    row.text = row.text.replace("[currency.USD]", '[currency.USD]\ndisplaced = "10"', 1)
    row.save()
    yield made
    ports.clear()


def sold(place: Any) -> Sale:
    """@moon is taken from acc-moon and sold by the house at 900.00, delivered, not settled."""
    make.handle(place, "moon", state="released", account_id="acc-moon")
    buyer = make.member(place, account="acc-nadia")
    with transaction.atomic():
        row = rowlocks.handle(namespace="demo", handle="moon")
        made = flow.agree(
            row=row,
            kind=Kind.PRIMARY,
            mechanism="listing",
            by="lst_1",
            buyer=buyer,
            seller=Member.objects.get(is_house=True),
            price=make.usd(900),
            now=clock.now(),
        )
    paid(made)
    order = made.transfer_set.get()
    verdict = transfer.look(
        transfer_id=order.id, holder="acc-moon", last_seen=None, vacated="nadia"
    )
    assert verdict is Look.GO
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    assert transfer.record_read_back(transfer_id=order.id, holder="acc-nadia")
    return Sale.objects.get(pk=made.id)


def clean() -> None:
    broken = [str(c) for c in audit.look() if c.verdict is audit.Verdict.VIOLATED]
    assert not broken, broken


def test_a_share_of_a_primary_sale_lies_in_suspense_and_is_paid_to_its_holder(place: Any) -> None:
    made = sold(place)
    assert (made.share_minor, made.proceeds_minor, made.gross_minor) == (9_000, 81_000, 90_000)
    flow.accept(sale_id=made.id, by=made.buyer_id)
    row = DisplacedShare.objects.get()
    assert (row.account_id, row.minor) == ("acc-moon", 9_000)
    assert (balance("suspense"), balance("revenue:primary")) == (9_000, 81_000)
    (shown,) = queries.unclaimed(ground.of("demo"))
    assert (shown["account"], shown["amount"], shown["may"]) == ("acc-moon", make.usd(90), False)
    assert Notice.objects.get(kind="share_waits").account_id == "acc-moon"
    clean()
    holder, other = make.member(place, account="acc-moon"), make.member(place, account="acc-o")
    with pytest.raises(NotFound):
        share.claim(sale_id=made.id, by=other.id)
    with pytest.raises(NotAllowed):
        share.claim(sale_id=made.id, by=holder.id)
    step(DAYS_180)
    payout = share.claim(sale_id=made.id, by=holder.id)
    assert (payout.amount_minor, payout.member_id) == (9_000, holder.id)
    with pytest.raises(AlreadyClosed):
        share.claim(sale_id=made.id, by=holder.id)
    assert (balance("suspense"), balance(f"member:{holder.id}:payable")) == (0, 9_000)
    assert Payout.objects.count() == 1
    clean()


def test_who_is_handed_the_account_whole_has_neither_its_share_nor_its_notices(place: Any) -> None:
    made = sold(place)
    holder, other = make.member(place, account="acc-moon"), make.member(place)
    flow.accept(sale_id=made.id, by=made.buyer_id)
    step(DAYS_180)
    handed(made, to=other)
    assert not notices.mine(other.id, namespace="demo")
    assert not queries.waiting(ground.of("demo"), member=other.id)
    with pytest.raises(NotFound):
        share.claim(sale_id=made.id, by=other.id)
    (shown,) = queries.waiting(ground.of("demo"), member=holder.id)
    assert shown["sale"] == made.id
    assert share.claim(sale_id=made.id, by=holder.id).member_id == holder.id
    record.notify(
        namespace="demo", kind="handle_kept", about="x", now=clock.now(), account_id="acc-moon"
    )
    assert [one.kind for one in notices.mine(other.id, namespace="demo")] == ["handle_kept"]


def handed(made: Sale, *, to: Member) -> None:
    """@acc-moon, with another handle by now, was sold whole to a member."""
    row, now = make.handle(made.namespace, "tide", account_id="acc-moon"), clock.now()
    order = make.copy(
        made.transfer_set.get(), id="trf_whole", handle_id=row.pk, sale_id=None, to="acc-moon",
        hands_to_id=to.id, read_back_account_id="acc-moon", read_back_at=now,
    )  # fmt: skip
    with transaction.atomic():
        terms.hand(order, now=now)


def test_sales_settled_together_set_their_shares_aside_too(place: Any) -> None:
    made = sold(place)
    step(48 * 3600)
    assert settlement.inspected_all(sale_ids=[made.id]) == 1
    assert (DisplacedShare.objects.get().sale_id, balance("suspense")) == (made.id, 9_000)
    clean()


def test_an_appeal_takes_the_place_of_the_share(place: Any) -> None:
    made = sold(place)
    flow.accept(sale_id=made.id, by=made.buyer_id)
    Sale.objects.filter(pk=made.id).update(state=State.REFUNDED)
    step(DAYS_180)
    holder = make.member(place, account="acc-moon")
    with pytest.raises(AlreadyClosed):
        share.claim(sale_id=made.id, by=holder.id)


def test_a_trade_and_a_handle_of_nobody_share_nothing(place: Any) -> None:
    make.handle(place, "star", state="released", account_id=None)
    buyer = make.member(place, account="acc-nadia")
    with transaction.atomic():
        row = rowlocks.handle(namespace="demo", handle="star")
        made = flow.agree(
            row=row,
            kind=Kind.PRIMARY,
            mechanism="listing",
            by="lst_1",
            buyer=buyer,
            seller=Member.objects.get(is_house=True),
            price=make.usd(900),
            now=clock.now(),
        )
    assert made.share_minor == 0


def test_the_holder_sees_and_claims_it_and_the_desk_sees_what_waits(place: Any) -> None:
    made = sold(place)
    flow.accept(sale_id=made.id, by=made.buyer_id)
    client = browser(place, "olga", "acc-moon")
    assert "claim it from" in text_of(client, "/en/me/statement")
    step(DAYS_180)
    assert "Claim it" in text_of(client, "/en/me/statement")
    answer = client.post(f"/en/me/shares/{made.id}", {"key": "one-key-for-it"})
    assert answer["Location"] == "/en/me/statement"
    assert DisplacedShare.objects.get().claimed_at is not None
    assert "Claim it" not in text_of(client, "/en/me/statement")


def test_a_share_is_per_cent_in_the_fees_rounded_down_and_published() -> None:
    text = (
        'id = "h"\nversion = 1\neffective_from = 2026-01-01\npayer = "buyer"\n[currency.USD]\n'
        'displaced = "2.5"\nbands = [{ percent = "5" }]\n'
    )
    schedule = fees.Schedule.from_toml(text, currency="USD")
    assert schedule.displaced(Money(1_039, "USD")) == Money(25, "USD")
    for wrong in ('"101"', '"-1"', "2.5", '"x"'):
        with pytest.raises(Malformed):
            fees.Schedule.from_toml(text.replace('"2.5"', wrong), currency="USD")


REFUSED: dict[str, dict[str, Any]] = {
    "share_positive": {"minor": 0},
    "share_claimed_by_somebody": {"claimed_at": make.NOW},
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(place: Any, name: str) -> None:
    made = sold(place)
    flow.accept(sale_id=made.id, by=made.buyer_id)
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        DisplacedShare.objects.update(**REFUSED[name])
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's
    assert {c.name for c in DisplacedShare._meta.constraints} == set(REFUSED)


def test_tax_and_share_are_whole_steps_where_amounts_are_moved_in_steps() -> None:
    text = (
        'id = "h"\nversion = 1\neffective_from = 2026-01-01\npayer = "buyer"\n[currency.KWD]\n'
        'displaced = "2.5"\nstep = "0.010"\nbands = [{ percent = "5" }]\n'
    )
    schedule = fees.Schedule.from_toml(text, currency="KWD")
    assert schedule.displaced(Money(10_390, "KWD")) == Money(250, "KWD")
    assert [schedule.stepped(minor) for minor in (0, 4, 5, 14, 15, 20)] == [0, 0, 10, 10, 20, 20]
