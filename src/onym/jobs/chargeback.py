"""Asking the provider about a sale's chargebacks, and following what its bank decided."""

from __future__ import annotations

from onym import ports
from onym.flows import chargeback
from onym.jobs.queue import again, task
from onym.queries import payments as orders


@task("chargeback.ask")
def ask(*, sale_id: str, attempt: int = 0) -> None:
    """What the provider says now of every payment of the sale; silence is asked again."""
    namespace, intents = orders.paid_intents(sale_id)
    provider = ports.payments(namespace)
    answers = [provider.chargebacks(intent_id=intent) for intent in intents]
    told = [one for answer in answers if answer is not None for one in answer]
    chargeback.record_all(sale_id=sale_id, provider=provider.name, told=told)
    if any(answer is None for answer in answers):
        again("chargeback.ask", lock=f"{sale_id}:chargeback", attempt=attempt, sale_id=sale_id)


@task("chargeback.follow")
def follow(*, sale_id: str, attempt: int = 0) -> None:
    """Do what the bank's word means; while a move is under way, look again later."""
    if not chargeback.follow(sale_id=sale_id):
        again("chargeback.follow", lock=f"{sale_id}:follow", attempt=attempt, sale_id=sale_id)
