"""The provider's own double entry: every cent that comes in is somewhere, or went out.

Books: `cards` (buyers' cards), `platform`, `account:<id>`, `bank` (paid out), `disputes`.
"""

from __future__ import annotations

from collections import defaultdict

from onym_demo.payments.state import State
from onym_demo.payments.wire import JSON

CARDS, PLATFORM, BANK, DISPUTES = "cards", "platform", "bank", "disputes"


def account(identity: str) -> str:
    return f"account:{identity}"


def move(
    state: State,
    *,
    entry: str,
    source: str,
    target: str,
    minor: int,
    currency: str,
    why: str,
    sale_id: str,
    at: int,
) -> None:
    """Two postings that sum to zero, and the two balances with them."""
    for book, amount in ((source, -minor), (target, minor)):
        state.db.execute(
            "INSERT INTO postings (entry, book, currency, minor, why, sale_id, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (entry, book, currency, amount, why, sale_id, at),
        )
        state.db.execute(
            "INSERT INTO balances (book, currency, minor) VALUES (?, ?, ?)"
            " ON CONFLICT (book, currency) DO UPDATE SET minor = minor + excluded.minor",
            (book, currency, amount),
        )


def balance(state: State, *, book: str, currency: str) -> int:
    rows = state.rows("SELECT minor FROM balances WHERE book = ? AND currency = ?", book, currency)
    return int(rows[0]["minor"]) if rows else 0


def balances(state: State, *, book: str) -> dict[str, int]:
    rows = state.rows("SELECT currency, minor FROM balances WHERE book = ?", book)
    return {row["currency"]: row["minor"] for row in rows}


def sales(state: State) -> dict[str, dict[str, int]]:
    """Per sale id: sums by reason, in minor units, as seen from the platform's book."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in state.rows(
        "SELECT sale_id, why, SUM(minor) AS minor FROM postings WHERE book = ? AND sale_id <> ''"
        " GROUP BY sale_id, why",
        PLATFORM,
    ):
        found[row["sale_id"]][row["why"]] += row["minor"]
    return {sale: dict(sums) for sale, sums in found.items()}


def summary(state: State) -> JSON:
    """Books by currency, reasons by sale, and whether every sum is zero as it must be."""
    books: dict[str, dict[str, int]] = defaultdict(dict)
    for row in state.rows(
        "SELECT book, currency, SUM(minor) AS minor FROM postings GROUP BY book, currency"
    ):
        books[row["currency"]][row["book"]] = row["minor"]
    cached = {
        (row["book"], row["currency"]): row["minor"]
        for row in state.rows("SELECT book, currency, minor FROM balances")
    }
    summed = {(b, c): minor for c, column in books.items() for b, minor in column.items()}
    differences = {currency: sum(column.values()) for currency, column in books.items()}
    return {
        "currencies": {
            currency: {
                "in": -column.get(CARDS, 0),
                "paid_out": column.get(BANK, 0),
                "disputed": column.get(DISPUTES, 0),
                "platform": column.get(PLATFORM, 0),
                "accounts": {
                    book.removeprefix("account:"): minor
                    for book, minor in sorted(column.items())
                    if book.startswith("account:")
                },
                "difference": differences[currency],
            }
            for currency, column in sorted(books.items())
        },
        "sales": sales(state),
        "balanced": not any(differences.values()) and summed == cached,
    }
