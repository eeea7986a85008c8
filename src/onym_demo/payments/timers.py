"""What happens later by itself: *processing* ends, a bank answers a refund, a payout arrives."""

from __future__ import annotations

import asyncio

from onym_demo.payments import intents, refunds, sessions, transfers
from onym_demo.payments.provider import Provider

TICK = 0.05


def run_due(provider: Provider) -> int:
    """Do what is due by the machine's clock, each in a commit of its own; returns how many."""
    now = provider.clock.machine()
    due = provider.state.rows("SELECT * FROM timers WHERE due <= ? ORDER BY due LIMIT 100", now)
    for row in due:
        with provider.state.transaction():
            provider.state.db.execute("DELETE FROM timers WHERE seq = ?", (row["seq"],))
            _act(provider, row["id"], row["outcome"])
    return len(due)


def _act(provider: Provider, identity: str, outcome: str) -> None:
    if identity.startswith("pi_"):
        intents.settle(provider, identity, paid=outcome == "paid")
    elif identity.startswith("re_"):
        refunds.settle(provider, identity, failed=outcome == "failed")
    else:
        transfers.arrive(provider, identity)


async def run(provider: Provider) -> None:
    while True:
        run_due(provider)
        sessions.run_out(provider)
        await asyncio.sleep(TICK)
