"""A handle as everybody may see it: the row if somebody touched it, else the snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from onym.core.errors import HandleMalformed, NotFound
from onym.core.handle import State
from onym.core.names import canon
from onym.core.policies import reading as policies
from onym.core.policies.model import Policy
from onym.queries import appraisal
from onym.store import clock
from onym.store.desk import document
from onym.store.models import (
    DirectoryImport,
    Handle,
    ListEntry,
    Listing,
    Namespace,
    Sale,
    SaleSlot,
    Tenure,
)
from onym.sweep import directory as directories

LISTED = {
    "prohibited": State.PROHIBITED,
    "retired": State.RETIRED,
    "protected": State.PROTECTED,
    "reserved": State.RESERVED,
}
MOST = 100
HREFS = {"listing": "/listings/", "sale": "/sales/", "lot": "/lots/", "drop": "/drops/"}


def namespace(id_: str) -> Namespace:
    """The namespace. Refuses `not_found`."""
    row = Namespace.objects.filter(pk=id_).first()
    if row is None:
        raise NotFound("no such namespace")
    return row


def directory(place: str) -> directories.Directory | None:
    """The last import's snapshot."""
    row = DirectoryImport.objects.filter(namespace_id=place).order_by("-at", "-id").first()
    return directories.cached(Path(row.path)) if row else None


def account(place: str, account_id: str) -> Mapping[str, Any] | None:
    """An account of the last import."""
    known = directory(place)
    return known.by_account(account_id) if known else None


def handle(place: str, name: str) -> dict[str, Any]:
    """The whole handle object. Refuses `handle_malformed`, `not_found` for the namespace."""
    row = namespace(place)
    canonical = canon(name, row.profile)
    found = Handle.objects.filter(namespace=row, handle=canonical).first()
    holder = _account_of(place, canonical)
    now = clock.now()
    view = _brief(row, canonical, found=found, account=holder, now=now)
    view["tenures"] = _tenures(found, holder)
    view["valid_since"] = view["tenures"][-1]["held_from"] if view["holder"] else None
    view["appraisal"]["comparables"] = appraisal.comparables(place, canonical)
    return view


def _account_of(place: str, canonical: str) -> Mapping[str, Any] | None:
    known = directory(place)
    return known.by_handle(canonical) if known else None


