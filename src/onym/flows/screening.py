"""May this member deal here? The list is asked when they arrive, offer, agree, pay, claim or are
paid; limits wherever an amount is fixed.

A name that is like a listed one is held for a person of the desk, under whatever name its member
goes on; nobody deals without one. Everything fails closed. See docs/guides/screening.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from onym import ports
from onym.core import access, limits
from onym.core import screening as core
from onym.core.errors import AlreadyClosed, Malformed, Refusal, ScreeningHeld, ScreeningStale
from onym.core.money import Money
from onym.flows import staff
from onym.store import clock, ids, rowlocks, secrets
from onym.store.desk import document
from onym.store.models import BankAccount, Member, ScreeningCase

OUTCOMES = ("cleared", "confirmed")


def is_asked(namespace: str) -> bool:
    """Whether there are names here to compare with; a list that is stale may well have some."""
    lists = ports.screening(namespace)
    try:
        return lists is not None and bool(lists.names(today=clock.machine().date()))
    except ScreeningStale:
        return True


def expect_clear(member: Member, *, is_own: bool = True) -> None:
    """Refuses `name_needed` to the nameless, `screening_held` to whom a person has to look at,
    `screening_stale`. `is_own` false: somebody else asks, who deals with them.

    Called outside the transaction of what is refused, so that the case stays written.
    """
    if _is_free(member):
        return
    if is_asked(member.namespace_id):
        core.expect_named(member.name, is_own=is_own)
    expect_not_held(member)


def expect_not_held(member: Member) -> None:
    """The same where no money moves yet: whoever has no name has nothing to be held for."""
    look(member)
    if is_held(member):
        raise ScreeningHeld("this has to be looked at by a person first")


def expect_all_clear(namespace: str, members: Iterable[str | None], *, by: str | None) -> None:
    """The same for the parties of an agreement, before its transaction; None is nobody, `by` is
    who asks.
    """
    if ports.screening(namespace) is None:
        return
    known = Member.objects.filter(pk__in=[member for member in members if member])
    for member in known.order_by("id"):
        expect_clear(member, is_own=member.id == by)


def look(member: Member, *, also: str = "") -> None:
    """Who arrives, or takes another name, is looked at once: a case is opened for each entry that
    it is like, or that the name `also` of whoever pays for them is like.

    Refuses `screening_stale`: nobody arrives unseen.
    """
    lists = ports.screening(member.namespace_id)
    if lists is None or member.is_house:
        return
    listed = lists.names(today=clock.machine().date())
    for name in filter(None, [*_names(member), also]):
        for found in core.matches(name, listed):
            _open(member, name, found)


def is_listed(name: str, *, namespace: str) -> bool:
    """Whether a name, whosever it is, is like an entry. Refuses `screening_stale`."""
    lists = ports.screening(namespace)
    return lists is not None and bool(core.matches(name, lists.names(today=clock.machine().date())))


def is_held(member: Member) -> bool:
    """Whether a person has to look yet, or has seen that it is them: another name ends neither."""
    cases = ScreeningCase.objects.filter(member=member).exclude(state="cleared")
    return not _is_free(member) and bool(cases.exists())


def _is_free(member: Member) -> bool:
    return member.is_house or ports.screening(member.namespace_id) is None


def _names(member: Member) -> list[str]:
    """Their own, and the name that their bank account is in: money leaves to it."""
    account = BankAccount.objects.filter(pk=member.pk).first()
    return [member.name, account.opened("name")] if account else [member.name]


def _open(member: Member, name: str, found: core.Match) -> None:
    """A case is about one name and one entry: what was decided of another name says nothing."""
    with transaction.atomic():
        id_ = ids.new("scr")
        ScreeningCase.objects.get_or_create(
            member=member,
            entry_index=secrets.index(found.entry, purpose="screening"),
            name_index=ScreeningCase.index_of(name),
            defaults={
                "id": id_,
                "namespace_id": member.namespace_id,
                "entry_sealed": secrets.seal(found.entry, place=f"screening.entry/{id_}"),
                "name_sealed": secrets.seal(name, place=f"screening.name/{id_}"),
                "percent": found.percent,
                "found_at": clock.now(),
            },
        )


def expect_within(member: Member, amount: Money, *, what: str) -> None:
    """Refuses `amount_too_large` above what the member's tier may do, `screening_stale`."""
    table = document(namespace=member.namespace_id, kind="limits", at=clock.now())
    if table is None or member.is_house:
        return
    known = ports.identity(member.namespace_id)
    tier = known.tier(member.id, today=clock.machine().date()) if known else ""
    limits.parse(table.text).expect(amount, tier=tier, what=what)


def expect_may_pay(*, buyer: Member, price: Money, gross: Money, method: str) -> None:
    """Price band and payment method of the buyer's tier, then the list."""
    expect_within(buyer, price, what="price")
    expect_within(buyer, gross, what=method if method in limits.METHODS else limits.CARD)
    expect_clear(buyer)


def is_on(namespace: str) -> bool:
    """Whether anybody is screened or limited here at all."""
    lists = ports.screening(namespace) or ports.identity(namespace)
    return bool(lists or document(namespace=namespace, kind="limits", at=clock.now()))


def why_not_paid(member: Member, amount: Money) -> str:
    """The code for which a payout has to wait; empty when it may leave."""
    try:
        expect_within(member, amount, what="payout")
        expect_clear(member)
    except Refusal as refusal:
        return refusal.code
    return ""


def decide(*, case_id: str, by: str, outcome: str) -> ScreeningCase:
    """`cleared`: it is another person, who may go on; `confirmed`: held for good.

    A confirmed case may be cleared later, a cleared one is closed. Refuses `not_allowed`,
    `malformed`, `already_closed`.
    """
    if outcome not in OUTCOMES:
        raise Malformed("a case is cleared or confirmed")
    with transaction.atomic():
        row = rowlocks.screening_case(case_id)
        now = clock.now()
        staff.expect(by, access.Action.SCREEN, namespace=row.namespace_id)
        if row.state == "cleared" or row.state == outcome:
            raise AlreadyClosed(f"the case is {row.state}")
        row.state, row.decided_by_id, row.decided_at = outcome, by, now
        row.save(update_fields=["state", "decided_by", "decided_at"])
        return row
