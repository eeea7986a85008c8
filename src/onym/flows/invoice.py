"""Issuing: an invoice when a sale's money is in escrow, a credit note when it went back.

Both run in the transaction of the flow that books the money, so that numbers have no gaps.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.conf import settings

from onym.core import invoice as core
from onym.core.money import Money
from onym.store import ids, rowlocks, secrets
from onym.store.models import Invoice, Sale


def issue(sale: Sale, *, now: datetime) -> None:
    """The invoice of a funded sale, to its buyer; the house bills itself nothing."""
    if not sale.buyer.is_house:
        _write(sale, core.Kind.INVOICE, credits="", now=now)


def credit(sale: Sale, *, now: datetime) -> None:
    """The sale's invoice is taken back in full; without one there is nothing to take back."""
    billed = Invoice.objects.filter(sale=sale, kind=core.Kind.INVOICE).first()
    if billed is not None:
        _write(sale, core.Kind.CREDIT_NOTE, credits=billed.number, now=now)


def _write(sale: Sale, kind: core.Kind, *, credits: str, now: datetime) -> None:
    series = rowlocks.invoice_series(sale.namespace_id, kind=kind, year=now.year)
    series.last += 1
    series.save(update_fields=["last"])
    facts = core.facts(
        number=core.number(kind, year=now.year, place=series.last),
        kind=kind,
        at=now,
        gross=sale.money("gross"),
        lines=_lines(sale),
        tax=sale.tax_facts,
        about=_about(sale, credits),
    )
    id_ = ids.new("bil")
    Invoice.objects.create(
        id=id_,
        namespace_id=sale.namespace_id,
        kind=kind,
        year=now.year,
        place=series.last,
        sale=sale,
        member=sale.buyer,
        gross_minor=sale.gross_minor,
        tax_minor=sale.tax_minor,
        currency=sale.currency,
        facts_sealed=secrets.seal(json.dumps(facts), place=f"invoice.facts/{id_}"),
        sha256=core.sha256(facts),
        issued_at=now,
    )


def _lines(sale: Sale) -> list[dict[str, Any]]:
    """By what the buyer pays: of the commission, own part only."""
    service = sale.gross_minor - sale.price_minor - sale.fee_minor - sale.tax_minor
    return core.lines(
        price=sale.money("price"),
        commission=Money(service, sale.currency),
        fee=sale.money("fee"),
        tax=sale.money("tax"),
    )


def _about(sale: Sale, credits: str) -> dict[str, Any]:
    return {
        "sale": sale.id,
        "handle": sale.handle.display,
        "issuer": settings.INVOICE_ISSUER,
        "buyer": {"id": sale.buyer_id, "name": sale.buyer.name, "country": sale.buyer.country},
        "seller": {"id": sale.seller_id, "house": sale.seller.is_house},
        "credits": credits,
    }
