"""Watches: what members want to be told of, what became of it, and one letter a day about it.

Hits come from the leaves of the log, read on from a cursor in their order, so that nothing is
missed and nothing is told twice; docs/guides/watches.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from onym.core import events, policies, policy, reading
from onym.core.errors import Malformed, NotFound
from onym.core.lexicon import Lexicon
from onym.core.money import Money
from onym.core.policies.model import Policy
from onym.flows import names, record
from onym.store import clock, ids, rowlocks
from onym.store import watch as store
from onym.store.desk import document
from onym.store.models import (
    Event,
    Handle,
    Listing,
    Namespace,
    Sale,
    Watch,
    WatchHit,
)
from onym.sweep import lexicon as lexicons

MOST = 100
"""Watches of one member; and hits that one letter lists."""

BATCH = 1_000
TIERS = ("", "standard", "priority", "rare")


@dataclass(frozen=True, slots=True)
class Hit:
    """Something happened to a handle; `about` names it for ever, `seller` sold or lists it."""

    what: str
    about: str
    handle: Handle
    at: datetime
    price: Money | None = None


def handle(*, namespace: str, handle: str, by: str) -> Watch:
    """Watch a handle; one that is watched already is answered with the watch that there is.

    Refuses `handle_malformed`, `malformed` beyond `MOST`, `not_found` for the namespace.
    """
    with transaction.atomic():
        row = names.touch(namespace=namespace, handle=handle)
        return _make(namespace, by, handle_id=row.pk)


def search(
    *, namespace: str, by: str, prefix: str = "", tier: str = "", most: Money | None = None
) -> Watch:
    """Watch what a search would find: listings of handles that begin so, are of the tier, cost at
    most so much. Refuses `malformed` one that narrows nothing, and `currency_mismatch`.
    """
    start = prefix.strip().lstrip("@").lower()
    if not (start or tier or most) or tier not in TIERS or "\0" in start or len(start) > MOST:
        raise Malformed("a saved search needs a prefix, a tier or a highest price")
    with transaction.atomic():
        place = rowlocks.namespace_shared(namespace)
        if most is not None:
            most.expect(place.currency)
        minor = most.minor if most else None
        return _make(namespace, by, prefix=start, tier=tier, max_price_minor=minor)


def _make(namespace: str, by: str, **wish: object) -> Watch:
    rowlocks.member(by)
    now = clock.now()
    mine = Watch.objects.filter(member_id=by)
    known = mine.filter(**{"handle_id": None, "prefix": "", "tier": "", **wish}).first()
    if known is not None and known.max_price_minor == wish.get("max_price_minor"):
        mine.filter(pk=known.pk).update(mail=True)
        known.mail = True
        return known
    if mine.count() >= MOST:
        raise Malformed(f"at most {MOST} watches; end one first", limit=MOST)
    last = Event.objects.filter(namespace_id=namespace).aggregate(last=Max("leaf_index"))["last"]
    rowlocks.watch_cursor(namespace, leaf=-1 if last is None else last)
    return Watch.objects.create(
        id=ids.new("wch"), namespace_id=namespace, member_id=by, made_at=now, **wish
    )


def end(*, watch_id: str, by: str) -> Watch:
    """End a watch of one's own, with its hits. Refuses `not_found`."""
    with transaction.atomic():
        rowlocks.member(by)
        row = Watch.objects.select_related("handle", "namespace").filter(pk=watch_id).first()
        if row is None or row.member_id != by:
            raise NotFound("no such watch")
        Watch.objects.filter(pk=watch_id).delete()
        row.pk = watch_id
        return row


def silence(*, token: str) -> None:
    """No more letters about watches to whom the link speaks for; what they watch is kept.

    Refuses `not_found`. A second time changes nothing.
    """
    member = store.read_token(token)
    with transaction.atomic():
        rowlocks.member(member)
        Watch.objects.filter(member_id=member).update(mail=False)


def expect_token(token: str) -> None:
    """Refuses `not_found` for a link that is not one of ours; changes nothing."""
    store.read_token(token)


# What watches wait for


def gather(*, namespace: str) -> None:
    """Read the leaves that came since the last time, at most `BATCH`; a second time is nothing."""
    with transaction.atomic():
        cursor = rowlocks.watch_cursor(namespace, leaf=-1)
        rows = Event.objects.filter(namespace_id=namespace, leaf_index__gt=cursor.leaf)
        found = list(rows.filter(type__in=store.TYPES).order_by("leaf_index")[:BATCH])
        for hit in _hits(namespace, found):
            note(hit)
        last = found[-1].leaf_index if found else None
        if last is not None:
            cursor.leaf = last
            cursor.save(update_fields=["leaf"])


