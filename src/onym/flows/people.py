"""Members: who joins, what is proven to be theirs, and what staff are allowed."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from onym.core import access, people, tax
from onym.core import link as links
from onym.core.errors import Malformed, NotAllowed, NotFound
from onym.core.events import Event
from onym.core.invitation import Silence
from onym.flows import limits, record, screening
from onym.store import clock, ids, rowlocks, secrets
from onym.store.models import (
    Handle,
    Kinship,
    Link,
    MailAddress,
    Member,
    Namespace,
    PayoutAccount,
    StaffRole,
    Suppression,
    Token,
)

CUSTODIAN = "custodian"
"""What the custodian's account is called until the platform says otherwise."""

REF = 16
"""How much of a token's digest names it on a page."""

SCOPES = frozenset({"read", "buy", "sell", "desk"})


def join(
    *,
    namespace: str,
    name: str,
    mail: str,
    password: str | None = None,
    language: str = "en",
    is_house: bool = False,
    since: datetime | None = None,
) -> Member:
    """A member with one verified address; `password` lets them sign in to the pages.

    Refuses `not_allowed` when the address belongs to somebody already, `screening_stale`.
    """
    with transaction.atomic():
        now = since or clock.now()
        id_ = ids.new("mbr")
        user = User.objects.create_user(username=id_, password=password) if password else None
        member = Member.objects.create(
            id=id_,
            namespace_id=namespace,
            user=user,
            name_sealed=secrets.seal(name, place=f"member.name/{id_}"),
            language=language,
            is_house=is_house,
            created_at=now,
        )
        verified(member, mail, now=now)
        screening.look(member)
        return member


def verified(member: Member, mail: str, *, now: datetime) -> None:
    """The member has proven to read there. Whoever was forgotten under the address is back: what
    concerns their membership is written there again, private offers are not.

    Refuses `not_allowed` when it belongs to somebody already.
    """
    index = secrets.index(mail, purpose="mail")
    try:
        with transaction.atomic():
            MailAddress.objects.create(
                namespace_id=member.namespace_id,
                member=member,
                address_sealed=secrets.seal(mail, place=MailAddress.place(member.id)),
                address_index=index,
                verified_at=now,
            )
    except IntegrityError as error:  # somebody has it, or was faster
        raise NotAllowed("the address belongs to a member already") from error
    forgotten = Suppression.objects.filter(
        namespace_id=member.namespace_id, address_index=index, reason=Silence.ERASED
    )
    forgotten.update(reason=Silence.UNSUBSCRIBED)


def arrive(*, namespace: str, account_id: str, language: str) -> Member:
    """A member known by an account of the platform alone, with no address yet.

    Refuses `not_allowed` where the account is somebody's, `screening_stale`.
    """
    with transaction.atomic():
        now, id_ = clock.now(), ids.new("mbr")
        member = Member.objects.create(
            id=id_,
            namespace_id=namespace,
            user=User.objects.create_user(username=id_),
            name_sealed=secrets.seal("", place=f"member.name/{id_}"),
            language=language,
            created_at=now,
        )
        screening.look(member)
        link(member=id_, account_id=account_id, tell=True)
        return member


def speak(*, member: str, language: str) -> None:
    """The language that a member reads: of their letters, and of addresses without one.

    Refuses `malformed` one that the site does not speak.
    """
    if language not in dict(settings.LANGUAGES):
        raise Malformed(f"languages are {', '.join(dict(settings.LANGUAGES))}")
    with transaction.atomic():
        row = rowlocks.member(member)
        row.language = language
        row.save(update_fields=["language"])


def link(
    *, member: str, account_id: str, since: datetime | None = None, tell: bool = False
) -> None:
    """An account that the member has proven to hold; one that was about to be unlinked stays.

    Whoever it was linked to lately counts as one with the member from now on. `tell` writes to the
    member and to the account. Refuses `not_allowed` if it is another's, `screening_held`,
    `screening_stale`.
    """
    screening.expect_not_held(Member.objects.get(pk=member))
    with transaction.atomic():
        row = rowlocks.member(member)
        now = since or clock.now()
        held = Link.objects.filter(
            namespace=row.namespace, account_id=account_id, unlinked_at=None
        ).first()
        if held is not None and held.member_id != member:
            raise NotAllowed("the account is linked to another member")
        if held is None:
            _link(row, account_id, now=now)
            if tell:
                _tell_of_link(row, account_id, now=now)
        elif held.unlinks_at is not None:
            held.unlinks_at = None
            held.save(update_fields=["unlinks_at"])


