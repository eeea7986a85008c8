"""The desk's view: what waits for a second person, switches, published documents."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Count, Subquery, Value
from django.db.models.functions import Coalesce

from onym.core import fees, guidelines
from onym.core.errors import NotFound
from onym.core.money import MINOR_DIGITS, Money
from onym.queries import approval, bank, ground, invitation, listing, sale
from onym.queries.ground import Ground
from onym.store.desk import document
from onym.store.models import (
    Appeal,
    Approval,
    BankLine,
    BankOrder,
    Campaign,
    Document,
    Event,
    Listing,
    Member,
    Namespace,
    Plan,
    Reclaim,
    Sale,
    ScreeningCase,
    ShortlistEntry,
    Sweep,
)

SHOWN = 50


def approvals(namespace: str) -> list[dict[str, Any]]:
    """What waits for a second person, the oldest first."""
    rows = Approval.objects.filter(namespace_id=namespace, state="open").order_by("id")
    return [approval_view(row) for row in rows]


def approval_view(row: Approval) -> dict[str, Any]:
    """The shape of an approval; sealed contacts stay sealed."""
    price = row.payload.get("price")
    return {
        "id": row.id,
        "action": row.action,
        "summary": approval.summary(action=row.action, payload=row.payload, facts=row.facts),
        "handle": row.payload.get("handle"),
        "price": Money(int(price["minor"]), price["currency"]) if price else None,
        "shown": row.shown,
        "proposed_by": row.proposed_by_id,
        "proposed_at": row.proposed_at,
        "state": row.state,
    }


def frame(looked: Ground) -> dict[str, Any]:
    """What stands around each page of the desk, in one statement: `tasks`, how much waits on which
    page, and the `threshold`, the price from which on staff need a second person (None: unknown).
    """
    place = looked.place
    open_cases = (
        Approval.objects.filter(namespace=place, state="open"),
        Appeal.objects.filter(namespace=place, state="open"),
        Reclaim.objects.filter(
            plan__namespace=place, listed_at__isnull=False, ended_at=None, confirmed_by=None
        ),
        Sale.objects.filter(namespace=place, state="disputed"),
    )
    rows = Namespace.objects.filter(pk=place.pk).values_list(
        sum((_number(rows) for rows in open_cases[1:]), start=_number(open_cases[0])),
        _number(Sweep.objects.filter(namespace=place, state="running")),
        _number(ShortlistEntry.objects.filter(namespace=place, removed_at=None)),
        _number(Campaign.objects.filter(namespace=place, state="draft")),
        _number(BankLine.objects.filter(namespace=place, rest_minor__gt=0, waits=False)),
        _number(ScreeningCase.objects.filter(namespace=place, state="open")),
        Subquery(_in_force(looked, "guidelines").values("text")[:1]),
    )
    *counts, text = rows[0]
    return {
        "tasks": dict(
            zip(
                ("queue", "sweeps", "shortlist", "campaigns", "bank", "screening"),
                counts,
                strict=True,
            )
        ),
        "threshold": _threshold(text, place.currency) if text else None,
    }


def _in_force(looked: Ground, kind: str) -> Any:
    rows = Document.objects.filter(namespace=looked.place, kind=kind)
    return rows.filter(effective_from__lte=looked.now).order_by("-effective_from", "-id")


def _threshold(text: str, currency: str) -> Money | None:
    whole = guidelines.parse(text).approval.get(currency)
    return Money(whole * 10 ** MINOR_DIGITS[currency], currency) if whole is not None else None


def _number(rows: Any) -> Any:
    counted = rows.order_by().values(_=Value(1)).annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


def terms(looked: Ground, price: Money) -> dict[str, Any]:
    """What a sale by the house at `price` comes to, and whether a second person is needed.

    Refuses what a listing refuses of a price.
    """
    row = document(namespace=looked.id, kind="fees", at=looked.now)
    if row is None:
        raise NotFound("no fee schedule is in force")
    schedule = fees.Schedule.from_toml(row.text, currency=looked.place.currency)
    found = fees.split(price=price.expect(looked.place.currency), schedule=schedule, kind="primary")
    return {
        "price": price,
        "gross": found.gross,
        "fee": found.fee,
        "commission": found.commission,
        "proceeds": found.proceeds,
        "fees": schedule.key,
        "needs_two": guidelines_of(looked).needs_two(price),
    }


def guidelines_of(looked: Ground) -> guidelines.Guidelines:
    """The guidelines in force."""
    row = document(namespace=looked.id, kind="guidelines", at=looked.now)
    if row is None:
        raise NotFound("no guidelines are in force")
    return guidelines.parse(row.text)


TURNS = ("PhaseSet", "ReleaseStopSet", "AreaStopSet", "WholeAccountsSet")
"""Events that tell of a switch."""


def turned(looked: Ground) -> list[dict[str, Any]]:
    """Every turn of a switch, the latest first, with its leaf and who did it."""
    rows = Event.objects.filter(namespace=looked.place, type__in=TURNS).order_by("-seq")[:SHOWN]
    found = [(row, json.loads(bytes(row.entry))["body"]) for row in rows]
    people = Member.objects.in_bulk({body["by"] for _, body in found if "by" in body})
    return [
        {
            "at": row.at,
            "leaf": row.leaf_index,
            "phase": body.get("after"),
            "before": body.get("before"),
            "on": body.get("on"),
            "area": body.get("area"),
            "whole": row.type == "WholeAccountsSet",
            "who": name_of(people.get(body.get("by", ""))),
            "approved": "approval" in body,
        }
        for row, body in found
    ]


def name_of(member: Member | None) -> str:
    """What colleagues call a member of the handle team."""
    return (member.name or member.id) if member else ""


def outcome(made: Any) -> tuple[int, Any]:
    """Status and body of a desk act: 202 and the approval while a second person is needed."""
    if isinstance(made, Approval):
        return 202, {"approval": approval_view(made)}
    if isinstance(made, Listing):
        return 201, listing.view(made)
    if isinstance(made, Campaign):
        return 201, invitation.campaign_view(made)
    if isinstance(made, Sale):
        return 201, sale.view(made)
    if isinstance(made, Plan):
        policy = {"id": made.policy_name, "version": made.policy_version}
        return 201, {"id": made.id, "policy": policy, "stages": made.stages}
    if isinstance(made, BankLine):
        return 200, bank.line_view(made)
    if isinstance(made, BankOrder):
        return 200, bank.order_view(made)
    return 200, made


def switches(namespace: str | Ground) -> dict[str, Any]:
    """Phase and release stop, as every page shows them."""
    looked = ground.of(namespace)
    row = looked.place
    return {
        "namespace": row.id,
        "title": row.title,
        "phase": row.phase,
        "release_stop": row.release_stop,
        "whole_accounts": row.whole_accounts,
        "stopped": list(looked.stopped),
        "currency": row.currency,
        "now": looked.now,
    }


def documents(namespace: str, kind: str) -> list[dict[str, Any]]:
    """All versions of a kind of document, the latest to take effect first."""
    rows = Document.objects.filter(namespace_id=namespace, kind=kind)
    return [
        {
            "id": row.name,
            "version": row.version,
            "effective_from": row.effective_from,
            "sha256": row.sha256,
            "text": row.text,
        }
        for row in rows.order_by("-effective_from", "-id")
    ]
