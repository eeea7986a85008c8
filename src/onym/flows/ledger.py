"""Booking entries and paying sellers out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery

from onym import ports
from onym.core import ledger as core
from onym.core.area import Area
from onym.core.events import amount as figure
from onym.core.money import Money
from onym.core.sale import PayoutState
from onym.flows import area, hold, outgoing, record, recovery, screening
from onym.store import bulk, clock, ids, rowlocks
from onym.store.models import (
    BankLine,
    BookAccount,
    Bounce,
    Entry,
    Payout,
    PayoutAccount,
    Posting,
    Sale,
    Wallet,
)

FINAL = (PayoutState.DONE, PayoutState.REFUSED, PayoutState.KEPT, PayoutState.WITHHELD)
RETURNED = "returned"
"""Why a payout is refused that had left and came back."""
TOGETHER = 25
"""Payouts in one order: as many calls of the provider may be asked for again after a crash."""


def bank_name(namespace: str) -> str:
    """How the books call the account at the bank: `world:<name>`."""
    account = ports.bank(namespace)
    return account.name if account else "bank"


def book(entry: core.Entry, *, namespace: str, at: datetime) -> Entry:
    """Write a balanced entry once; booking the same (kind, ref) again is a database error.

    Locks the touched member accounts by id and moves their cached balances.
    """
    accounts = {
        code: _account(namespace=namespace, code=code, currency=entry.currency)
        for code in entry.postings
    }
    for row in rowlocks.books(a.id for a in accounts.values() if a.member_id):
        row.balance_minor = (row.balance_minor or 0) + entry.postings[row.code]
        row.save(update_fields=["balance_minor"])
    written = Entry.objects.create(
        namespace_id=namespace,
        kind=entry.kind,
        ref=entry.ref,
        provider_id=entry.provider_id,
        at=at,
    )
    Posting.objects.bulk_create(
        Posting(entry=written, account=accounts[code], minor=minor, currency=entry.currency)
        for code, minor in entry.postings.items()
    )
    return written


def book_all(entries: Sequence[core.Entry], *, namespace: str, at: datetime) -> None:
    """`book` for many facts, in a fixed number of statements: the same rows, one lock order."""
    names = {(code, entry.currency) for entry in entries for code in entry.postings}
    accounts = _accounts(namespace, names)
    moved: dict[int, int] = defaultdict(int)
    for entry in entries:
        for code, minor in entry.postings.items():
            if _member_of(code):
                moved[accounts[code, entry.currency]] += minor
    held = rowlocks.books(moved)
    bulk.update(
        BookAccount,
        [{"id": a.pk, "balance_minor": (a.balance_minor or 0) + moved[a.pk]} for a in held],
    )
    written = Entry.objects.bulk_create(
        Entry(namespace_id=namespace, kind=e.kind, ref=e.ref, provider_id=e.provider_id, at=at)
        for e in entries
    )
    bulk.insert(
        Posting,
        [
            {
                "entry_id": row.pk,
                "account_id": accounts[code, e.currency],
                "minor": minor,
                "currency": e.currency,
            }
            for row, e in zip(written, entries, strict=True)
            for code, minor in e.postings.items()
        ],
    )


def _book_everywhere(found: Sequence[tuple[str, core.Entry]], *, at: datetime) -> None:
    """`book_all` in each namespace, in the order of their names."""
    for place in sorted({place for place, _ in found}):
        book_all([entry for where, entry in found if where == place], namespace=place, at=at)


def _accounts(namespace: str, names: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The keys of the accounts of these (code, currency); those that are not there are made."""
    codes = {code for code, _ in names}
    known = BookAccount.objects.filter(namespace_id=namespace, code__in=codes)
    rows = known.values_list("code", "currency", "id")
    found = {(code, currency): id_ for code, currency, id_ in rows}
    if names - found.keys():
        missing = [_fresh(namespace, *name) for name in sorted(names - found.keys())]
        BookAccount.objects.bulk_create(missing, ignore_conflicts=True)
        found = {(code, currency): id_ for code, currency, id_ in rows.all()}
    return found


