"""Invoices and credit notes: what one says is fixed when issued, and sums to what was paid."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from onym.core.events import canonical, instant
from onym.core.money import Money


class Kind(StrEnum):
    """What is issued to the buyer; each kind has numbers of its own."""

    INVOICE = "invoice"  # the sale's money is in escrow
    CREDIT_NOTE = "credit_note"  # it went back: takes an invoice back in full


LETTERS = {Kind.INVOICE: "I", Kind.CREDIT_NOTE: "C"}


def number(kind: Kind, *, year: int, place: int) -> str:
    """`I-2026-000001`: without gaps in a namespace and a year."""
    return f"{LETTERS[kind]}-{year}-{place:06}"


def lines(*, price: Money, commission: Money, fee: Money, tax: Money) -> list[dict[str, Any]]:
    """What the buyer pays for, without what is nothing; they sum to the gross."""
    parts = {"price": price, "commission": commission, "fee": fee, "tax": tax}
    return [{"what": what, "minor": str(money.minor)} for what, money in parts.items() if money]


def facts(
    *,
    number: str,
    kind: Kind,
    at: datetime,
    gross: Money,
    lines: list[dict[str, Any]],
    tax: Mapping[str, str],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """All that a document says, as plain values. Lines that are not the gross are a fault."""
    if sum(int(line["minor"]) for line in lines) != gross.minor:
        raise ValueError("the lines of an invoice sum to the gross")
    return {
        "number": number,
        "kind": kind.value,
        "issued_at": instant(at),
        "currency": gross.currency,
        "gross": str(gross.minor),
        "lines": lines,
        "tax": dict(tax),
        **about,
    }


def sha256(facts: Mapping[str, Any]) -> str:
    """The digest that is kept beside a document, over its canonical JSON."""
    return hashlib.sha256(canonical(dict(facts))).hexdigest()
