"""The desk's figures: what the operator took in and sold, week by week, and how old appeals are."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import Count, F, Min, Q, Sum
from django.db.models.functions import TruncWeek

from onym.core.money import Money
from onym.queries import appraisal, names
from onym.queries.ground import Ground
from onym.store.models import Appeal, Chargeback, Entry, Handle, Posting, Sale

WEEKS = 12
TIERS = ("rare", "priority", "standard")
TIERED = 5_000
"""Handles that one answer reads the tier of, the latest."""


def weeks(looked: Ground) -> dict[str, list[tuple[date, Any]]]:
    """The last twelve weeks (Monday, UTC), this one last: `revenue` and `sold`, empty ones too.

    Revenue is what stays with the operator: prices of the house's own sales, commissions and fees.
    """
    today = looked.now.date()
    first = today - timedelta(days=today.weekday()) - timedelta(weeks=WEEKS - 1)
    rows = Sale.objects.filter(
        namespace=looked.place, state="settled", closed_at__date__gte=first
    ).exclude(kind="house")
    known = {
        row["week"].date(): row
        for row in rows.annotate(week=TruncWeek("closed_at"))
        .values("week")
        .annotate(
            sold=Count("pk"),
            shares=Sum(F("commission_minor") + F("fee_minor")),
            own=Sum("proceeds_minor", filter=Q(kind="primary")),
        )
    }
    days = [first + timedelta(weeks=number) for number in range(WEEKS)]
    return {
        "revenue": [(day, _revenue(known.get(day), looked.place.currency)) for day in days],
        "sold": [(day, known[day]["sold"] if day in known else 0) for day in days],
    }


def _revenue(row: Any, currency: str) -> Money:
    return Money(int((row["shares"] or 0) + (row["own"] or 0)) if row else 0, currency)


def total(weeks_: list[tuple[date, Money]], *, last: int) -> Money:
    """The sum of the `last` weeks."""
    amounts = [amount for _, amount in weeks_[-last:]]
    return Money(sum(amount.minor for amount in amounts), amounts[0].currency)


def tiers(looked: Ground) -> list[tuple[str, int, int]]:
    """(tier, offered, sold): handles that the house put on sale in whatever way, and sold."""
    asked = Q(listing__seller__is_house=True) | Q(campaign__isnull=False)
    sold = Q(sale__seller__is_house=True, sale__state="settled")
    rows = Handle.objects.filter(asked | sold, namespace=looked.place).order_by("-pk")
    found = rows.annotate(sold=Count("sale", filter=sold)).values_list("handle", "sold").distinct()
    counts = {name: [0, 0] for name in TIERS}
    rules = names.rules(looked)
    for handle, times in found[:TIERED]:
        of_tier = counts.setdefault(appraisal.tier(handle, rules=rules)["name"], [0, 0])
        of_tier[0] += 1
        of_tier[1] += bool(times)
    return [(name, offered, sold_) for name, (offered, sold_) in counts.items()]


def claims(looked: Ground) -> Money:
    """What banks have taken back and nobody has made good: a claim of the house."""
    rows = Posting.objects.filter(
        account__namespace=looked.place, account__code="receivable"
    ).aggregate(owed=Sum("minor"))
    return Money(-int(rows["owed"] or 0), looked.place.currency)


def losses(namespace: str) -> list[dict[str, Any]]:
    """Each of them: what the bank took, what was made good, what is left; the oldest first."""
    met = Entry.objects.filter(kind="absorbed").values("ref")
    done = F("wallet_minor") + F("recovered_minor") + F("written_off_minor")
    mine = Q(sale__namespace_id=namespace) | Q(deposit__namespace_id=namespace)
    rows = Chargeback.objects.filter(mine, status="lost", source__in=("receivable", "wallet"))
    found = rows.exclude(pk__in=met).filter(amount_minor__gt=done).order_by("id")
    return [
        {
            "id": row.id,
            "sale": row.sale_id,
            "deposit": row.deposit_id,
            "amount": row.amount,
            "left": row.left,
            "closed_at": row.closed_at,
        }
        for row in found
    ]


def appeals(looked: Ground) -> dict[str, Any]:
    """How many appeals are open, and since when the oldest has been."""
    rows = Appeal.objects.filter(namespace=looked.place, state="open")
    found = rows.aggregate(open=Count("pk"), oldest=Min("opened_at"))
    return {
        "open": found["open"],
        "oldest": found["oldest"],
        "days": (looked.now - found["oldest"]).days if found["oldest"] else 0,
    }