def _member_of(code: str) -> str | None:
    return code.split(":")[1] if code.startswith("member:") else None


def _fresh(namespace: str, code: str, currency: str) -> BookAccount:
    member = _member_of(code)
    return BookAccount(
        namespace_id=namespace,
        code=code,
        currency=currency,
        member_id=member,
        balance_minor=0 if member else None,
    )


def _account(*, namespace: str, code: str, currency: str) -> BookAccount:
    member = _member_of(code)
    made = {"member_id": member, "balance_minor": 0 if member else None}
    return BookAccount.objects.get_or_create(
        namespace_id=namespace, code=code, currency=currency, defaults=made
    )[0]


def owe(sale: Sale, *, due_at: datetime) -> None:
    """Order the payout of a settled trade's proceeds, not before `due_at`."""
    if sale.proceeds_minor:
        Payout.objects.create(
            id=ids.new("out"),
            sale=sale,
            member_id=sale.seller_id,
            amount_minor=sale.proceeds_minor,
            currency=sale.currency,
            due_at=due_at,
        )


def pay_out(*, payout_id: str) -> None:
    """The withdrawal delay is over: order the payment. Early or repeated calls do nothing.

    A seller without a payout account is asked for one and paid when it is there.
    """
    pay_out_all(payout_ids=[payout_id])


def pay_out_all(*, payout_ids: Sequence[str]) -> None:
    """The same for many that are due at once: an order for up to `TOGETHER` of them.

    The provider is asked about one at a time; only what it said is written down together.
    """
    held = _held(payout_ids)
    with transaction.atomic():
        rows = [row for row in rowlocks.payouts(dict.fromkeys(payout_ids)) if row.id not in held]
        now = clock.now()
        due = [row for row in rows if _is_due(row, now)]
        held_up = _stopped(due)
        due = [row for row in due if row.place not in held_up]
        _book_everywhere([*recovery.take(due, now=now), *_keep(due, now=now)], at=now)
        due = outgoing.take([row for row in due if row.state not in FINAL], now=now)
        ready = _with_account(due)
        for payout in due:
            if payout.id not in ready:
                _ask_for_account(payout, now=now)
        ids_ = [payout.id for payout in due if payout.id in ready]
        asked = record.ordered("ledger.pay_out", locks=ids_)  # those come back by themselves
        ids_ = [id_ for id_ in ids_ if id_ not in asked]
        # From here on it may have left: what a chargeback finds as `due` was never asked for.
        own = PayoutAccount.objects.filter(member=OuterRef("member")).values("account")
        fresh = Payout.objects.filter(pk__in=ids_, state=PayoutState.DUE)
        fresh.update(state=PayoutState.UNKNOWN, account=Subquery(own))
        for start in range(0, len(ids_), TOGETHER):
            some = ids_[start : start + TOGETHER]
            record.defer("ledger.pay_out_all", lock=some[0], payout_ids=some)


def _is_due(payout: Payout, now: datetime) -> bool:
    """Due, not settled either way, and not held up by the buyer's bank."""
    is_frozen = payout.sale is not None and payout.sale.frozen
    return payout.state not in FINAL and now >= payout.due_at and not is_frozen


def _stopped(payouts: Sequence[Payout]) -> set[str]:
    """The namespaces among theirs where payouts are stopped: there they stay due."""
    places = {payout.place for payout in payouts}
    return {place for place in places if area.is_stopped(Area.PAYOUTS, namespace=place)}


def may_leave(*, payout_id: str) -> bool:
    """Just before the provider is asked: no money leaves while payouts are stopped."""
    return not _stopped([Payout.objects.select_related("sale", "member").get(pk=payout_id)])


