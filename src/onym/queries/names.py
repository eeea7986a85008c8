"""A handle as everybody may see it: the row if somebody touched it, else the snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from onym.core.money import Money
from onym.core.policies import reading as policies
from onym.core.policies.model import Policy
from onym.queries import appraisal, ground, standing, trend
from onym.queries.ground import Ground
from onym.store.models import Link, Namespace
from onym.sweep import directory as directories

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands where a tenure's beginning is unknown."""

HREFS = {"listing": "/listings/", "sale": "/sales/", "lot": "/lots/", "drop": "/drops/"}


def namespace(id_: str) -> Namespace:
    """The namespace. Refuses `not_found`."""
    return ground.of(id_).place


def directory(place: str | Ground) -> directories.Directory | None:
    """The last import's snapshot."""
    return ground.of(place).directory


def account(place: str | Ground, account_id: str) -> Mapping[str, Any] | None:
    """An account of the last import."""
    known = directory(place)
    return known.by_account(account_id) if known else None


def accounts_of(member: str) -> tuple[str, ...]:
    """The accounts that a member has proven to hold."""
    rows = Link.objects.filter(member_id=member, unlinked_at=None)
    rows = rows.order_by("-is_primary", "id")
    return tuple(rows.values_list("account_id", flat=True))


def handle(place: str | Ground, name: str) -> dict[str, Any]:
    """The whole handle object. Refuses `handle_malformed`, `not_found` for the namespace."""
    looked = ground.of(place)
    found = standing.seen(namespace=looked, handle=name)
    return whole(looked, found, trend.settled(looked.id, handle=found.handle))


def whole(looked: Ground, found: standing.Seen, sold: list[dict[str, Any]]) -> dict[str, Any]:
    """The same of a handle that was looked at; `sold` are settled sales to compare it with."""
    return told(looked, found, appraisal.comparables(found.handle, sold))


def told(looked: Ground, found: standing.Seen, near: list[dict[str, Any]]) -> dict[str, Any]:
    """The same with the sales `near` it, as `appraisal.comparables` gives them."""
    view = brief(looked, found)
    view["tenures"] = _tenures(found.row, found.account)
    view["appraisal"]["comparables"] = near
    return view


def card(place: str | Ground, name: str) -> dict[str, Any]:
    """What a preview of a handle says: its name, state, tier and sale. Refusals as `handle`."""
    looked = ground.of(place)
    found = standing.seen(namespace=looked, handle=name)
    return {
        "handle": found.handle,
        "display": found.display,
        "state": found.standing.state.value,
        "holder": {"account_id": found.holder} if found.holder else None,
        "tier": appraisal.tier(found.handle, rules=rules(looked)),
        "sale": sale_of(found.row),
    }


def brief(looked: Ground, found: standing.Seen) -> dict[str, Any]:
    """A handle object without `tenures` and `comparables`: the items of `GET /handles`."""
    row = found.row
    return {
        "namespace": looked.id,
        "handle": found.handle,
        "display": found.display,
        "state": found.standing.state.value,
        "locked": bool(row and row.locked_by),
        "holder": {"account_id": found.holder} if found.holder else None,
        "tier": appraisal.tier(found.handle, rules=rules(looked)),
        "appraisal": appraisal.appraise(
            found.handle,
            account=found.account,
            demand=getattr(row, "demand", None),
            now=looked.now,
        ),
        "sale": sale_of(row),
        "valid_since": _valid_since(found),
        "redirect_to": redirect(row, now=looked.now),
        "changed_hands_at": row.changed_hands_at if row else None,
    }


def redirect(row: Any, *, now: datetime) -> str | None:
    """Where a retained handle leads to: the handle that its last holder has now, while it lasts."""
    is_kept = row is not None and row.retained_until is not None and now < row.retained_until
    return row.redirect_to if is_kept else None


def _valid_since(found: standing.Seen) -> datetime | None:
    """Since when the holder holds it: whatever is older was somebody else's, or nobody's.

    None: nobody holds it, or since when is not known.
    """
    tenures = _tenures(found.row, found.account)
    open_ = [one for one in tenures if one["held_to"] is None]
    since = open_[-1]["held_from"] if open_ and found.holder else None
    return since if since != EPOCH else None


def rules(looked: Ground) -> Policy:
    """The policy in force, parsed; the built-in one while none is published."""
    row = looked.policy()
    return _parsed(row.text, f"{row.name}/{row.version}") if row else appraisal.default_rules()


def beside_price(place: str | Ground, name: str) -> dict[str, Any]:
    """What staff see of a handle beside the price they set: model, tier, low, mid and high.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    looked = ground.of(place)
    seen = brief(looked, standing.seen(namespace=looked, handle=name))
    return {
        "model": f"onym/{appraisal.model().version}",
        "tier": seen["tier"]["name"],
        **{figure: seen["appraisal"][figure] for figure in ("low", "mid", "high")},
    }


@lru_cache(maxsize=16)
def _parsed(text: str, source: str) -> Policy:
    return policies.read(text, source)


def sale_of(row: Any) -> dict[str, Any] | None:
    """What fills the sale slot of a row, as `standing.touched` gives it; None: nothing."""
    slot = getattr(row, "saleslot", None)
    if slot is None:
        return None
    brief: dict[str, Any] = {
        "id": slot.ref,
        "mechanism": row.mechanism if slot.kind == "sale" else slot.kind,
        "href": f"{HREFS[slot.kind]}{slot.ref}",
    }
    if slot.kind == "listing":
        brief["price"] = Money(row.price_minor, row.price_currency)
        brief["term"] = row.listing_term
    return brief


def _tenures(row: Any, account: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if row is not None:
        ends = ("held_from", "held_to")
        return [one | {end: _instant(one[end]) for end in ends} for one in row.tenures]
    if account is None:
        return []
    since = account["created_at"] or EPOCH
    one = {"account_id": account["account_id"], "held_from": since, "held_to": None}
    return [one | {"cause": "registered"}]


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def tenure_line(tenures: list[dict[str, Any]], *, now: datetime) -> list[dict[str, Any]]:
    """Tenures and the gaps between them on one line from the first day to now, in order.

    Each piece has `account_id` (None: nobody), `held_from`, `held_to`, `cause` and its share of
    the line in thousandths; the shares sum to 1000 unless the line is empty.
    """
    pieces: list[dict[str, Any]] = []
    for tenure in tenures:
        end = pieces[-1]["held_to"] if pieces else tenure["held_from"]
        if end < tenure["held_from"]:
            gap = {"held_from": end, "held_to": tenure["held_from"], "cause": "nobody"}
            pieces.append({"account_id": None, **gap})
        pieces.append(tenure | {"held_to": tenure["held_to"] or max(now, tenure["held_from"])})
    if pieces and pieces[-1]["held_to"] < now:
        gap = {"held_from": pieces[-1]["held_to"], "held_to": now, "cause": "nobody"}
        pieces.append({"account_id": None, **gap})
    return _shared(pieces)


def _shared(pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Cumulative rounding, so that the shares always fill the line."""
    start = pieces[0]["held_from"] if pieces else None
    whole = (pieces[-1]["held_to"] - start).total_seconds() if pieces else 0.0
    done, shown = 0, []
    for piece in pieces:
        until = (piece["held_to"] - start).total_seconds() / whole if whole else 1.0
        shown.append(piece | {"share": round(1000 * until) - done})
        done = round(1000 * until)
    return shown
