"""What the bank is to send: orders that wait for the next payment file, and that file.

An order is made in the transaction that owes the money; a statement says later that it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from onym import ports
from onym.core import access, bank
from onym.core.errors import Malformed, NotFound
from onym.core.sale import PayoutState
from onym.flows import payout as paying
from onym.flows import screening, staff
from onym.ports import bank_file
from onym.ports.bank import Transfer
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    BankAccount,
    BankDraw,
    BankFile,
    BankLine,
    BankOrder,
    Payment,
    Payout,
    Sale,
)


def set_account(*, member: str, iban: str, name: str) -> BankAccount:
    """Where the member's proceeds go from now on, those too that a bank had sent back. The name is
    compared with the list as the member's own is.

    Refuses `malformed`, `screening_stale`.
    """
    number, called = bank.iban(iban), bank.holder(name)
    with transaction.atomic():
        who = rowlocks.member(member)
        now = clock.now()
        fields = {
            "iban_sealed": secrets.seal(number, place=f"bankaccount.iban/{member}"),
            "name_sealed": secrets.seal(called, place=f"bankaccount.name/{member}"),
            "ends_in": number[-4:],
            "set_at": now,
        }
        row = BankAccount.objects.update_or_create(member_id=member, defaults=fields)[0]
        screening.look(who)
        paying.order_anew(member=member)
        return row


def drop_account(*, member: str) -> None:
    """Proceeds go to the provider's account again, those too that a bank had sent back. Refuses
    `not_found`."""
    with transaction.atomic():
        rowlocks.member(member)
        if not BankAccount.objects.filter(pk=member).delete()[0]:
            raise NotFound("there is no bank account")
        paying.order_anew(member=member)


def take(payouts: Sequence[Payout], *, now: datetime) -> list[Payout]:
    """Order those that go by the bank; answers the others, which the provider pays."""
    members = {payout.member_id for payout in payouts}
    accounts = BankAccount.objects.in_bulk(members)
    ordered = BankOrder.objects.filter(payout__in=[payout.pk for payout in payouts])
    ordered = ordered.exclude(state=bank.OrderState.RETURNED)
    done = {str(id_) for id_ in ordered.values_list("payout_id", flat=True)}
    for payout in payouts:
        account = accounts.get(payout.member_id)
        if account and payout.state == PayoutState.DUE and payout.id not in done:
            _order(
                payout.place,
                kind="payout",
                minor=payout.amount.minor,
                currency=payout.currency,
                iban=account.opened("iban"),
                name=account.opened("name"),
                text=f"Payout {payout.about}",
                now=now,
                payout=payout,
            )
            payout.state = PayoutState.UNKNOWN  # it may leave from here on
            payout.save(update_fields=["state"])
            done.add(payout.id)
    return [payout for payout in payouts if payout.id not in done]


def refund(sale: Sale, payment: Payment, *, now: datetime) -> None:
    """The money goes back to whoever sent it: of each arrival, what the sale had drawn of it.

    Where that is not known, a person finds out whose the rest is.
    """
    drawn = BankDraw.objects.filter(sale=sale).select_related("line").order_by("id")
    parts: list[tuple[int, BankLine | None]] = [(draw.minor, draw.line) for draw in drawn]
    if rest := payment.amount_minor - sum(minor for minor, _ in parts):
        parts.append((rest, None))
    for minor, line in parts:
        _order(
            sale.namespace_id,
            kind="refund",
            minor=minor,
            currency=payment.currency,
            iban=line.opened("iban") if line else "",
            name=line.opened("name") if line else "",
            text=f"Refund {sale.id}",
            now=now,
            payment=payment,
            line=line,
        )


def send_back(line: BankLine, *, now: datetime) -> BankOrder:
    """What is left of an arrival goes back where it came from."""
    minor, line.rest_minor, line.waits = line.rest_minor, 0, False
    line.save(update_fields=["rest_minor", "waits"])
    return _order(
        line.namespace_id,
        kind="return",
        minor=minor,
        currency=line.currency,
        iban=line.opened("iban"),
        name=line.opened("name"),
        text=f"Return of {line.ref}"[:140],
        now=now,
        line=line,
    )


def _order(
    namespace: str,
    *,
    kind: str,
    minor: int,
    currency: str,
    iban: str,
    name: str,
    text: str,
    now: datetime,
    **about: Payout | Payment | BankLine | None,
) -> BankOrder:
    id_ = ids.new("bor")
    try:
        iban = bank.iban(iban)
    except Malformed:
        iban = ""
    return BankOrder.objects.create(
        id=id_,
        namespace_id=namespace,
        kind=kind,
        state=bank.OrderState.WAITING if iban else bank.OrderState.NO_PLACE,
        minor=minor,
        currency=currency,
        iban_sealed=secrets.seal(iban, place=f"bankorder.iban/{id_}") if iban else b"",
        name_sealed=secrets.seal(name, place=f"bankorder.name/{id_}") if name else b"",
        text=text,
        made_at=now,
        **about,
    )


def file(*, namespace: str, by: str) -> BankFile:
    """Put all that waits into one payment file; each order is in one file only.

    Refuses `not_allowed`, `not_found` when nothing waits or no bank account is set up.
    """
    with transaction.atomic():
        rowlocks.bank(namespace)
        rows = rowlocks.bank_orders(namespace)
        now = clock.now()
        staff.expect(by, access.Action.BANK, namespace=namespace)
        account = ports.bank(namespace)
        if account is None or not rows:
            raise NotFound("nothing waits to be sent")
        id_ = ids.new("pfl")
        name = id_.replace("_", "")
        text = bank_file.payment_file(
            [_transfer(row) for row in rows], bank=account, id=name, made_at=now
        )
        made = BankFile.objects.create(
            id=id_,
            namespace_id=namespace,
            orders=len(rows),
            total_minor=sum(row.minor for row in rows),
            currency=rows[0].currency,
            text_sealed=secrets.seal(text, place=f"bankfile.text/{id_}"),
            by_id=by,
            made_at=now,
        )
        BankOrder.objects.filter(pk__in=[row.pk for row in rows]).update(
            state=bank.OrderState.FILED, file=made
        )
        return made


def _transfer(row: BankOrder) -> Transfer:
    return Transfer(
        id=row.end_to_end,
        minor=row.minor,
        currency=row.currency,
        iban=row.opened("iban"),
        name=row.opened("name"),
        text=row.text,
    )
