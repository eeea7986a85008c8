"""A handle as everybody may see it: the row if somebody touched it, else the snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from onym.core.errors import HandleMalformed, NotFound
from onym.core.money import Money
from onym.core.names import canon
from onym.core.policies import reading as policies
from onym.core.policies.model import Policy
from onym.queries import appraisal, standing
from onym.store import clock
from onym.store.desk import document
from onym.store.models import (
    DirectoryImport,
    Handle,
    Link,
    Listing,
    Namespace,
    Sale,
    SaleSlot,
    Tenure,
)
from onym.sweep import directory as directories

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


def accounts_of(member: str) -> tuple[str, ...]:
    """The accounts that a member has proven to hold."""
    rows = Link.objects.filter(member_id=member, unlinked_at=None).order_by("id")
    return tuple(rows.values_list("account_id", flat=True))


def handle(place: str, name: str) -> dict[str, Any]:
    """The whole handle object. Refuses `handle_malformed`, `not_found` for the namespace."""
    now = clock.now()
    found = standing.seen(namespace=place, handle=name, now=now)
    view = _brief(place, found, now=now)
    view["tenures"] = _tenures(found.row, found.account)
    view["valid_since"] = view["tenures"][-1]["held_from"] if view["holder"] else None
    view["appraisal"]["comparables"] = appraisal.comparables(place, found.handle)
    return view


def card(place: str, name: str) -> dict[str, Any]:
    """What a preview of a handle says: its name, state, tier and sale. Refusals as `handle`."""
    now = clock.now()
    found = standing.seen(namespace=place, handle=name, now=now)
    row, account = found.row, found.account
    return {
        "handle": found.handle,
        "display": row.display if row else account["display"] if account else found.handle,
        "state": found.standing.state.value,
        "tier": appraisal.tier(found.handle, rules=policy(place, now)),
        "sale": _sale(row),
    }


def _brief(place: str, found: standing.Seen, *, now: datetime) -> dict[str, Any]:
    row, account = found.row, found.account
    holder = row.account_id if row else account["account_id"] if account else None
    return {
        "namespace": place,
        "handle": found.handle,
        "display": row.display if row else account["display"] if account else found.handle,
        "state": found.standing.state.value,
        "locked": bool(row and row.locked_by),
        "holder": {"account_id": holder} if holder else None,
        "tier": appraisal.tier(found.handle, rules=policy(place, now)),
        "appraisal": appraisal.appraise(place, found.handle, account=account, now=now),
        "sale": _sale(row),
        "redirect_to": row.redirect_to if row else None,
        "changed_hands_at": row.changed_hands_at if row else None,
    }


def policy(place: str, now: datetime) -> Policy:
    """The policy in force, parsed; the built-in one while none is published."""
    row = document(namespace=place, kind="policy", at=now)
    return _parsed(row.text, f"{row.name}/{row.version}") if row else appraisal.default_rules()


def beside_price(place: str, name: str) -> dict[str, Any]:
    """What staff see of a handle beside the price they set: model, tier, low, mid and high.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    now = clock.now()
    found = standing.seen(namespace=place, handle=name, now=now)
    worth = appraisal.appraise(place, found.handle, account=found.account, now=now)
    return {
        "model": f"onym/{appraisal.model().version}",
        "tier": appraisal.tier(found.handle, rules=policy(place, now))["name"],
        **{figure: worth[figure] for figure in ("low", "mid", "high")},
    }


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
        brief["price"] = Money(listing.price_minor, listing.currency)
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
    now = clock.now()
    return _brief(place.id, standing.seen(namespace=place.id, handle=canonical, now=now), now=now)


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
