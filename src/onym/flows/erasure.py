"""Forgetting a person: a member who leaves, or an address that was only ever written to.

What others rely on stays under the pseudonym: sales, books, the log. See docs/concepts/privacy.md.
"""

from __future__ import annotations

from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, Q

from onym.core.bank import RETURNS_WITHIN, OrderState
from onym.core.chargeback import Status
from onym.core.errors import AlreadyClosed, NotAllowed
from onym.core.invitation import Silence
from onym.core.sale import LIVE, PayoutState
from onym.flows import deposit, recovery, retention
from onym.store import clock, rowlocks, secrets
from onym.store.models import (
    Appeal,
    BankAccount,
    BankOrder,
    BookAccount,
    Chargeback,
    Delivery,
    Deposit,
    Event,
    IdempotentRequest,
    Invitation,
    Link,
    LinkCode,
    Listing,
    MailAddress,
    MailCode,
    Member,
    Notice,
    Offer,
    Payout,
    PayoutAccount,
    Reclaim,
    Sale,
    ScreeningCase,
    StaffRole,
    Suppression,
    Token,
    WalletReference,
    Watch,
    Webhook,
)


def erase(*, member: str) -> None:
    """Forget who a member is. In order: nothing of theirs may be under way; then names, addresses,
    links, ways to sign in, watches, texts and openings go, and the pseudonym stays.

    Refuses `not_found`; `not_allowed` for staff and the house; `already_closed` a second time, and
    while a sale, a listing, an offer, an appeal, a look at their name or money of theirs is open,
    which a chargeback, what is owed for one and a payout that a bank may send back are, too; it
    names which.
    """
    with transaction.atomic():
        row = rowlocks.member(member)
        now = clock.now()
        addresses = _addresses(row)
        _expect_free(row, addresses, now=now)
        accounts = list(Link.objects.filter(member=row).values_list("account_id", flat=True))
        _forget_sign_in(row)
        mine = Link.objects.filter(member=row, unlinked_at=None)
        mine.update(unlinked_at=now, is_primary=False)
        _forget_sites(row, now=now)
        IdempotentRequest.objects.filter(member=row).update(payload_sha256="")
        models_ = (BankAccount, LinkCode, MailAddress, PayoutAccount, Token, WalletReference, Watch)
        for model in models_:
            model.objects.filter(member=row).delete()
        _forget_addresses(row.namespace_id, addresses, now=now)
        _forget_accounts(row.namespace_id, accounts, member=row.id)
        cases = ScreeningCase.objects.filter(member=row)
        cases.update(name_sealed=b"", name_index=F("id"))
        row.name_sealed, row.country = b"", ""
        row.erased_at = now
        row.save()


def erase_address(*, namespace: str, mail: str) -> int:
    """Forget an address of nobody's: recipients and notices that name it; answers how many rows.

    Refuses `not_allowed` for a member's: the member leaves, or changes it; `already_closed` while
    a private offer to it is open. It is never written to again: a keyed digest remembers that.
    """
    index = secrets.index(mail, purpose="mail")
    with transaction.atomic():
        known = MailAddress.objects.filter(namespace_id=namespace, address_index=index)
        if known.filter(replaced_at=None).exists():
            raise NotAllowed("the address is a member's")
        if _offered_to(namespace, {index}):
            raise AlreadyClosed("still under way: a private offer")
        return _forget_addresses(namespace, {index}, now=clock.now())


def _addresses(row: Member) -> set[str]:
    """What is or was theirs, and is no other member's by now."""
    theirs = set(row.mailaddress_set.values_list("address_index", flat=True))
    rows = MailAddress.objects.filter(namespace_id=row.namespace_id, address_index__in=theirs)
    others = rows.filter(replaced_at=None).exclude(member=row)
    return theirs - set(others.values_list("address_index", flat=True))


def _offered_to(namespace: str, indexes: set[str]) -> bool:
    sent = Invitation.objects.filter(campaign__namespace_id=namespace, closed_at=None)
    return sent.filter(recipient_index__in=indexes).exists()


def _expect_free(row: Member, addresses: set[str], *, now: datetime) -> None:
    if row.erased_at is not None:
        raise AlreadyClosed("this member was forgotten already")
    if row.is_house or StaffRole.objects.filter(member=row).exists():
        raise NotAllowed("staff and the house stay known; take the roles away first")
    open_ = [what for what, is_open in _under_way(row, addresses, now=now) if is_open]
    if open_:
        raise AlreadyClosed(f"still under way: {', '.join(open_)}")


