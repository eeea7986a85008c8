"""Balance transactions: the line that each movement of money leaves on a balance."""

from __future__ import annotations

from onym_demo.payments import books, wire
from onym_demo.payments.provider import Call, Provider, sale_of
from onym_demo.payments.wire import JSON


def write(
    provider: Provider,
    *,
    kind: str,
    source: str,
    target: str,
    minor: int,
    body: JSON,
    sale_id: str = "",
) -> JSON:
    """Move money between two books for `body` and write a line for each balance it touches.

    Returns the line of the platform if it is touched, else that of the connected account.
    """
    lines = []
    for book, amount in ((source, -minor), (target, minor)):
        if book == books.PLATFORM or book.startswith("account:"):
            lines.append(_line(provider, kind, book, amount, body))
    books.move(
        provider.state,
        entry=lines[0]["id"],
        source=source,
        target=target,
        minor=minor,
        currency=body["currency"],
        why=kind,
        sale_id=sale_id or sale_of(body),
        at=provider.now(),
    )
    return lines[0]


def _line(provider: Provider, kind: str, book: str, amount: int, body: JSON) -> JSON:
    at = provider.now()
    line = {
        "id": wire.new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": at,
        "created": at,
        "currency": body["currency"],
        "description": body.get("description"),
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": kind,
        "source": body["id"],
        "status": "available",
        "type": kind,
    }
    owner = book.removeprefix("account:") if book.startswith("account:") else ""
    return provider.state.put(line, account=owner)


def retrieve(provider: Provider, call: Call) -> JSON:
    line = provider.state.find("balance_transaction", call.id, account=call.account)
    if line is None:
        raise wire.missing(noun="balance transaction", identity=call.id)
    return line


def balance(provider: Provider, call: Call) -> JSON:
    """The balance of the platform, or of the connected account that is acted for."""
    book = books.account(call.account) if call.account else books.PLATFORM
    available = [
        {"amount": minor, "currency": currency, "source_types": {"card": minor}}
        for currency, minor in sorted(books.balances(provider.state, book=book).items())
    ]
    return {"object": "balance", "available": available, "pending": [], "livemode": False}
