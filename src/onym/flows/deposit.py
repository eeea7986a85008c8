"""Deposits: a member brings money into the wallet, by card or transfer; docs/concepts/wallet.md.

The provider is only ever asked by a job; what it said is recorded here, each answer once.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from onym import ports
from onym.core import bank, checkout, ledger, people
from onym.core import chargeback as chargebacks
from onym.core import wallet as core
from onym.core.errors import AlreadyClosed, AmountTooLarge, Malformed, NotFound
from onym.core.money import Money
from onym.core.sale import PaymentState
from onym.flows import checkout as pages
from onym.flows import ledger as books
from onym.flows import payments, record, screening, wallet
from onym.flows import sale as sale_flow
from onym.ports.payments import Chargeback as Told
from onym.store import clock, ids, rowlocks
from onym.store.models import (
    BankLine,
    BookAccount,
    Chargeback,
    Deposit,
    Member,
    WalletReference,
)

OPEN = (PaymentState.PENDING, PaymentState.UNKNOWN, PaymentState.ACTION)
LONGEST_METHOD = 60


def begin(*, member: str, amount: Money, method: str) -> Deposit:
    """Order one charge of `amount` at the provider, for the member's wallet; with the method
    `checkout` its own page, where the member enters a card.

    Refuses `not_found` where wallets are off, `malformed`, `staff_may_not`, `not_linked`,
    `currency_mismatch`, `amount_too_large` (above the limit of a card, of a deposit, or of what may
    lie in a wallet), `name_needed`, `screening_held`, `screening_stale`, and `in_progress` while
    a bank decides about an earlier one.
    """
    who = Member.objects.select_related("namespace").get(pk=member)
    wallet.expect_on(who.namespace_id)
    if not method or len(method) > LONGEST_METHOD or method in (core.METHOD, bank.METHOD):
        raise Malformed("payment_method is missing")
    if method == checkout.METHOD:
        pages.expect_offered()
    people.buying_account(who.snapshot())
    amount.expect(who.namespace.currency)
    screening.expect_within(who, amount, what="card")
    screening.expect_within(who, amount, what="deposit")
    screening.expect_clear(who)
    with transaction.atomic():
        rowlocks.member(member)
        now = clock.now()
        _expect_room(who, amount)
        core.expect_thawed(is_frozen=wallet.is_frozen(member))
        rules = sale_flow.guidelines_of(who.namespace_id, now)
        row = Deposit.objects.create(
            id=ids.new("dep"),
            namespace_id=who.namespace_id,
            member=who,
            method=method,
            amount_minor=amount.minor,
            currency=amount.currency,
            made_at=now,
            gives_up_at=_until(method, rules.periods["payment_hours"], now=now),
        )
        record.defer("deposit.charge", lock=row.id, deposit_id=row.id)
        return row


def _until(method: str, hours: timedelta, *, now: datetime) -> datetime:
    if method == checkout.METHOD:
        return checkout.until(funding_until=now + hours, now=now)
    return now + hours


def _expect_room(who: Member, amount: Money) -> None:
    """Refuses `amount_too_large` above what may lie in the wallet of a locked member."""
    screening.expect_within(who, _there(who, amount.currency) + amount, what="balance")


def _there(who: Member, currency: str) -> Money:
    """What lies in the wallet, held or not, and what is on its way in; a page that nobody has
    agreed on is not: it may have been left for good.
    """
    books_ = BookAccount.objects.filter(member=who, currency=currency)
    lies = books_.exclude(code__endswith=":payable").aggregate(minor=Sum("balance_minor"))
    open_ = Deposit.objects.filter(member=who, currency=currency, state__in=OPEN)
    sure = open_.exclude(method=checkout.METHOD, agreed_at=None)
    comes = sure.aggregate(minor=Sum("amount_minor"))
    return Money((lies["minor"] or 0) + (comes["minor"] or 0), currency)


def take(*, deposit_id: str) -> bool:
    """Whether what the member agreed to on the provider's page is taken: the deposit waits for it,
    and there is room for it in the wallet; from then on it counts. Refuses `screening_stale`.
    """
    member = Deposit.objects.values_list("member_id", flat=True).get(pk=deposit_id)
    with transaction.atomic():
        who = rowlocks.member(member)
        row = rowlocks.deposit(deposit_id)
        if row.state not in OPEN or row.agreed_at is not None:
            return row.state in OPEN
        try:
            _expect_room(who, row.amount)
        except AmountTooLarge:
            return False
        row.agreed_at = clock.now()
        row.save(update_fields=["agreed_at"])
        return True


def by_transfer(*, member: str) -> WalletReference:
    """The reference under which the member's transfers are put into the wallet, of any amount.

    Refuses `not_found` where wallets are off, `malformed` where no bank account is set up,
    `staff_may_not`, `not_linked`, `name_needed`, `screening_held`, `screening_stale`.
    """
    who = Member.objects.get(pk=member)
    wallet.expect_on(who.namespace_id)
    if ports.bank(who.namespace_id) is None:
        raise Malformed("this market takes no bank transfers")
    people.buying_account(who.snapshot())
    screening.expect_clear(who)
    with transaction.atomic():
        rowlocks.member(member)
        defaults = {"reference": bank.reference(member), "made_at": clock.now()}
        return WalletReference.objects.get_or_create(member=who, defaults=defaults)[0]


def put_in(line: BankLine, *, member: str, now: datetime) -> Deposit:
    """All that is left of a locked arrival goes into the wallet, within the limits of a transfer;
    the payer's name is compared with the list, too.

    Refuses `not_found`, `staff_may_not`, `not_linked`, `in_progress`, `amount_too_large`,
    `name_needed`, `screening_held`, `screening_stale`; then nothing of it is booked.
    """
    who = rowlocks.member(member)
    wallet.expect_on(who.namespace_id)
    people.buying_account(who.snapshot())
    core.expect_thawed(is_frozen=wallet.is_frozen(member))
    screening.expect_within(who, line.rest, what=bank.METHOD)
    screening.expect_within(who, line.rest, what="deposit")
    _expect_room(who, line.rest)
    screening.look(who, also=line.opened("name"))
    screening.expect_clear(who)
    row = Deposit.objects.create(
        id=ids.new("dep"),
        namespace_id=who.namespace_id,
        member=who,
        state=PaymentState.PAID,
        method=bank.METHOD,
        amount_minor=line.rest_minor,
        currency=line.currency,
        made_at=now,
        gives_up_at=now,
        answered_at=now,
    )
    entry = ledger.deposited(
        deposit=row.id,
        amount=row.amount,
        member=member,
        out_of=ledger.SUSPENSE,
        provider_id=None,
    )
    books.book(entry, namespace=row.namespace_id, at=now)
    line.rest_minor, line.outcome, line.deposit = 0, bank.Arrival.WALLET, row
    line.save(update_fields=["rest_minor", "outcome", "deposit"])
    return row


def record_charge(
    *,
    deposit_id: str,
    state: PaymentState,
    provider: str,
    provider_id: str | None,
    reason: str = "",
    action_url: str = "",
    checkout_id: str = "",
) -> None:
    """What the provider said of a deposit. A known outcome is never overwritten.

    `action_url` is where the member must go, to the bank or to the provider's page `checkout_id`.
    """
    with transaction.atomic():
        row = rowlocks.deposit(deposit_id)
        now = clock.now()
        if row.state not in OPEN or _is_silence(row, state, reason):
            return
        row.state, row.reason, row.answered_at = state, reason[:80], now
        row.provider_id = provider_id or row.provider_id
        row.action_url = action_url
        row.checkout_id = checkout_id or row.checkout_id
        row.save()
        if state is PaymentState.PAID:
            entry = ledger.deposited(
                deposit=row.id,
                amount=row.amount,
                member=row.member_id,
                out_of=ledger.world(provider),
                provider_id=row.provider_id or row.id,
            )
            books.book(entry, namespace=row.namespace_id, at=now)


def _is_silence(row: Deposit, state: PaymentState, reason: str) -> bool:
    """Whether the member still has to confirm, as far as anybody knows."""
    waits = row.state == PaymentState.ACTION and state is PaymentState.UNKNOWN
    return waits and reason not in payments.UNDER_WAY


def over(*, deposit_id: str) -> None:
    """The time to confirm is over: have it made final, whichever way it went. Else nothing."""
    with transaction.atomic():
        row = rowlocks.deposit(deposit_id)
        if row.state in OPEN and clock.now() >= row.gives_up_at:
            _give_up(row)


def give_up(*, deposit_id: str, by: str) -> Deposit:
    """Its member gives up a deposit that waits for a word elsewhere. Refuses `not_found` to others,
    `already_closed` for one that does not wait.
    """
    with transaction.atomic():
        row = rowlocks.deposit(deposit_id)
        if row.member_id != by:
            raise NotFound("no such deposit")
        if row.state != PaymentState.ACTION:
            raise AlreadyClosed(f"the deposit is {row.state}", state=row.state)
        _give_up(row)
        return row


def _give_up(row: Deposit) -> None:
    record.hasten("deposit.give_up", lock=end(row.id), deposit_id=row.id)


def end(deposit: str) -> str:
    """The lock of whoever gives a deposit up: it does not wait for the next time of asking."""
    return f"{deposit}:end"


def look_again(*, by: str) -> None:
    """A member comes back from the bank: ask what became of what waits for it."""
    with transaction.atomic():
        waiting = Deposit.objects.filter(member_id=by, state__in=OPEN).order_by("id")
        for id_ in waiting.values_list("id", flat=True):
            ask_soon(id_)


def ask_soon(deposit: str) -> None:
    """One more question beside those that come back by themselves."""
    record.defer("deposit.charge", lock=f"{deposit}:hint", deposit_id=deposit, attempt=-1)


def record_chargebacks(*, deposit_id: str, provider: str, told: list[Told]) -> None:
    """What the provider says of a deposit's chargebacks; what is known stays as it is."""
    with transaction.atomic():
        row = rowlocks.deposit(deposit_id)
        now = clock.now()
        for one in told:
            known = Chargeback.objects.filter(provider=provider, provider_id=one.id).first()
            found = known or _taken(row, one, provider=provider, now=now)
            status = chargebacks.Status(one.status)
            if found.status == chargebacks.Status.OPEN and status is not found.status:
                _decided(row, found, status, now=now)


