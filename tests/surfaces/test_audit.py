"""The audit is silent on a true market and catches each invariant broken behind the code's back."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import connection, transaction
from tests import make

from onym.cli.audit import command
from onym.core.sale import PaymentState, PayoutState
from onym.core.transfer import State as TransferState
from onym.flows import (
    clock,
    deposit,
    ledger,
    listing,
    log,
    offer,
    payments,
    people,
    sale,
    transfer,
    wallet,
)
from onym.queries import audit, audit_ledger
from onym.queries.audit import Verdict
from onym.store import clock as store_clock
from onym.store.models import Offer, Payout, Sale

OFF = "set local session_replication_role = replica; "
"""Triggers and foreign keys do not fire for what follows."""


@pytest.fixture
def place(database: str, settings: Any, tmp_path: Path) -> Any:
    settings.DEMO = settings.WALLET = True
    settings.NAMESPACE = "demo"
    settings.DATA = tmp_path
    return make.namespace()


@pytest.fixture
def market(place: Any) -> Sale:
    """A settled and paid-out trade, one refunded, one in escrow, an open listing, offers; a wallet
    that a sale was paid from and that payouts are held, stopped and posted of."""
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    make.member(place, account="acc-nadia", mail="buyer@two.example", id="mbr_buyer")
    for name in ("moon", "sun", "star", "tide"):
        make.handle(place, name, account_id="acc-moon")
    done = traded(place, "moon", seller.id)
    sale.accept(sale_id=done.id, by="mbr_buyer")
    clock.set_ahead(to=done.agreed_at + timedelta(days=2))
    payout = Payout.objects.get(sale=done)
    ledger.record_payout(
        payout_id=payout.id, state=PayoutState.DONE, provider="stripe", provider_id="tr_1"
    )
    given_back(paid(place, "sun", seller.id, price=600), seller.id)
    paid(place, "star", seller.id)
    listing.open_(namespace=place.id, handle="tide", seller=seller.id, price=make.usd(9))
    offered = offer.make(namespace=place.id, handle="tide", buyer="mbr_buyer", price=make.usd(8))
    offer.decline(offer_id=offered.id, by=seller.id)
    wallets(place, seller.id)
    make.member(place, id="mbr_team")
    people.grant(member="mbr_team", role="curator")
    for name in ("lake", "pond"):
        make.handle(place, name, state="released", account_id=None)
        listing.open_house(namespace=place.id, handle=name, by="mbr_team", price=make.usd(7))
    log.integrate()
    return Sale.objects.get(pk=done.id)


def wallets(place: Any, seller: str) -> None:
    """Money comes in; a sale is paid from it; one payout waits, one was stopped, one has left."""
    made = deposit.begin(member="mbr_buyer", amount=make.usd(100), method="pm_card_visa")
    deposit.record_charge(
        deposit_id=made.id, state=PaymentState.PAID, provider="stripe", provider_id="pi_deposit"
    )
    make.handle(place, "dune", account_id="acc-moon")
    listed = listing.open_(namespace=place.id, handle="dune", seller=seller, price=make.usd(20))
    wallet.pay(sale_id=listing.buy(listing_id=listed.id, buyer="mbr_buyer").id, by="mbr_buyer")
    outs = [wallet.pay_out(member="mbr_buyer", amount=make.usd(n)) for n in (5, 6, 7)]
    wallet.stop(payout_id=outs[1].id, by="mbr_buyer")
    clock.set_ahead(to=max(outs[2].due_at, store_clock.now()))
    ledger.record_payout(
        payout_id=outs[2].id, state=PayoutState.DONE, provider="stripe", provider_id="tr_wallet"
    )


def paid(place: Any, name: str, seller: str, price: float = 400) -> Sale:
    listed = listing.open_(namespace=place.id, handle=name, seller=seller, price=make.usd(price))
    made = listing.buy(listing_id=listed.id, buyer="mbr_buyer")
    payment = payments.pay(sale_id=made.id, by="mbr_buyer", method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id,
        state=PaymentState.PAID,
        provider="stripe",
        provider_id=f"pi_{payment.id}",
    )
    return Sale.objects.get(pk=made.id)


def traded(place: Any, name: str, seller: str) -> Sale:
    made = paid(place, name, seller)
    order = made.transfer_set.get()
    transfer.look(transfer_id=order.id, holder="acc-moon", last_seen=None, vacated=None)
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    transfer.record_read_back(transfer_id=order.id, holder="acc-nadia")
    return made


def given_back(made: Sale, by: str) -> None:
    sale.cancel(sale_id=made.id, by=by)
    refund = made.payment_set.get(kind="refund")
    payments.record_refund(
        payment_id=refund.id,
        state=PaymentState.DONE,
        provider="stripe",
        provider_id=f"re_{refund.id}",
    )


def violated() -> dict[str, str]:
    return {c.id: c.first for c in audit.run() if c.verdict is Verdict.VIOLATED}


def test_a_true_market_is_clean_and_says_what_has_no_subject_yet(market: Sale) -> None:
    assert violated() == {}
    silent = {c.id for c in audit.run() if c.verdict is Verdict.NO_SUBJECT}
    assert silent == {"H7", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "D1"}
    assert [c.id for c in audit.run()] == audit.ORDER


ESCROW = (
    "(select s.id from store_sale s join store_handle h on h.id = s.handle_id"
    " where h.handle = 'star')"
)
SETTLED = "(select id from store_sale where state = 'settled')"
REFUNDED = "(select id from store_sale where state = 'refunded')"
STAR = "(select id from store_handle where handle = 'star')"
TIDE = "(select id from store_handle where handle = 'tide')"
MOON = "(select id from store_handle where handle = 'moon')"
ONE = "(select min(id) from store_posting)"
LAST_LEAF = "(select max(leaf_index) from store_event)"
FIRST_PRICE = "(select min(seq) from store_event where type = 'PriceSet')"
NEW_EVENT = (
    "insert into store_event (namespace_id, type, ref, at, entry) "
    "select namespace_id, '{type}', '{ref}', {at}, {entry} from store_event limit 1"
)

BREAKS: list[tuple[str, str]] = [
    ("L1", f"update store_posting set minor = minor + 1 where id = {ONE}"),
    ("L1", f"update store_posting set currency = 'EUR' where id = {ONE}"),
    ("L2", f"update store_posting set minor = minor + 1 where id = {ONE}"),
    ("L3", "drop trigger posting_immutable on store_posting"),
    ("L3", "alter table store_posting disable trigger entry_sums_to_zero"),
    ("L3", "delete from store_posting where entry_id = (select min(id) from store_entry)"),
    ("L4", "update store_bookaccount set balance_minor = 7 where member_id is not null"),
    ("L5", "drop trigger hold_ends_once on store_hold"),
    ("L5", "update store_hold set amount_minor = amount_minor + 1 where state = 'held'"),
    ("L5", "update store_hold set state = 'voided', ended_at = now() where state = 'held'"),
    ("L5", "update store_hold set state = 'held', ended_at = null where state = 'voided'"),
    (
        "L5",
        "alter table store_hold drop constraint hold_posted_within;"
        " update store_hold set posted_minor = amount_minor + 1 where state = 'posted'",
    ),
    ("L5", "update store_hold set subject = 'sal_other' where state = 'posted'"),
    ("L5", "delete from store_hold where state = 'posted'"),
    ("L4", "update store_bookaccount set balance_minor = 0 where code like '%:held'"),
    (
        "L6",
        "delete from store_posting where minor > 0 and account_id in"
        " (select id from store_bookaccount where member_id is not null)",
    ),
    (
        "L7",
        "insert into store_idempotentrequest (member_id, route, key, payload_sha256, made_at)"
        " values ('mbr_buyer', 'r', 'k', '', now())",
    ),
    (
        "L7",
        "alter table store_idempotentrequest drop constraint one_request;"
        " insert into store_idempotentrequest"
        " (member_id, route, key, payload_sha256, made_at, status)"
        " select 'mbr_buyer', 'r', 'k', '', now(), 200 from generate_series(1, 2)",
    ),
    (
        "L8",
        "alter table store_sale drop constraint gross_adds_up;"
        f" update store_sale set fee_minor = 5 where id = {ESCROW}",
    ),
    (
        "L8",
        "update store_sale set commission_minor = commission_minor - 1,"
        f" proceeds_minor = proceeds_minor + 1 where id = {SETTLED}",
    ),
    ("L9", f"update store_payment set state = 'declined' where sale_id = {ESCROW}"),
    ("L9", f"update store_payment set state = 'pending' where sale_id = {REFUNDED}"),
    ("L9", f"delete from store_payout where sale_id = {SETTLED}"),
    ("L10", "update store_payment set provider_id = 'pi_other' where kind = 'charge'"),
    ("L9", "update store_payment set method = 'wallet' where method <> 'wallet'"),
    ("L9", "update store_payout set state = 'kept' where sale_id is not null"),
    (
        "L9",
        "insert into store_recovery (id, chargeback_id, minor, currency, at)"
        " values ('rcv_1', 'cbk_none', 5, 'USD', now())",
    ),
    (
        "L9",
        "insert into store_chargeback (id, sale_id, provider, provider_id, status, source,"
        " amount_minor, currency, reason, opened_at)"
        " values ('cbk_1', 'sal_none', 'x', 'dp_1', 'lost', 'receivable', 5, 'USD', '', now())",
    ),
    ("L9", "update store_payout set recovered_minor = 1 where sale_id is not null"),
    (
        "L9",
        "insert into store_bounce (id, payout_id, line_id, provider_id, booked_as, minor, currency,"
        " at) values ('bnc_1', 'out_none', 'bln_none', 'x', 'out_none', 5, 'USD', now())",
    ),
    ("L10", "update store_payout set bounces = 1 where state = 'done'"),
    ("L10", "delete from store_entry where kind = 'paid_out'"),
    ("L10", "update store_deposit set amount_minor = amount_minor + 1"),
    ("L10", "update store_deposit set state = 'declined'"),
    ("L10", "delete from store_entry where kind = 'deposited'"),
    ("L10", "update store_payout set amount_minor = amount_minor + 1"),
    ("H1", f"delete from store_tenure where handle_id = {TIDE}"),
    ("H1", f"update store_handle set account_id = 'acc-thief' where id = {TIDE}"),
    (
        "H1",
        "drop index one_open_tenure; alter table store_tenure drop constraint"
        " tenures_do_not_overlap; insert into store_tenure"
        f" (handle_id, account_id, held_from, cause) values ({TIDE}, 'acc-moon', now(), 'granted')",
    ),
    ("H2", f"delete from store_saleslot where handle_id = {STAR}"),
    ("H2", f"update store_saleslot set ref = 'lst_other' where handle_id = {TIDE}"),
    (
        "H2",
        "insert into store_saleslot (handle_id, kind, ref, filled_at) values"
        f" ({MOON}, 'sale', {SETTLED}, now())",
    ),
    ("H3", f"update store_tenure set cause = '' where handle_id = {TIDE}"),
    (
        "H3",
        "update store_tenure set held_to = held_to - interval '1 second'"
        f" where handle_id = {MOON} and held_to is not null",
    ),
    ("H3", f"update store_transfer set sale_id = null where handle_id = {MOON}"),
    (
        "H4",
        "alter table store_sale drop constraint settled_was_read_back;"
        f" update store_sale set read_back_account_id = 'acc-moon' where id = {SETTLED}",
    ),
    ("H4", f"update store_sale set read_back_account_id = 'acc-nadia' where id = {REFUNDED}"),
    ("H4", f"update store_payout set sale_id = {ESCROW} where sale_id is not null"),
    ("H4", f"update store_transfer set read_back_account_id = null where sale_id = {SETTLED}"),
    ("H5", f"update store_handle set fence = 0 where id = {MOON}"),
    ("H5", "update store_transfer set expected_holder = 'acc-other'"),
    (
        "H5",
        "alter table store_transfer drop constraint one_transfer_per_fence;"
        " update store_transfer set handle_id = " + STAR,
    ),
    ("H6", f"update store_handle set locked_by = null where id = {STAR}"),
    ("H6", f"update store_handle set locked_by = {SETTLED} where id = {MOON}"),
    ("H6", f"update store_transfer set sale_id = null where sale_id = {ESCROW}"),
    ("H8", f"update store_offer set state = 'open', handle_id = {MOON}"),
    ("H8", "update store_listing set seller_id = 'mbr_buyer' where state = 'open'"),
    ("O1", "update store_offer set state = 'accepted'"),
    ("O1", f"update store_sale set mechanism = 'offer' where id = {ESCROW}"),
    ("T1", "update store_event set entry = entry || 'x'::bytea where leaf_index = 0"),
    ("T2", "delete from store_event where type = 'SaleFunded'"),
    ("T2", f"delete from store_event where type = 'PriceSet' and seq > {FIRST_PRICE}"),
    ("T2", "delete from store_staffrole"),
    (
        "T2",
        "insert into store_event (namespace_id, type, ref, at, entry) select namespace_id, type,"
        " ref, at, entry from store_event where type = 'SaleSettled'",
    ),
    (
        "H7",
        NEW_EVENT.format(
            type="ProtectedListChanged",
            ref="prt_1",
            at="at",
            entry='convert_to(\'{"body": {"approval": "apr_none"}}\', \'UTF8\')',
        ),
    ),
    (
        "H9",
        "insert into store_plan (id, namespace_id, policy_name, policy_version, path, as_of,"
        " periods, stages, adopted_at) values ('pln_1', 'demo', 'p', 1, '', now(), '{}', '[]',"
        " now()); insert into store_reclaim (handle_id, plan_id, bucket, account_id, verdict,"
        " reasons, written, turn, ended_at, ending) select handle_id, 'pln_1', 1, 'acc-moon',"
        " 'reclaim', '{}', 'held', 0, funded_at - interval '1 microsecond', 'returned'"
        f" from store_sale where id = {SETTLED}; update store_sale set kind = 'primary',"
        f" agreed_at = agreed_at - interval '1 hour' where id = {SETTLED}",
    ),
    ("T3", f"update store_handle set account_id = 'acc-thief' where id = {MOON}"),
    ("T4", NEW_EVENT.format(type="SaleFunded", ref="s", at="at", entry="'{}'::bytea")),
    ("T5", f"update store_event set leaf_index = leaf_index + 9 where leaf_index = {LAST_LEAF}"),
    ("T5", "update store_event set entry = entry || 'x'::bytea where leaf_index = 0"),
    (
        "T6",
        "update store_event set leaf_index = null, written_at = written_at - interval '61 seconds'"
        f" where leaf_index = {LAST_LEAF}",
    ),
    (
        "Q1",
        "drop index one_open_charge_per_sale; update store_payment set kind = 'charge',"
        " state = 'paid' where kind = 'refund'",
    ),
    ("Q1", "update procrastinate_jobs set status = 'failed'"),
    (
        "Q2",
        "update store_notice set state = 'sent', answered_at = now() where channel = 'mail';"
        " insert into store_suppression (namespace_id, address_index, reason, at)"
        " select distinct namespace_id, address_index, 'erased', now() - interval '1 day'"
        " from store_notice where channel = 'mail'",
    ),
    ("Q3", "update store_payout set due_at = due_at + interval '9 days'"),
    ("Q3", "update store_sale set funding_until = agreed_at - interval '9 days'"),
    ("Q3", "update store_offer set state = 'expired', expires_at = closed_at + interval '1 day'"),
]


def caught(statements: str) -> dict[str, str]:
    """What the audit says once `statements` have run; nothing of them stays."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(OFF + statements)
        found = {c.id: c.first for c in audit.look() if c.verdict is Verdict.VIOLATED}
        transaction.set_rollback(True)
    return found


