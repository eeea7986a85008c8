"""Each look at confidential data is written down before the data is shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from onym.store import bulk
from onym.store.models import Disclosure


def record(*, namespace: str, member: str, what: str, about: Iterable[str], now: datetime) -> None:
    """`member` is about to see `what` of each id in `about`; nothing is written for none.

    `now` is that of the page's own look, so that a page asks the database once less.
    """
    fields = {"namespace_id": namespace, "member_id": member, "what": what, "at": now}
    bulk.insert(Disclosure, [fields | {"about": id_} for id_ in about])