def note(hit: Hit) -> None:
    """Write down what happened for whoever watches it; a second time is nothing."""
    mine = Watch.objects.filter(handle=hit.handle, made_at__lte=hit.at)
    found = [*mine, *_searches(hit)]
    seller = _sellers(hit)
    WatchHit.objects.bulk_create(
        [
            WatchHit(
                watch=watch,
                handle=hit.handle,
                what=hit.what,
                about=hit.about,
                price_minor=hit.price.minor if hit.price else None,
                at=hit.at,
            )
            for watch in found
            if watch.member_id not in seller
        ],
        ignore_conflicts=True,
    )


def _sellers(hit: Hit) -> set[str]:
    """Whoever does it need not be told of it."""
    if hit.what in ("listed", "price_changed"):
        return {*Listing.objects.filter(pk=hit.about).values_list("seller_id", flat=True)}
    pair = Sale.objects.filter(pk=hit.about).values_list("seller_id", "buyer_id")
    return {member for both in pair for member in both}


def _searches(hit: Hit) -> Iterable[Watch]:
    """Saved searches are about what can be bought: listings and their prices."""
    if hit.what not in ("listed", "price_changed") or hit.price is None:
        return []
    place, name = hit.handle.namespace, hit.handle.handle
    rows = Watch.objects.filter(namespace=place, handle=None, made_at__lte=hit.at)
    starts = ["", *(name[:end] for end in range(1, len(name) + 1))]
    fitting = [
        watch
        for watch in rows.filter(prefix__in=starts)
        if watch.max_price_minor is None or hit.price.minor <= watch.max_price_minor
    ]
    if any(watch.tier for watch in fitting):
        tier = _tier(place, name, at=hit.at)
        fitting = [watch for watch in fitting if watch.tier in ("", tier)]
    return fitting


def _hits(namespace: str, found: Iterable[Event]) -> Iterable[Hit]:
    for event in found:
        body = events.read(bytes(event.entry)).body
        row = Handle.objects.filter(namespace_id=namespace, handle=body.get("handle", "")).first()
        if row is None:
            continue  # a whole part at once: nobody watches a handle without a row
        if event.type == "ListingOpened":
            listing = Listing.objects.get(pk=event.ref)
            price = Money(listing.price_minor, listing.currency)
            yield Hit(_listed_as(listing), listing.id, row, event.at, price)
        elif event.type == "SaleSettled":
            sale = Sale.objects.get(pk=event.ref)
            yield Hit("sold", sale.id, row, event.at, sale.money("price"))
        else:
            yield Hit("released", f"{event.leaf_index}", row, event.at)


def _listed_as(listing: Listing) -> str:
    """Withdrawn and listed anew by the same seller at another price is a changed price."""
    before = Listing.objects.filter(handle_id=listing.handle_id, id__lt=listing.id).order_by("-id")
    last = before.first()
    same = last is not None and (last.seller_id, last.state) == (listing.seller_id, "withdrawn")
    changed = last is not None and same and last.price_minor != listing.price_minor
    return "price_changed" if changed else "listed"


def _tier(place: Namespace, handle: str, *, at: datetime) -> str:
    row = document(namespace=place.id, kind="policy", at=at)
    rules = _rules(row.text, f"{row.name}/{row.version}") if row else policies.built_in("x-2023")
    facts = reading.facts(handle, _words(Path(settings.DATA) / "lexicon"))
    return policy.tier(rules, facts).name


@lru_cache(maxsize=16)
def _rules(text: str, source: str) -> Policy:
    return policy.parse(text, source)


@lru_cache(maxsize=1)
def _words(path: Path) -> Lexicon:
    return lexicons.ensure(path)


# Telling


def tell(*, member: str) -> None:
    """One letter about all that a member has not been told, at most one a day.

    Early or repeated calls do nothing.
    """
    with transaction.atomic():
        row = rowlocks.member(member)
        now = clock.now()
        mine = WatchHit.objects.filter(watch__member_id=member, watch__mail=True)
        last = mine.aggregate(last=Max("told_at"))["last"]
        untold = list(mine.filter(told_at=None).select_related("handle").order_by("at", "pk"))
        if not untold or (last is not None and now < last + store.BETWEEN):
            return
        WatchHit.objects.filter(pk__in=[hit.pk for hit in untold]).update(told_at=now)
        record.notify(
            namespace=row.namespace_id,
            kind="watch_hit",
            about=f"{untold[0].pk}",
            member=member,
            now=now,
            facts=_facts(untold, member=member, currency=row.namespace.currency),
        )


def _facts(untold: list[WatchHit], *, member: str, currency: str) -> dict[str, object]:
    """Each happening once, however many watches waited for it."""
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for hit in untold:
        price = {"minor": hit.price_minor, "currency": currency} if hit.price_minor else None
        line: dict[str, object] = {"what": hit.what, "handle": hit.handle.display, "price": price}
        lines.setdefault((hit.what, hit.about), line)
    shown = list(lines.values())
    return {"hits": shown[:MOST], "more": len(shown[MOST:]), "alerts": store.token(member)}
