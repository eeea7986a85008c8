"""The one other site that a form of ours may lead to: where buyers enter their cards."""

from __future__ import annotations

from urllib.parse import urlsplit

from onym.core.errors import Malformed

STRIPE = "https://checkout.stripe.com"


def checkout(given: str, payments_url: str) -> str:
    """The origin of the provider's own page: as set, else Stripe's, else that of the provider's
    API. Refuses `malformed` for anything that is more or less than one origin.
    """
    if not given and (not payments_url or origin(payments_url) == "https://api.stripe.com"):
        return STRIPE
    wanted = given or origin(payments_url)
    if origin(wanted) != wanted.rstrip("/") or "*" in wanted:
        raise Malformed("ONYM_CHECKOUT_ORIGIN is one origin, as https://checkout.stripe.com")
    return origin(wanted)


def origin(url: str) -> str:
    """Scheme, host and port of an address; empty if it has none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else ""
