"""A member's statement, and the fees and policies in force."""

from __future__ import annotations

import csv
import io

from django.http import HttpRequest, HttpResponse
from ninja import Router

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.queries import desk
from onym.queries import ledger as queries

router = Router(tags=["statement"])


@router.get("/statement", auth=MEMBERS)
def statement(request: HttpRequest, format: str = "json", month: str = "") -> HttpResponse:
    """Every posting on the member's accounts, or those of a `month` such as 2026-11.

    `format=csv` for a spreadsheet.
    """
    who = wire.caller(request, "read")
    found = queries.statement(who.id, month=month)
    return as_csv(found["items"]) if format == "csv" else wire.respond(200, found)


def as_csv(items: list[dict[str, object]]) -> HttpResponse:
    """The lines with amounts in minor units."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["at", "kind", "ref", "account", "amount_minor", "balance_minor", "currency"])
    for item in map(wire.plain, items):
        money = item["amount"]
        row = [item["at"], item["kind"], item["ref"], item["account"]]
        writer.writerow([*row, money["minor"], item["balance"]["minor"], money["currency"]])
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="statement.csv"'
    return answer


@router.get("/policies", auth=None)
def policies(request: HttpRequest) -> HttpResponse:
    """Every published version of every policy."""
    return wire.respond(200, {"items": desk.documents(wire.place(request), "policy"), "next": None})


@router.get("/fees", auth=None)
def fees(request: HttpRequest) -> HttpResponse:
    """Every published version of every fee schedule."""
    return wire.respond(200, {"items": desk.documents(wire.place(request), "fees"), "next": None})