def _under_way(row: Member, addresses: set[str], *, now: datetime) -> list[tuple[str, bool]]:
    mine = Q(buyer=row) | Q(seller=row)
    owed = Q(balance_minor__isnull=False) & ~Q(balance_minor=0)
    waiting = Q(state__in=(PayoutState.DUE, PayoutState.UNKNOWN)) | Q(
        state=PayoutState.REFUSED, sale__isnull=False
    )
    return [
        ("a sale", Sale.objects.filter(mine, state__in=sorted(LIVE)).exists()),
        ("a listing", Listing.objects.filter(seller=row, state="open").exists()),
        ("a private offer", _offered_to(row.namespace_id, addresses)),
        ("an offer", Offer.objects.filter(buyer=row, state="open").exists()),
        ("an appeal", Appeal.objects.filter(member=row, state="open").exists()),
        ("a look at the name", ScreeningCase.objects.filter(member=row, state="open").exists()),
        ("a payout", Payout.objects.filter(waiting, member=row).exists()),
        ("a payout that may come back", _may_come_back(row, now=now)),
        ("a chargeback", _is_charged_back(row)),
        ("a claim", bool(recovery.debtors([row.id]))),
        ("a deposit", Deposit.objects.filter(member=row, state__in=deposit.OPEN).exists()),
        ("a balance", BookAccount.objects.filter(owed, member=row).exists()),
    ]


def _may_come_back(row: Member, *, now: datetime) -> bool:
    """A bank was asked to pay them, and may still say that it could not: nobody would be there to
    name another account."""
    rows = BankOrder.objects.filter(kind="payout", payout__member=row)
    left_lately = Q(state=OrderState.DONE, done_at__gt=now - RETURNS_WITHIN)
    on_its_way = Q(state__in=(OrderState.NO_PLACE, OrderState.WAITING, OrderState.FILED))
    return rows.filter(on_its_way | left_lately).exists()


def _is_charged_back(row: Member) -> bool:
    theirs = Q(sale__buyer=row) | Q(sale__seller=row) | Q(deposit__member=row)
    return Chargeback.objects.filter(theirs, status=Status.OPEN).exists()


def _forget_sites(row: Member, *, now: datetime) -> None:
    """Relying sites are told nothing more; their addresses and secrets go."""
    mine = Webhook.objects.filter(member=row)
    Delivery.objects.filter(webhook__in=mine, state="pending").update(state="dead", why="ended")
    gone = {"url_sealed": b"", "url_index": "", "secret_sealed": b""}
    mine.update(state="ended", ended_at=now, why="member", **gone)


def _forget_sign_in(row: Member) -> None:
    """Sessions end; password, passkeys, TOTP and recovery codes go with the user."""
    if row.user is None:
        return
    keys = UserSession.objects.filter(user=row.user).values_list("session_key", flat=True)
    Session.objects.filter(session_key__in=list(keys)).delete()
    MailCode.objects.filter(member=row).delete()
    user, row.user = row.user, None
    row.save(update_fields=["user"])
    user.delete()


def _forget_addresses(namespace: str, indexes: set[str], *, now: datetime) -> int:
    """Recipients and notices that name one of these addresses, in the rows and the openings."""
    for index in indexes:
        Suppression.objects.update_or_create(
            namespace_id=namespace,
            address_index=index,
            defaults={"reason": Silence.ERASED, "at": now},
        )
    sent = Invitation.objects.filter(
        campaign__namespace_id=namespace, recipient_index__in=indexes
    ).exclude(recipient_sealed=b"")
    told = Notice.objects.filter(namespace_id=namespace, address_index__in=indexes)
    return retention.strangers(list(sent.values_list("id", flat=True))) + retention.nameless(told)


def _forget_accounts(namespace: str, accounts: list[str], *, member: str) -> None:
    """What was said of and by the member's accounts: appeals' texts, and evidence in openings."""
    said = Appeal.objects.filter(
        Q(member_id=member) | Q(account_id__in=accounts), namespace_id=namespace
    )
    retention.silent(list(said.values_list("id", flat=True)))
    found = Reclaim.objects.filter(account_id__in=accounts, handle__namespace_id=namespace)
    refs = [f"{plan}/{handle}" for plan, handle in found.values_list("plan_id", "handle__handle")]
    retention.forget_openings(Event.objects.filter(namespace_id=namespace, ref__in=refs))