def _held(payout_ids: Sequence[str]) -> set[str]:
    """Payouts that must wait for a limit, the list, or a person; each says so as its reason."""
    rows = Payout.objects.filter(pk__in=payout_ids, state=PayoutState.DUE)
    places = set(rows.values_list("member__namespace_id", flat=True))
    watched = [place for place in places if screening.is_on(place)]
    held = set()
    for row in rows.filter(member__namespace__in=watched).select_related("member"):
        why = screening.why_not_paid(row.member, Money(row.amount_minor, row.currency))
        if row.reason != why:
            Payout.objects.filter(pk=row.pk, state=PayoutState.DUE).update(reason=why)
        if why:
            held.add(row.id)
    return held


def into_wallets(sales: Iterable[Sale]) -> set[str]:
    """The sellers among theirs who want proceeds in their wallets, while there are any."""
    return _chose_wallet({sale.seller_id for sale in sales})


def _chose_wallet(members: set[str]) -> set[str]:
    if not settings.WALLET:
        return set()
    rows = Wallet.objects.filter(member__in=members, takes_proceeds=True)
    return set(rows.values_list("member_id", flat=True))


def _keep(payouts: Sequence[Payout], *, now: datetime) -> list[tuple[str, core.Entry]]:
    """Proceeds go to the wallets of those who chose it; answers what to book, and where."""
    into = _chose_wallet({row.member_id for row in payouts if row.sale_id})
    found = []
    for payout in payouts:
        if payout.sale_id and payout.member_id in into and payout.state == PayoutState.DUE:
            payout.state, payout.reason, payout.answered_at = PayoutState.KEPT, "", now
            payout.save(update_fields=["state", "reason", "answered_at"])
            entry = core.kept(payout=payout.id, amount=payout.amount, member=payout.member_id)
            found.append((payout.place, entry))
    return found


def _with_account(payouts: Sequence[Payout]) -> set[str]:
    """Those among these that have an account to go to, or were asked for with one."""
    members = {payout.member_id for payout in payouts}
    rows = PayoutAccount.objects.filter(member_id__in=members, ready_at__isnull=False)
    ready = set(rows.exclude(account="").values_list("member_id", flat=True))
    return {payout.id for payout in payouts if payout.account or payout.member_id in ready}


def _ask_for_account(payout: Payout, *, now: datetime) -> None:
    record.notify(
        namespace=payout.place,
        kind="payout_account_needed",
        about=payout.about,
        member=payout.member_id,
        now=now,
        facts={"payout": payout.id},
    )


def record_payout(
    *, payout_id: str, state: PayoutState, provider: str, provider_id: str | None, reason: str = ""
) -> None:
    """What the provider said of a payout; unknown stays to be asked again."""
    with transaction.atomic():
        payout = rowlocks.payout(payout_id)
        now = clock.now()
        if payout.state in FINAL:
            return
        payout.state, payout.reason, payout.answered_at = state, reason, now
        payout.provider_id = provider_id
        payout.save()
        if state is PayoutState.REFUSED:
            _refused(payout, now=now)
        if state is PayoutState.DONE and provider_id:
            _book_payout(payout, provider=provider, provider_id=provider_id, at=now)


def _refused(payout: Payout, *, now: datetime) -> None:
    """The provider will not pay: look at the account, and tell whom it concerns. What was to leave
    a wallet is there again."""
    member = payout.member_id
    if payout.sale_id is None:
        book(hold.void(member=member, subject=payout.id, now=now), namespace=payout.place, at=now)
    record.defer("payout.look", lock=f"{member}:look", member_id=member)
    record.notify(
        namespace=payout.place,
        kind="payout_refused" if payout.sale_id else "wallet_payout_back",
        about=payout.id,
        member=member,
        now=now,
        facts={"payout": payout.id} if payout.sale_id else _of_wallet(payout),
    )


def _of_wallet(payout: Payout) -> dict[str, Any]:
    return {"wallet": payout.id, "amount": figure(payout.amount)}