def _taken(row: Deposit, told: Told, *, provider: str, now: datetime) -> Chargeback:
    """The bank has the money: what has not left goes first, what is not there is a claim."""
    for payout in rowlocks.waiting_payouts(row.member_id):
        wallet.withhold(payout, why="charged_back", now=now)
    there = rowlocks.wallet(namespace=row.namespace_id, member=row.member_id)
    part = core.there_of(
        told.amount, available=Money(there.get("available", 0), told.amount.currency)
    )
    found = Chargeback.objects.create(
        id=ids.new("cbk"),
        deposit=row,
        provider=provider,
        provider_id=told.id,
        status=chargebacks.Status.OPEN,
        source=chargebacks.Source.WALLET,
        amount_minor=told.amount.minor,
        wallet_minor=part.minor,
        currency=told.amount.currency,
        reason=told.reason[:60],
        opened_at=now,
    )
    books.book(_entry(row, found), namespace=row.namespace_id, at=now)
    _tell(row, "deposit_charged_back", now=now)
    return found


def _entry(row: Deposit, found: Chargeback) -> ledger.Entry:
    return ledger.deposit_charged_back(
        chargeback=found.id,
        amount=found.amount,
        there=Money(found.wallet_minor, found.currency),
        member=row.member_id,
        provider=found.provider,
        provider_id=found.provider_id,
    )


def _decided(row: Deposit, found: Chargeback, status: chargebacks.Status, *, now: datetime) -> None:
    """Won: the money is where it was taken from. Lost: it stays with the bank, a claim stands."""
    found.status, found.closed_at = status, now
    found.save(update_fields=["status", "closed_at"])
    if status is chargebacks.Status.WON:
        books.book(ledger.reinstated(_entry(row, found)), namespace=row.namespace_id, at=now)
        _tell(row, "deposit_reinstated", now=now)


def _tell(row: Deposit, kind: str, *, now: datetime) -> None:
    facts = {"wallet": row.id, "amount": {"minor": row.amount_minor, "currency": row.currency}}
    record.notify(
        namespace=row.namespace_id,
        kind=kind,
        about=row.id,
        member=row.member_id,
        now=now,
        facts=facts,
    )