def test_each_broken_promise_is_caught_by_its_name(market: Sale) -> None:
    missed = [(id_, how) for id_, how in BREAKS if id_ not in caught(how)]
    assert missed == []
    assert violated() == {}


def test_offers_to_the_last_holder_end_when_the_handle_changes_hands(place: Any) -> None:
    seller = make.member(place, account="acc-moon")
    make.member(place, account="acc-nadia", id="mbr_buyer")
    third = make.member(place, account="acc-third")
    make.handle(place, "moon", account_id="acc-moon")
    made = offer.make(namespace=place.id, handle="moon", buyer=third.id, price=make.usd(50))
    traded(place, "moon", seller.id)
    assert Offer.objects.get(pk=made.id).state == "expired"
    assert violated() == {}


def test_every_invariant_with_a_subject_is_broken_above() -> None:
    assert {id_ for id_, _ in BREAKS} == set(audit.ORDER) - set(audit.NO_SUBJECT) | {"H7", "L5"}


def test_the_command_gives_a_line_each_and_fails_on_a_violation(market: Sale) -> None:
    clean = CliRunner().invoke(command, [], standalone_mode=False)
    assert clean.return_value == 0
    assert clean.output.splitlines()[0] == "L1 ok: " + audit_ledger.CHECKS[0][1]
    with connection.cursor() as cursor:
        cursor.execute("update store_bookaccount set balance_minor = 7 where code ~ ':payable$'")
    told = CliRunner().invoke(command, [], standalone_mode=False)
    assert told.return_value == 1
    assert f"L4 VIOLATED 1 rows, first: member:{market.seller_id}:payable: 7" in told.output
    checks = json.loads(CliRunner().invoke(command, ["--json"], standalone_mode=False).output)
    assert {c["id"] for c in checks["checks"] if c["verdict"] == "violated"} == {"L4"}