def _link(row: Member, account_id: str, *, now: datetime) -> None:
    try:
        with transaction.atomic():
            Link.objects.create(
                namespace=row.namespace, member=row, account_id=account_id, linked_at=now
            )
    except IntegrityError as error:  # another member was faster
        raise NotAllowed("the account is linked to another member") from error
    name_primary(row.id)
    lately = Link.objects.filter(
        namespace=row.namespace, account_id=account_id, unlinked_at__gt=now - links.KIN_AFTER
    ).exclude(passed_on=True)  # who sold it whole is not one with whoever has it now
    for other in set(lately.values_list("member_id", flat=True)) - {row.id}:
        kin(one=row.id, other=other, reason="same_account")


def _tell_of_link(row: Member, account_id: str, *, now: datetime) -> None:
    """Both the member's addresses and whoever reads the account on the platform."""
    about = f"{row.id}-{now:%Y%m%dT%H%M%S%f}"
    record.notify(
        namespace=row.namespace_id,
        kind="account_linked",
        about=about,
        now=now,
        member=row.id,
        account_id=account_id,
        language=row.language,
        facts={"what": "account_linked", "account": account_id},
    )


def name_primary(member: str) -> None:
    """The oldest account of a locked member is primary where none is."""
    mine = Link.objects.filter(member_id=member, unlinked_at=None)
    first = mine.order_by("id").first()
    if first is not None and not mine.filter(is_primary=True).exists():
        Link.objects.filter(pk=first.pk).update(is_primary=True)


def kin(*, one: str, other: str, reason: str) -> None:
    """Two members who count as one from now on."""
    with transaction.atomic():
        first, second = sorted((one, other))
        Kinship.objects.get_or_create(
            one_id=first, other_id=second, defaults={"reason": reason[:40]}
        )


def grant(*, member: str, role: str) -> None:
    """A role of the desk; a second time is nothing. The set of staff is committed in the log.

    Refuses `malformed` for a role that the table does not have, `not_found` for nobody.
    """
    if role not in access.ALLOWED:
        raise Malformed(f"no such role; there are {', '.join(sorted(access.ALLOWED))}")
    with transaction.atomic():
        place = rowlocks.namespace(_namespace_of(member)).id
        now = clock.now()
        fresh = {"granted_at": now}
        _, made = StaffRole.objects.get_or_create(member_id=member, role=role, defaults=fresh)
        if made:
            _commit_staff(place, now=now)


def withdraw(*, member: str, role: str) -> None:
    """Take a role of the desk away. Refuses `not_found` where the member does not have it."""
    with transaction.atomic():
        place = rowlocks.namespace(_namespace_of(member)).id
        now = clock.now()
        gone, _ = StaffRole.objects.filter(member_id=member, role=role).delete()
        if not gone:
            raise NotFound(f"this member does not have the role {role}")
        _commit_staff(place, now=now)


def _namespace_of(member: str) -> str:
    found = Member.objects.filter(pk=member).values_list("namespace_id", flat=True).first()
    if found is None:
        raise NotFound("no such member")
    return found


def _commit_staff(place: str, *, now: datetime) -> None:
    """Everybody with a role, whatever it is, by the root over their pseudonyms."""
    rows = StaffRole.objects.filter(member__namespace_id=place)
    staff = sorted(set(rows.values_list("member_id", flat=True)))
    body = {"root": people.staff_root(staff).hex(), "count": len(staff)}
    record.log(Event("StaffSetCommitted", place, body), namespace=place, at=now)


