"""Transfers to connected accounts, their reversals, and payouts to a bank."""

from __future__ import annotations

from onym_demo.payments import books, events, ledger_lines, wire
from onym_demo.payments.provider import Call, Provider, sale_of
from onym_demo.payments.wire import JSON, WireError

FIELDS = ["amount", "currency", "destination", "transfer_group"]
FIELDS += ["description", "source_transaction"]
PAYOUT_FIELDS = ["amount", "currency", "description", "method", "statement_descriptor"]


def create(provider: Provider, call: Call) -> JSON:
    wire.only(call.params, FIELDS)
    amount, currency = wire.whole(call.params, "amount"), wire.currency(call.params)
    name = wire.word(call.params, "destination")
    _check_account(provider, name)
    _check_balance(provider, books.PLATFORM, amount, currency)
    transfer: JSON = {
        "id": wire.new_id("tr"),
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": provider.now(),
        "currency": currency,
        "description": wire.word(call.params, "description", default="") or None,
        "destination": name,
        "livemode": False,
        "metadata": wire.metadata(call.params),
        "reversed": False,
        "source_transaction": wire.word(call.params, "source_transaction", default="") or None,
        "transfer_group": wire.word(call.params, "transfer_group", default="") or None,
    }
    line = ledger_lines.write(
        provider,
        kind="transfer",
        source=books.PLATFORM,
        target=books.account(name),
        minor=amount,
        body=transfer,
    )
    provider.state.put(transfer | {"balance_transaction": line["id"]})
    events.record(provider, "transfer.created", transfer)
    return transfer | {"balance_transaction": line["id"]}


def _check_account(provider: Provider, name: str) -> None:
    account = provider.state.find("account", name)
    if account is None:
        raise wire.missing(noun="destination", identity=name, param="destination", status=400)
    if account["capabilities"]["transfers"] != "active":
        raise WireError(
            "Your destination account needs the transfers capability.",
            code="insufficient_capabilities_for_transfer",
        )


def _check_balance(provider: Provider, book: str, amount: int, currency: str) -> None:
    if books.balance(provider.state, book=book, currency=currency) < amount:
        raise WireError(
            "You have insufficient available funds for this.", code="balance_insufficient"
        )


def retrieve(provider: Provider, call: Call) -> JSON:
    transfer = provider.state.find("transfer", call.id)
    if transfer is None:
        raise wire.missing(noun="transfer", identity=call.id)
    return transfer


def reverse(provider: Provider, call: Call) -> JSON:
    """Bring money back from a connected account, up to what was transferred."""
    wire.only(call.params, ["amount", "description"])
    transfer = retrieve(provider, call)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = wire.whole(call.params, "amount") if "amount" in call.params else left
    if not 0 < amount <= left:
        raise WireError("More than is left on this transfer.", code="transfer_already_reversed")
    source = books.account(transfer["destination"])
    _check_balance(provider, source, amount, transfer["currency"])
    reversal: JSON = {
        "id": wire.new_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "created": provider.now(),
        "currency": transfer["currency"],
        "metadata": wire.metadata(call.params),
        "transfer": transfer["id"],
    }
    ledger_lines.write(
        provider,
        kind="transfer_reversal",
        source=source,
        target=books.PLATFORM,
        minor=amount,
        body=reversal,
        sale_id=sale_of(transfer),
    )
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    provider.state.put(transfer)
    events.record(provider, "transfer.reversed", transfer)
    return provider.state.put(reversal)


def pay_out(provider: Provider, call: Call) -> JSON:
    """Money leaves the balance of the platform or of the account acted for, to its bank."""
    wire.only(call.params, PAYOUT_FIELDS)
    amount, currency = wire.whole(call.params, "amount"), wire.currency(call.params)
    book = books.account(call.account) if call.account else books.PLATFORM
    _check_balance(provider, book, amount, currency)
    payout: JSON = {
        "id": wire.new_id("po"),
        "object": "payout",
        "amount": amount,
        "arrival_date": provider.now(),
        "automatic": False,
        "created": provider.now(),
        "currency": currency,
        "description": wire.word(call.params, "description", default="") or None,
        "livemode": False,
        "metadata": wire.metadata(call.params),
        "method": "standard",
        "status": "in_transit",
        "type": "bank_account",
    }
    line = ledger_lines.write(
        provider, kind="payout", source=book, target=books.BANK, minor=amount, body=payout
    )
    payout["balance_transaction"] = line["id"]
    provider.state.put(payout, account=call.account)
    due = provider.clock.machine() + provider.options.settle_seconds
    provider.state.db.execute(
        "INSERT INTO timers (due, id, outcome) VALUES (?, ?, 'paid')", (due, payout["id"])
    )
    events.record(provider, "payout.created", payout, account=call.account)
    return payout


def arrive(provider: Provider, identity: str) -> JSON:
    """The bank has it."""
    row = provider.state.rows("SELECT account, body FROM objects WHERE id = ?", identity)[0]
    payout = (provider.state.any(identity) or {}) | {"status": "paid"}
    provider.state.put(payout, account=row["account"])
    events.record(provider, "payout.paid", payout, account=row["account"])
    return payout


def retrieve_payout(provider: Provider, call: Call) -> JSON:
    payout = provider.state.find("payout", call.id, account=call.account)
    if payout is None:
        raise wire.missing(noun="payout", identity=call.id)
    return payout
