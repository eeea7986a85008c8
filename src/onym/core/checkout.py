"""A card entered on the provider's own page: how long the page stays open.

docs/guides/payments.md.
"""

from __future__ import annotations

from datetime import datetime, timedelta

METHOD = "checkout"
"""How the buyer pays, beside the provider's payment methods and a bank transfer."""
LEAST, MOST = timedelta(hours=1), timedelta(hours=23)
"""Stripe closes a page between half an hour and a day after it was opened, and remembers a key for
a day at least: a page is never open for longer than its key is known."""


def until(*, funding_until: datetime, now: datetime) -> datetime:
    """When the page closes: with the time to pay, as far as the provider allows it.

    A page that outlives the time to pay takes nothing: what is agreed to on it is released.
    """
    return min(max(funding_until, now + LEAST), now + MOST).replace(microsecond=0)
