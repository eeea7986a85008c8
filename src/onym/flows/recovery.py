"""Claims of the house: met by what their debtors are owed later, or written off by two people.

A claim is a lost chargeback whose money had been shared out. docs/concepts/chargebacks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from onym.core import access, ledger
from onym.core import chargeback as chargebacks
from onym.core import recovery as core
from onym.core.errors import AlreadyClosed
from onym.core.events import amount
from onym.core.money import Money
from onym.core.sale import PayoutState, State
from onym.flows import record, staff
from onym.store import clock, ids, rowlocks
from onym.store.models import Approval, Chargeback, Entry, Payout, Recovery, Sale

RECOVERED = "recovered"
REVENUE = "revenue:primary"


def open_claims() -> QuerySet[Chargeback]:
    """Lost, shared out before, and not met so far."""
    met = Entry.objects.filter(kind="absorbed").values("ref")
    rows = Chargeback.objects.filter(status="lost", source__in=("receivable", "wallet"))
    done = F("wallet_minor") + F("recovered_minor") + F("written_off_minor")
    return rows.exclude(pk__in=met).filter(amount_minor__gt=done).order_by("id")


def debtors(members: Iterable[str]) -> set[str]:
    """Those among the members who owe anything: asked once for many payouts."""
    wanted = set(members)
    sold = Q(sale__seller_id__in=wanted, sale__state=State.SETTLED)
    if not wanted:
        return set()
    claims = open_claims().filter(sold | Q(deposit__member_id__in=wanted))
    pairs = claims.values_list("sale__seller_id", "deposit__member_id")
    return {member for pair in pairs for member in pair if member}


def take(payouts: Iterable[Payout], *, now: datetime) -> list[tuple[str, ledger.Entry]]:
    """Meet claims out of proceeds that were never asked for; answers what to book, and where.

    The caller has locked the payouts; all claims are locked here, before anything is booked. A
    payout of which nothing is left is withheld.
    """
    due = [row for row in payouts if row.sale_id and row.state == PayoutState.DUE]
    owed = {member: _owed_by(member) for member in debtors(row.member_id for row in due)}
    claims = {member: set(rows.values_list("id", flat=True)) for member, rows in owed.items()}
    locked = rowlocks.chargebacks(set[str]().union(*claims.values()))
    found = []
    for payout in due:
        mine = [row for row in locked if row.id in claims.get(payout.member_id, ())]
        found += [(payout.place, entry) for entry in _take(payout, mine, now=now)]
    return found


def _take(payout: Payout, claims: list[Chargeback], *, now: datetime) -> list[ledger.Entry]:
    if not claims:
        return []
    parts = core.shares([_owed(row) for row in claims], out_of=payout.amount.minor)
    found = []
    for row in claims:
        if row.id in parts:
            out_of = ledger.payable(payout.member_id)
            found.append(_meet(row, parts[row.id], payout=payout, out_of=out_of, now=now))
    payout.recovered_minor += sum(parts.values())
    if not payout.amount.minor:
        payout.state, payout.reason, payout.answered_at = PayoutState.WITHHELD, RECOVERED, now
    payout.save(update_fields=["recovered_minor", "state", "reason", "answered_at"])
    return found


def _owed_by(member: str) -> QuerySet[Chargeback]:
    """What the member has had that a bank took: as a seller whose sale stands, or by a deposit.

    Proceeds that may or may not have left are waited for: if not, they meet their own claim.
    """
    sold = Q(sale__seller_id=member, sale__state=State.SETTLED)
    asked = Payout.objects.filter(sale=OuterRef("sale"), state=PayoutState.UNKNOWN)
    mine = open_claims().filter(sold | Q(deposit__member_id=member))
    return mine.exclude(Exists(asked))


def _owed(row: Chargeback) -> core.Owed:
    """A seller owes at most the proceeds of that sale; who put money in, all of it."""
    left = row.open_minor
    if row.sale is None:
        return core.Owed(row.id, left, left)
    others = Recovery.objects.filter(chargeback__sale=row.sale).values_list("minor", flat=True)
    return core.Owed(row.id, left, row.sale.proceeds_minor - sum(others))


def _meet(
    row: Chargeback, minor: int, *, payout: Payout | None, out_of: str, now: datetime
) -> ledger.Entry:
    row.recovered_minor += minor
    row.save(update_fields=["recovered_minor"])
    made = Recovery.objects.create(
        id=ids.new("rcv"),
        chargeback=row,
        payout=payout,
        minor=minor,
        currency=row.currency,
        at=now,
    )
    return ledger.recovered(recovery=made.id, amount=made.amount, out_of=out_of)


def from_revenue(rows: Iterable[Sale], *, now: datetime) -> list[ledger.Entry]:
    """A part that a bank took back of a sale of the house is the house's own loss of revenue.

    The caller has locked the sales, all of the house and about to be settled, and books; claims
    come before book accounts, so this is asked before anything is booked.
    """
    named = [row.id for row in rows]
    if not named:
        return []
    claims = open_claims().filter(sale__in=named, amount_minor__lt=F("sale__gross_minor"))
    found = []
    for row in _locked(claims):
        owed = _owed(row)
        if part := min(owed.minor, owed.most):
            found.append(_meet(row, part, payout=None, out_of=REVENUE, now=now))
    return found


def losses(sale: Sale) -> list[chargebacks.Loss]:
    """What banks have left with the buyer of this sale's payment, the oldest first."""
    rows = sale.chargeback_set.filter(status=chargebacks.Status.LOST).order_by("id")
    absorbed = Entry.objects.filter(kind="absorbed", ref__in=rows.values("id"))
    met = set(absorbed.values_list("ref", flat=True))
    in_escrow = chargebacks.Source.ESCROW
    return [
        chargebacks.Loss(row.id, row.amount_minor, row.source == in_escrow or row.id in met)
        for row in rows
    ]


