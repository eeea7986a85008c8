"""Linking accounts of the platform: by a code in the profile, which is primary, and letting go.

What the platform says is asked before a transaction, never inside one; docs/concepts/sign-in.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from onym import ports
from onym.core import link as core
from onym.core.errors import NotFound, PlatformUnavailable
from onym.core.names import canon
from onym.core.sale import LIVE
from onym.flows import limits, people, record, screening
from onym.ports.platform import AccountRow, Platform
from onym.store import clock, ids, rowlocks
from onym.store.models import Link, LinkCode, Listing, Member, Namespace, Offer, Sale


@dataclass(frozen=True, slots=True)
class Held:
    """What the platform says of a handle now: its account, and the text of its profile."""

    handle: str
    account_id: str
    bio: str | None


def look_up(*, namespace: str, handle: str, by: str) -> Held:
    """Ask the platform who holds `handle`, in any spelling.

    Refuses `handle_malformed`, `not_found` where nobody does, `platform_unavailable`, and
    `rate_limited`.
    """
    limits.spend("link", who=by)
    place = Namespace.objects.get(pk=namespace)
    name = canon(handle, place.profile)
    platform = _platform(namespace)
    account_id = platform.holder(handle=name).account_id
    account = platform.account(account_id=account_id) if account_id else None
    if account is None or account_id in (None, place.custodian_account_id):
        raise NotFound("nobody holds this handle on the platform")
    return Held(name, account["account_id"], _bio(platform, account))


def _bio(platform: Platform, account: AccountRow) -> str | None:
    """The profile's text now: of the account's row, or a read of its own where there is one."""
    ask = getattr(platform, "bio", None)
    told: str | None = ask(account_id=account["account_id"]) if ask else account.get("bio")
    return told


def _platform(namespace: str) -> Platform:
    try:
        return ports.platform(namespace)
    except ports.SlotEmpty as fault:
        raise PlatformUnavailable("no platform is connected") from fault


def order_code(*, member: str, held: Held) -> LinkCode:
    """A code for the account's profile; it takes the place of the one asked for before."""
    with transaction.atomic():
        row = rowlocks.member(member)
        LinkCode.objects.filter(member=row).delete()
        return LinkCode.objects.create(
            id=ids.new("lnk"),
            namespace_id=row.namespace_id,
            member=row,
            account_id=held.account_id,
            handle=held.handle,
            code=core.code(os.urandom(core.ENTROPY_BYTES)),
            ordered_at=clock.machine(),
        )


def prove(*, member: str) -> bool:
    """Look into the profile of the account that a code was asked for; linked if it is there.

    Refuses `not_found` without a code, `expired`, `not_allowed` where the account is another
    member's, `platform_unavailable`, `rate_limited`, `screening_held`, `screening_stale`.
    """
    limits.spend("link", who=member)
    asked = LinkCode.objects.filter(member_id=member).first()
    if asked is None:
        raise NotFound("ask for a code first")
    screening.expect_not_held(Member.objects.get(pk=member))
    platform = _platform(asked.namespace_id)
    account = platform.account(account_id=asked.account_id)
    profile = _bio(platform, account) if account else None
    with transaction.atomic():
        rowlocks.member(member)
        row = LinkCode.objects.filter(pk=asked.id).first()
        if row is None:
            raise NotFound("ask for a code first")
        is_there = core.is_written(
            row.code,
            profile=profile,
            ordered_at=row.ordered_at,
            now=clock.machine(),
        )
        if is_there:
            people.link(member=member, account_id=row.account_id, tell=True)
            row.delete()
        return is_there


def make_primary(*, member: str, account_id: str) -> None:
    """From now on a purchase swaps this account's handle. Refuses `not_found`, `already_closed`."""
    with transaction.atomic():
        rowlocks.member(member)
        rows = _linked(member)
        core.primary([row.snapshot() for row in rows], account_id)
        Link.objects.filter(pk__in=[row.pk for row in rows]).update(is_primary=False)
        Link.objects.filter(member_id=member, account_id=account_id, unlinked_at=None).update(
            is_primary=True
        )


def unlink(*, member: str, account_id: str) -> datetime:
    """Begin to let an account go; until then it counts as the member's. Linked again, it stays.

    Refuses `not_found`, `already_closed`, `handle_locked` while a sale or listing of it is open.
    """
    with transaction.atomic():
        who = rowlocks.member(member)
        now = clock.now()
        rows = _linked(member)
        until = core.unlinks_at(
            [row.snapshot() for row in rows],
            account_id,
            busy=_busy(who.namespace_id, account_id),
            now=now,
        )
        row = next(row for row in rows if row.account_id == account_id)
        row.unlinks_at = until
        row.save(update_fields=["unlinks_at"])
        _tell(who, row, "account_unlinking", now=now)
        return until


def unlinked(*, link_id: int) -> None:
    """Its time has come: it is let go, or put off while a sale is open. Early calls do nothing."""
    found = Link.objects.get(pk=link_id)
    with transaction.atomic():
        who = rowlocks.member(found.member_id)
        now = clock.now()
        row = Link.objects.get(pk=link_id)
        if row.unlinked_at is not None:
            return
        decided = core.ends(row.snapshot(), busy=_busy(row.namespace_id, row.account_id), now=now)
        if isinstance(decided, datetime):
            row.unlinks_at = decided
        elif decided:
            row.unlinked_at, row.is_primary = now, False
        row.save(update_fields=["unlinks_at", "unlinked_at", "is_primary"])
        if decided is True:
            people.name_primary(who.id)
            _tell(who, row, "account_unlinked", now=now)


def _linked(member: str) -> list[Link]:
    return list(Link.objects.filter(member_id=member, unlinked_at=None).order_by("id"))


def _busy(namespace: str, account_id: str) -> list[str]:
    """What is open in the account's name."""
    side = Q(buyer_account_id=account_id) | Q(seller_account_id=account_id)
    sales = Sale.objects.filter(side, namespace_id=namespace, state__in=LIVE)
    on_sale = Listing.objects.filter(
        handle__namespace_id=namespace, handle__account_id=account_id, state="open"
    )
    offered = Offer.objects.filter(
        handle__namespace_id=namespace, state="open", holder_account_id=account_id
    )
    return [id_ for rows in (sales, on_sale, offered) for id_ in rows.values_list("id", flat=True)]


def _tell(who: Member, row: Link, what: str, *, now: datetime) -> None:
    record.notify(
        namespace=row.namespace_id,
        kind="account_linked",
        about=f"{row.pk}-{what}-{now:%Y%m%dT%H%M%S}",
        now=now,
        member=who.id,
        facts={"what": what, "account": row.account_id},
    )
