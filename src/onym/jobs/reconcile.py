"""The daily comparison of the provider's list with the books."""

from __future__ import annotations

from datetime import timedelta

from onym import ports
from onym.flows import reconcile
from onym.jobs.queue import again, task
from onym.queries import clock
from onym.queries import reconcile as queries

DAYS = 35
"""How far back a day's comparison looks: late refunds and chargebacks of the last weeks."""
BEGUN = 120
"""How much earlier what we booked may have begun at the provider."""


@task("reconcile.run")
def run(*, namespace: str, attempt: int = 0) -> None:
    """Compare and write down; without an answer it is tried again."""
    if not reconcile.is_due(namespace=namespace):
        return
    provider = ports.payments(namespace)
    until = clock.now() + timedelta(days=1)
    since = until - timedelta(days=DAYS)
    begun = since - timedelta(days=BEGUN)
    theirs = provider.lines(since=int(begun.timestamp()), until=int(until.timestamp()))
    if theirs is None:
        again(
            "reconcile.run",
            lock=f"reconcile:{namespace}",
            attempt=attempt,
            namespace=namespace,
        )
        return
    report = queries.compared(
        namespace, provider=provider.name, theirs=theirs, since=since, until=until
    )
    reconcile.write(namespace=namespace, provider=provider.name, report=report)
