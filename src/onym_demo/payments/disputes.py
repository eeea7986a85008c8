"""Disputes: the bank takes a charge back at once, and gives it back only if the dispute is won."""

from __future__ import annotations

from onym_demo.payments import books, events, ledger_lines, wire
from onym_demo.payments.provider import Call, Provider, sale_of
from onym_demo.payments.wire import JSON, WireError

OPEN = {"needs_response", "under_review"}


def begin(provider: Provider, charge: JSON, reason: str, *, part: int | None = None) -> JSON:
    """Take back what the card still pays for (captured less refunded), or a part of it."""
    amount = min(charge["amount_captured"] - charge["amount_refunded"], part or 10**15)
    if not charge["captured"] or amount <= 0 or charge["disputed"]:
        raise WireError("This charge cannot be disputed.", code="charge_not_disputable")
    dispute: JSON = {
        "id": wire.new_id("dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": provider.now(),
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": {"has_evidence": False, "submission_count": 0},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }
    charge |= {"disputed": True, "dispute": dispute["id"]}
    provider.state.put(charge)
    _move(provider, dispute, charge, source=books.PLATFORM, target=books.DISPUTES)
    events.record(provider, "charge.dispute.created", dispute)
    events.record(provider, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def _move(provider: Provider, dispute: JSON, charge: JSON, *, source: str, target: str) -> None:
    line = ledger_lines.write(
        provider,
        kind="dispute",
        source=source,
        target=target,
        minor=dispute["amount"],
        body=dispute,
        sale_id=sale_of(charge),
    )
    dispute["balance_transactions"].append(line)
    provider.state.put(dispute)


def end(provider: Provider, identity: str, *, won: bool) -> JSON:
    """The bank decides: won gives the money back to the platform, lost leaves it with the buyer."""
    dispute = retrieve(provider, Call(id=identity))
    if dispute["status"] not in OPEN:
        raise WireError("This dispute is already closed.", code="dispute_closed")
    dispute["status"] = "won" if won else "lost"
    if won:
        charge = provider.state.find("charge", dispute["charge"]) or {}
        _move(provider, dispute, charge, source=books.DISPUTES, target=books.PLATFORM)
        provider.state.put(charge | {"disputed": False})
        events.record(provider, "charge.dispute.funds_reinstated", dispute)
    provider.state.put(dispute)
    events.record(provider, "charge.dispute.closed", dispute)
    return dispute


def retrieve(provider: Provider, call: Call) -> JSON:
    dispute = provider.state.find("dispute", call.id)
    if dispute is None:
        raise wire.missing(noun="dispute", identity=call.id)
    return dispute


def update(provider: Provider, call: Call) -> JSON:
    """Hand in evidence; `submit` (the default) puts the dispute under review."""
    wire.only(call.params, ["evidence", "submit"])
    dispute = retrieve(provider, call)
    if dispute["status"] not in OPEN:
        raise WireError("This dispute is already closed.", code="dispute_closed")
    dispute["evidence"] |= call.params.get("evidence") or {}
    dispute["metadata"] |= wire.metadata(call.params)
    if call.params.get("submit", "true") == "true":
        dispute["status"] = "under_review"
        dispute["evidence_details"] = {"has_evidence": True, "submission_count": 1}
    provider.state.put(dispute)
    events.record(provider, "charge.dispute.updated", dispute)
    return dispute


def close(provider: Provider, call: Call) -> JSON:
    """Give in: the dispute is lost."""
    return end(provider, call.id, won=False)
