"""An answer to an offer that was begun by a link and waits for its proof, in one browser."""

from __future__ import annotations

from typing import Any

from onym.core.link import CODE_LASTS
from onym.core.money import Money
from onym.store import clock
from onym.store.models import OfferAnswer


def waiting(answer_id: str) -> dict[str, Any] | None:
    """What was begun, while its code lasts; None: nothing is."""
    row = OfferAnswer.objects.select_related("offer").filter(pk=answer_id).first()
    if row is None or clock.machine() >= row.ordered_at + CODE_LASTS:
        return None
    return {
        "id": row.id,
        "kind": row.kind,
        "price": Money(row.price_minor, row.offer.currency),
        "code": row.code,
        "until": row.ordered_at + CODE_LASTS,
    }