def _brief(
    place: Namespace,
    canonical: str,
    *,
    found: Handle | None,
    account: Mapping[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    holder = found.account_id if found else account["account_id"] if account else None
    return {
        "namespace": place.id,
        "handle": canonical,
        "display": _display(canonical, found, account),
        "state": _state(place, canonical, found=found, account=account, now=now),
        "locked": bool(found and found.locked_by),
        "holder": {"account_id": holder} if holder else None,
        "tier": appraisal.tier(canonical, rules=policy(place.id, now)),
        "appraisal": appraisal.appraise(place.id, canonical, account=account, now=now),
        "sale": _sale(found),
        "redirect_to": found.redirect_to if found else None,
        "changed_hands_at": found.changed_hands_at if found else None,
    }


def _display(canonical: str, found: Handle | None, account: Mapping[str, Any] | None) -> str:
    if found:
        return found.display
    return str(account["display"]) if account else canonical


def _state(
    place: Namespace,
    canonical: str,
    *,
    found: Handle | None,
    account: Mapping[str, Any] | None,
    now: datetime,
) -> str:
    if found is not None and found.state not in (State.HELD, State.FREE):
        return found.state
    entries = ListEntry.objects.filter(namespace=place, handle=canonical)
    listed = set(entries.values_list("list", flat=True))
    for name, state in LISTED.items():
        if name in listed:
            return state
    if found is not None:
        return found.state
    if account is None:
        return State.FREE
    return State.HELD


def policy(place: str, now: datetime) -> Policy:
    """The policy in force, parsed; the built-in one while none is published."""
    row = document(namespace=place, kind="policy", at=now)
    return _parsed(row.text, f"{row.name}/{row.version}") if row else appraisal.default_rules()


@lru_cache(maxsize=16)
def _parsed(text: str, source: str) -> Policy:
    return policies.read(text, source)


def _sale(found: Handle | None) -> dict[str, Any] | None:
    slot = SaleSlot.objects.filter(handle=found).first() if found else None
    if slot is None:
        return None
    mechanism = slot.kind
    if slot.kind == "sale":
        mechanism = Sale.objects.values_list("mechanism", flat=True).get(pk=slot.ref)
    brief: dict[str, Any] = {
        "id": slot.ref,
        "mechanism": mechanism,
        "href": f"{HREFS[slot.kind]}{slot.ref}",
    }
    if slot.kind == "listing":
        listing = Listing.objects.get(pk=slot.ref)
        brief["price"] = {"minor": listing.price_minor, "currency": listing.currency}
    return brief


def _tenures(found: Handle | None, account: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if found is not None:
        rows = Tenure.objects.filter(handle=found).order_by("held_from")
        return [
            {
                "account_id": row.account_id,
                "held_from": row.held_from,
                "held_to": row.held_to,
                "cause": row.cause,
            }
            for row in rows
        ]
    if account is None:
        return []
    since = account["created_at"] or datetime(1970, 1, 1, tzinfo=UTC)
    one = {"account_id": account["account_id"], "held_from": since, "held_to": None}
    return [one | {"cause": "registered"}]


def search(
    place: str,
    *,
    q: str = "",
    match: str = "prefix",
    tier: str = "",
    min_length: int = 0,
    max_length: int = 0,
    sale: str = "",
    max_price_minor: int = 0,
    sort: str = "",
    after: str = "",
    limit: int = 50,
) -> dict[str, Any]:
    """Handles that match, in order; `covers` says whether untouched ones were looked at.

    Exact and prefix without facets cover everything, facets and fuzzy those with a row.
    """
    row = namespace(place)
    limit = max(1, min(limit, MOST))
    faceted = bool(tier or min_length or max_length or sale or max_price_minor or sort)
    if match in ("prefix", "exact") and not faceted and q:
        names = _everywhere(row, q=q, exact=match == "exact", after=after, limit=limit + 1)
        covers = "everything"
    else:
        names = _touched(
            row,
            q=q,
            match=match,
            sale=sale,
            lengths=(min_length, max_length),
            max_price_minor=max_price_minor,
            sort=sort,
            after=after,
            limit=limit + 1,
        )
        covers = "touched"
    items = [_item(row, name) for name in names[:limit]]
    if tier:
        items = [item for item in items if item["tier"]["name"] == tier]
    following = names[limit - 1] if len(names) > limit else None
    return {"items": items, "next": following, "covers": covers}


def _item(place: Namespace, canonical: str) -> dict[str, Any]:
    found = Handle.objects.filter(namespace=place, handle=canonical).first()
    holder = _account_of(place.id, canonical)
    return _brief(place, canonical, found=found, account=holder, now=clock.now())


def _everywhere(place: Namespace, *, q: str, exact: bool, after: str, limit: int) -> list[str]:
    try:
        start = canon(q, place.profile)
    except HandleMalformed:
        return []
    if exact:
        return [start]
    rows = Handle.objects.filter(namespace=place, handle__startswith=start)
    if after:
        rows = rows.filter(handle__gt=after)
    touched = list(rows.order_by("handle").values_list("handle", flat=True)[:limit])
    known = directory(place.id)
    found = known.prefix(start, after=after or None, limit=limit) if known else []
    return sorted({*touched, *(account["canonical"] for account in found)})[:limit]


def _touched(
    place: Namespace,
    *,
    q: str,
    match: str,
    sale: str,
    lengths: tuple[int, int],
    max_price_minor: int,
    sort: str,
    after: str,
    limit: int,
) -> list[str]:
    rows = Handle.objects.filter(namespace=place)
    if q and match == "fuzzy":
        rows = rows.filter(handle__trigram_similar=q.lower())
    elif q:
        rows = rows.filter(handle__startswith=q.lower())
    if sale:
        rows = rows.filter(saleslot__kind=sale)
    if max_price_minor:
        priced = {"listing__state": "open", "listing__price_minor__lte": max_price_minor}
        rows = rows.filter(**priced)
    if lengths[0]:
        rows = rows.filter(handle__length__gte=lengths[0])
    if lengths[1]:
        rows = rows.filter(handle__length__lte=lengths[1])
    if after:
        rows = rows.filter(handle__gt=after)
    order = {"price": "listing__price_minor"}.get(sort, "handle")
    return list(rows.order_by(order, "handle").values_list("handle", flat=True)[:limit])