def from_escrow(sale: Sale) -> list[ledger.Entry]:
    """Claims of the house are met by the gross that lies in escrow again: what two people had given
    up of them is no loss any more, what the house had met of its own sale is revenue again.

    The caller has locked the sale, and books.
    """
    named = chargebacks.to_absorb(losses(sale), gross=sale.gross_minor)
    return [
        ledger.absorbed(
            chargeback=row.id,
            sale=sale.id,
            left=row.left,
            given_up=Money(row.written_off_minor, row.currency),
            met=Money(row.recovered_minor, row.currency),
            met_by=REVENUE,
        )
        for row in rowlocks.chargebacks(named)
    ]


def _locked(claims: QuerySet[Chargeback]) -> list[Chargeback]:
    """Those among them that nobody met or gave up while their locks were waited for."""
    rows = rowlocks.chargebacks(claims.values_list("id", flat=True))
    return [row for row in rows if row.open_minor]


def propose_write_off(*, chargeback_id: str, by: str) -> Approval:
    """Ask a second person to give up what is left of a claim: always two people.

    Refuses `not_found`, `not_allowed`, `already_closed` when nothing of it is left.
    """
    with transaction.atomic():
        row = rowlocks.chargeback(chargeback_id)
        now = clock.now()
        staff.expect(by, access.Action.BANK, namespace=row.place)
        _expect_open(row)
        return record.propose(
            namespace=row.place,
            action="write_off",
            payload={"chargeback": row.id, "sale": row.sale_id or "", "left": amount(row.left)},
            facts=_facts(row),
            by=by,
            now=now,
        )


def _expect_open(row: Chargeback) -> None:
    if not open_claims().filter(pk=row.pk).exists():
        raise AlreadyClosed("nothing of this claim is left")


def facts_of(approval: Approval) -> Mapping[str, str]:
    """What both people see of it: how it stands, and what is left."""
    return _facts(rowlocks.chargeback(str(approval.payload["chargeback"])))


def _facts(row: Chargeback) -> Mapping[str, str]:
    return {"state": row.status, "rest": str(row.open_minor)}


def written_off(approval: Approval) -> tuple[Chargeback, ledger.Entry]:
    """The second person has approved: the claim is given up; the caller books the loss."""
    row = rowlocks.chargeback(str(approval.payload["chargeback"]))
    _expect_open(row)
    loss = Money(row.open_minor, row.currency)
    row.written_off_minor += loss.minor
    row.save(update_fields=["written_off_minor"])
    return row, ledger.written_off(chargeback=row.id, amount=loss)