def record_payouts(*, paid: Mapping[str, str], provider: str) -> None:
    """The provider has paid many payouts, given as id → its id of the payment: one commit.

    What is known already is left as it is, as `record_payout` does.
    """
    with transaction.atomic():
        rows = rowlocks.payouts(paid)
        now = clock.now()
        open_ = [row for row in rows if row.state not in FINAL]
        with connection.cursor() as cursor:
            cursor.execute(
                """
                update store_payout set state = %s, reason = '', answered_at = %s,
                       provider_id = said.provider_id
                from unnest(%s::text[], %s::text[]) as said(id, provider_id)
                where store_payout.id = said.id
                """,
                [PayoutState.DONE, now, [r.id for r in open_], [paid[r.id] for r in open_]],
            )
        left = [_paid_out(r, provider=provider, provider_id=paid[r.id], now=now) for r in open_]
        _book_everywhere(list(zip([row.place for row in open_], left, strict=True)), at=now)
        for place in sorted({row.place for row in open_}):
            here = [row for row in open_ if row.place == place]
            _tell_paid(here, namespace=place, now=now)


def _paid_out(payout: Payout, *, provider: str, provider_id: str, now: datetime) -> core.Entry:
    """Out of what is owed, or of what a wallet holds for it: that hold ends here."""
    out_of = core.payable(payout.member_id)
    if payout.sale_id is None:
        hold.post(member=payout.member_id, subject=payout.id, now=now)
        out_of = core.held(payout.member_id)
    return core.paid_out(
        payout=payout.booked_as,
        amount=payout.amount,
        out_of=out_of,
        provider=provider,
        provider_id=provider_id,
    )


def _tell_paid(payouts: Sequence[Payout], *, namespace: str, now: datetime) -> None:
    """Sellers hear of the sale's proceeds, others of what left their wallets."""
    sold = [(row.member_id, row.about, dict[str, Any]()) for row in payouts if row.sale_id]
    taken = [(row.member_id, row.id, _of_wallet(row)) for row in payouts if not row.sale_id]
    record.notify_all(sold, namespace=namespace, kind="paid_out", now=now)
    record.notify_all(taken, namespace=namespace, kind="wallet_paid_out", now=now)


def _book_payout(payout: Payout, *, provider: str, provider_id: str, at: datetime) -> None:
    entry = _paid_out(payout, provider=provider, provider_id=provider_id, now=at)
    book(entry, namespace=payout.place, at=at)
    _tell_paid([payout], namespace=payout.place, now=at)


def bounce(*, payout_id: str, line: BankLine) -> None:
    """What had left came back, and lies in suspense: it is owed again, or in its wallet again.

    A seller names another account, and it is sent anew. The caller has locked the bank; a payout
    that is not done is left alone.
    """
    payout = rowlocks.payout(payout_id)
    now = clock.now()
    if payout.state != PayoutState.DONE or not payout.provider_id:
        return
    row = Bounce.objects.create(
        id=ids.new("bnc"),
        payout=payout,
        line=line,
        provider_id=payout.provider_id,
        booked_as=payout.booked_as,
        minor=payout.amount.minor,
        currency=payout.currency,
        at=now,
    )
    member = payout.member_id
    to = core.payable(member) if payout.sale_id else core.available(member)
    book(core.bounced(bounce=row.id, amount=payout.amount, to=to), namespace=payout.place, at=now)
    payout.state, payout.reason, payout.provider_id = PayoutState.REFUSED, RETURNED, None
    payout.bounces, payout.answered_at = payout.bounces + 1, now
    payout.save()
    record.notify(
        namespace=payout.place,
        kind="payout_returned" if payout.sale_id else "wallet_payout_back",
        about=row.id,
        member=member,
        now=now,
        facts={"payout": payout.id} if payout.sale_id else _of_wallet(payout),
    )
