"""The line of those who were right too late: told first when their handle is available again.

docs/concepts/reclaim.md says who stands in it, and when they leave it.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from onym.core import appeal as core
from onym.flows import contacts, record
from onym.store.models import Appeal, Handle


def tell(row: Handle, *, since: str, now: datetime) -> None:
    """Whoever waits for `row` hears, in the transaction that made it available, that it is.

    `since` names that event, so that a second call about it is nothing.
    """
    line = _line(row.namespace_id).filter(handle=row).exclude(account_id=row.account_id or "")
    for appeal in line.order_by("decided_at", "id"):
        known = contacts.directory(row.namespace_id)
        account = known.by_account(appeal.account_id) if known else None
        record.notify(
            namespace=row.namespace_id,
            kind="free_again",
            about=f"{appeal.id}/{since}",
            now=now,
            member=appeal.member_id,
            account_id=appeal.account_id,
            address=known.email(appeal.account_id) if known and not appeal.member_id else None,
            language=contacts.language_of(account),
            facts={"handle": row.display},
        )


def handles(namespace: str) -> list[str]:
    """The handles that somebody waits for, in the order in which their rows are locked."""
    rows = Handle.objects.filter(pk__in=_line(namespace).values("handle_id"))
    return list(rows.order_by("pk").values_list("handle", flat=True))


def _line(namespace: str) -> QuerySet[Appeal]:
    return Appeal.objects.filter(
        namespace_id=namespace, state=core.State.UPHELD, remedy=core.Remedy.WAIT
    )