def give_token(
    *,
    member: str,
    scopes: Iterable[str],
    token: str | None = None,
    name: str = "",
    days: int | None = None,
) -> str:
    """A bearer token, shown once: only its digest is kept. It lasts `days` on the machine's clock,
    None for ever. The surface has made sure who asks. Refuses `malformed` scopes."""
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= SCOPES:
        raise Malformed(f"scopes are {', '.join(sorted(SCOPES))}")
    text = token or random.token_urlsafe(32)
    with transaction.atomic():
        row = Member.objects.filter(pk=member).first()
        if row is None:
            raise NotFound("no such member")
        if "desk" in wanted and not row.snapshot().roles and name:
            raise NotAllowed("the scope desk is for the handle team")
        now = clock.machine()
        fields = {
            "member_id": member,
            "scopes": wanted,
            "name": name[:60],
            "made_at": now,
            "expires_at": now + timedelta(days=days) if days else None,
        }
        Token.objects.get_or_create(digest=secrets.digest(text), defaults=fields)
    return text


def revoke_token(*, member: str, ref: str) -> None:
    """One of the member's own, by the beginning of its digest. Refuses `not_found`."""
    mine = Token.objects.filter(member_id=member, revoked_at=None, digest__startswith=ref)
    if len(ref) < REF or mine.update(revoked_at=clock.machine()) == 0:
        raise NotFound("no such token")


def payout_account(*, member: str, provider: str, account: str) -> None:
    """Where the provider pays the member's proceeds to; ready to be used."""
    with transaction.atomic():
        now = clock.now()
        PayoutAccount.objects.update_or_create(
            member_id=member,
            defaults={"provider": provider, "account": account, "ready_at": now},
        )


def expect_namespace(namespace: str) -> None:
    """Refuses `not_found` before anybody joins what is not there."""
    if not Namespace.objects.filter(pk=namespace).exists():
        raise NotFound(f"there is no namespace {namespace}: onym init makes it")


def by_mail(*, namespace: str, mail: str) -> Member:
    """The member with this verified address. Refuses `not_found`."""
    row = (
        MailAddress.objects.select_related("member")
        .filter(
            namespace_id=namespace,
            address_index=secrets.index(mail, purpose="mail"),
            replaced_at=None,
        )
        .first()
    )
    if row is None:
        raise NotFound("no member has this address")
    return row.member


def set_country(*, member: str, country: str) -> None:
    """Where the member lives, as their taxes need it. Refuses `malformed`."""
    code = tax.country(country)
    with transaction.atomic():
        row = rowlocks.member(member)
        row.country = code
        row.save(update_fields=["country"])


def set_name(*, member: str, name: str) -> None:
    """What the member is called, compared with the list anew; whatever an earlier name is held for
    stays held. Refuses `malformed`, `rate_limited`, `screening_stale`.
    """
    text = people.name(name)
    limits.spend("name", who=member)
    with transaction.atomic():
        row = rowlocks.member(member)
        row.name_sealed = secrets.seal(text, place=f"member.name/{member}")
        row.save(update_fields=["name_sealed"])
        screening.look(row)


def found(
    *,
    namespace: str,
    title: str,
    profile: str,
    currency: str,
    custodian: str,
    phase: str,
    release_stop: bool = True,
) -> None:
    """A new namespace; a second time is nothing."""
    with transaction.atomic():
        now = clock.now()
        Namespace.objects.get_or_create(
            pk=namespace,
            defaults={
                "title": title,
                "profile": profile,
                "currency": currency,
                "custodian_account_id": custodian,
                "phase": phase,
                "release_stop": release_stop,
                "created_at": now,
            },
        )


def keep_with(*, namespace: str, custodian: str) -> None:
    """The account that detached handles are kept with, as the platform names it.

    Refuses `not_allowed` while handles lie with another: they would be looked for in vain.
    """
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        before = place.custodian_account_id
        if before == custodian:
            return
        if Handle.objects.filter(namespace=place, account_id=before).exists():
            raise NotAllowed(
                f"the platform names {custodian} as its custodian, and handles lie with {before}: "
                "move them on the platform, or let it name the same account again"
            )
        place.custodian_account_id = custodian
        place.save(update_fields=["custodian_account_id"])


def house(*, namespace: str, name: str) -> None:
    """The house member: the operator as a seller and a buyer; a second time is nothing."""
    with transaction.atomic():
        place = rowlocks.namespace(namespace)
        if Member.objects.filter(namespace=place, is_house=True).exists():
            return
        id_ = ids.new("mbr")
        Member.objects.create(
            id=id_,
            namespace=place,
            name_sealed=secrets.seal(name, place=f"member.name/{id_}"),
            is_house=True,
            created_at=clock.now(),
        )
