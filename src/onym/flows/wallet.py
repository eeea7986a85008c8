"""The wallet's flows: pay a sale from it, take money out of it, choose where proceeds go.

Pay per sale stays the default; without `ONYM_WALLET` none of this is there, but whoever has money
in a wallet may always take it out. docs/concepts/wallet.md.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from onym.core import ledger, people
from onym.core import sale as sales
from onym.core import wallet as core
from onym.core.area import Area
from onym.core.errors import AlreadyClosed, InProgress, NotFound, NotLinked
from onym.core.events import amount as figure
from onym.core.money import Money
from onym.flows import area, hold, payments, record, screening
from onym.flows import ledger as books
from onym.flows import sale as sale_flow
from onym.store import clock, ids, rowlocks
from onym.store.models import (
    BankAccount,
    BookAccount,
    Chargeback,
    Member,
    Payment,
    Payout,
    PayoutAccount,
    Wallet,
)


def is_on(namespace: str) -> bool:
    """Whether members may keep money with this market."""
    return bool(settings.WALLET) and namespace == settings.NAMESPACE


def expect_on(namespace: str) -> None:
    """Refuses `not_found` where there are no wallets."""
    if not is_on(namespace):
        raise NotFound("this market keeps no wallets: each sale is paid for itself")


def expect_there(*, namespace: str, member: str) -> None:
    """The same, unless the member has money in one from before it was switched off."""
    if is_on(namespace):
        return
    mine = BookAccount.objects.filter(member_id=member, balance_minor__gt=0)
    if not mine.exclude(code__endswith=":payable").exists():
        expect_on(namespace)


def is_frozen(member: str) -> bool:
    """Whether a bank decides about a deposit of theirs."""
    return Chargeback.objects.filter(deposit__member_id=member, status="open").exists()


def pay(*, sale_id: str, by: str) -> Payment:
    """Pay a sale's gross from the buyer's wallet: held, posted and funded in one transaction.

    Refuses what a payment refuses, `not_found` where wallets are off, `handle_locked` within 30
    days of a changed address or second factor, and `insufficient_funds`; then nothing is held.
    """
    expect_on(Member.objects.values_list("namespace_id", flat=True).get(pk=by))
    payments.expect_may_pay(sale_id=sale_id, by=by, method=core.METHOD)
    with transaction.atomic():
        sale = rowlocks.sale(sale_id)
        buyer = rowlocks.member(by)
        now = clock.now()
        area.expect(Area.SALES, namespace=sale.namespace_id)
        if sale.payment_set.filter(kind="charge", state__in=sale_flow.OPEN_CHARGE).exists():
            raise InProgress("a payment of this sale is under way")
        sales.pay(sale.snapshot(), by=by, now=now)
        people.expect_settled_security(buyer.snapshot(), now=now)
        gross = sale.money("gross")
        _set_aside(sale.buyer, kind="sale", subject=sale.id, amount=gross, now=now)
        hold.post(member=by, subject=sale.id, now=now)
        payment = sale_flow.payment_row(sale, kind="charge", method=core.METHOD, now=now)
        payment.state, payment.answered_at = sales.PaymentState.PAID, now
        payment.save(update_fields=["state", "answered_at"])
        entry = ledger.funded_from_wallet(sale=sale.id, gross=gross, member=by)
        books.book(entry, namespace=sale.namespace_id, at=now)
        payments.funds_booked(sale, now=now)
        return payment


def _set_aside(member: Member, *, kind: str, subject: str, amount: Money, now: datetime) -> None:
    """Hold `amount` for `subject`: whoever comes second finds what is left."""
    there = rowlocks.wallet(namespace=member.namespace_id, member=member.id)
    core.expect_thawed(is_frozen=is_frozen(member.id))
    core.expect_funds(amount, available=Money(there.get("available", 0), amount.currency))
    _, entry = hold.make(member, kind=kind, subject=subject, amount=amount, now=now)
    books.book(entry, namespace=member.namespace_id, at=now)


def pay_out(*, member: str, amount: Money) -> Payout:
    """Order money out of the wallet, to the member's own account, after the withdrawal delay.

    It is held until it leaves. Refuses `not_found`, `currency_mismatch`, `amount_too_large`,
    `name_needed`, `screening_held`, `screening_stale`, `handle_locked` within 30 days of a changed
    address or second factor, `not_linked` without an account to be paid to, `in_progress` while a
    bank decides about a deposit, `insufficient_funds`.
    """
    who = Member.objects.select_related("namespace").get(pk=member)
    expect_there(namespace=who.namespace_id, member=member)
    amount.expect(who.namespace.currency)
    screening.expect_within(who, amount, what="payout")
    screening.expect_clear(who)
    with transaction.atomic():
        owner = rowlocks.member(member)
        now = clock.now()
        people.expect_settled_security(owner.snapshot(), now=now)
        if not _has_account(member):
            raise NotLinked("set up a payout account first")
        rules = sale_flow.guidelines_of(who.namespace_id, now)
        payout = Payout.objects.create(
            id=ids.new("out"),
            member=who,
            amount_minor=amount.minor,
            currency=amount.currency,
            due_at=now + rules.withdrawal_delay(amount),
        )
        _set_aside(who, kind="payout", subject=payout.id, amount=amount, now=now)
        _tell(who, payout, now=now)
        return payout


def _has_account(member: str) -> bool:
    ready = PayoutAccount.objects.filter(pk=member, ready_at__isnull=False).exclude(account="")
    return ready.exists() or BankAccount.objects.filter(pk=member).exists()


def _tell(who: Member, payout: Payout, *, now: datetime) -> None:
    """Its owner hears of it before it leaves, and may stop it until then."""
    record.notify(
        namespace=who.namespace_id,
        kind="wallet_payout",
        about=payout.id,
        member=who.id,
        now=now,
        facts={"wallet": payout.id, "amount": figure(payout.amount)},
    )


def stop(*, payout_id: str, by: str) -> Payout:
    """Its member stops a payout that has not left: the money may be used again.

    Refuses `not_found` to anybody else, `already_closed` once the provider may have been asked.
    """
    if not Payout.objects.filter(pk=payout_id, member_id=by, sale=None).exists():
        raise NotFound("no such payout")
    with transaction.atomic():
        payout = rowlocks.payout(payout_id)
        now = clock.now()
        if payout.state != sales.PayoutState.DUE:
            raise AlreadyClosed(f"the payout is {payout.state}", state=payout.state)
        withhold(payout, why="stopped", now=now)
        return payout


def withhold(payout: Payout, *, why: str, now: datetime) -> None:
    """A payout from a wallet that was never asked for ends, and what was held is there again."""
    payout.state, payout.reason, payout.answered_at = sales.PayoutState.WITHHELD, why, now
    payout.save(update_fields=["state", "reason", "answered_at"])
    entry = hold.void(member=payout.member_id, subject=payout.id, now=now)
    books.book(entry, namespace=payout.place, at=now)


def choose(*, member: str, takes_proceeds: bool) -> Wallet:
    """Whether proceeds go to the wallet from now on. Refuses `not_found` where wallets are off."""
    with transaction.atomic():
        who = rowlocks.member(member)
        now = clock.now()
        if takes_proceeds:
            expect_on(who.namespace_id)
        fields = {"takes_proceeds": takes_proceeds, "set_at": now}
        return Wallet.objects.update_or_create(member=who, defaults=fields)[0]
