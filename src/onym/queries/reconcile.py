"""Our side of the comparison with the provider, and what the last ones found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q

from onym.core.money import Money
from onym.core.reconcile import AUTHORISED, LISTED_AS, Line, Report, compare
from onym.store.models import Deposit, Payment, Payout, Reconciliation

BOOKED = """
select e.kind, e.provider_id, e.at, a.currency, abs(sum(p.minor)) as minor,
       coalesce(o.sale_id, c.sale_id, c.deposit_id, e.ref) as sale
from store_entry e
join store_posting p on p.entry_id = e.id
join store_bookaccount a on a.id = p.account_id and a.code = %(world)s
left join store_payout o on e.kind = 'paid_out' and o.id = split_part(e.ref, ':', 1)
left join store_chargeback c on e.kind in ('charged_back', 'reinstated') and c.id = e.ref
where e.namespace_id = %(namespace)s and e.kind = any(%(kinds)s)
  and (e.at >= %(since)s and e.at < %(until)s or e.provider_id = any(%(ids)s))
group by e.id, a.currency, o.sale_id, c.sale_id, c.deposit_id
order by e.id
"""


def compared(
    namespace: str, *, provider: str, theirs: Sequence[Line], since: datetime, until: datetime
) -> Report:
    """Both sides in [since, until). `theirs` reaches further back: what we booked in that time may
    have begun earlier there.
    """
    ours = list(_booked(namespace, provider, theirs, since=since, until=until))
    first, last = since.date().isoformat(), until.date().isoformat()
    due = {(one.kind, one.id) for one in theirs if first <= one.day <= last}
    due |= {(one.kind, one.id) for one in ours if first <= one.day <= last}
    return compare(theirs=theirs, ours=ours, due=due, asked=_asked(namespace))


def _booked(
    namespace: str, provider: str, theirs: Iterable[Line], *, since: datetime, until: datetime
) -> Iterable[Line]:
    asked: dict[str, Any] = {
        "world": f"world:{provider}",
        "namespace": namespace,
        "kinds": list(LISTED_AS),
        "since": since,
        "until": until,
        "ids": [one.id for one in theirs],
    }
    with connection.cursor() as cursor:
        cursor.execute(BOOKED, asked)
        for kind, id_, at, currency, minor, sale in cursor.fetchall():
            amount = Money(int(minor), currency)
            yield Line(LISTED_AS[kind], id_ or "", amount, sale, at.date().isoformat())


def _asked(namespace: str) -> set[tuple[str, str]]:
    """(kind, sale) of what is still being asked about; deposits and payouts from wallets stand for
    themselves."""
    open_ = Q(state__in=("pending", "unknown", "action"))
    payments = Payment.objects.filter(open_, sale__namespace_id=namespace)
    found = set(payments.values_list("kind", "sale_id"))
    deposits = Deposit.objects.filter(open_, namespace_id=namespace)
    found |= {("charge", id_) for id_ in deposits.values_list("id", flat=True)}
    found |= {(AUTHORISED, about) for kind, about in found if kind == "charge"}
    paying = Payout.objects.filter(state="unknown", member__namespace_id=namespace)
    return found | {("transfer", row.about) for row in paying.only("id", "sale_id")}


def last(namespace: str) -> Reconciliation | None:
    """The latest comparison."""
    return Reconciliation.objects.filter(namespace_id=namespace).order_by("-made_at").first()
