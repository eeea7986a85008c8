"""Deliveries that others post to us: signed `t=<unix seconds>,v1=<hex>`, checked in one place.

v1 is HMAC-SHA256 over "t.payload", one v1 for each key in use, so that keys can be rotated
(https://docs.stripe.com/webhooks/signature). The clock is the machine's, never the market's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from typing import Any

from onym.core.errors import Malformed, NotSignedIn

TOLERANCE = 300.0
"""Seconds that a delivery's time stamp may be away from our clock, either way."""

LARGEST = 1_000_000


def check(*, payload: bytes, signature: str, keys: Sequence[str], now: float) -> None:
    """Refuse `malformed` for a header that cannot be read or an enormous payload.

    Refuses `not_signed_in` when no key has signed it, or it was not signed just now.
    """
    if len(payload) > LARGEST:
        raise Malformed("the delivery is too large")
    pairs = [part.strip().partition("=") for part in signature.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    marks = [value for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not re.fullmatch(r"[0-9]{1,12}", stamps[0]) or not marks:
        raise Malformed("the signature cannot be read")
    signed = stamps[0].encode() + b"." + payload
    ours = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys if key]
    if not any(hmac.compare_digest(a.encode(), b.encode()) for a in ours for b in marks):
        raise NotSignedIn("the delivery is not signed by a key that we know")
    if abs(now - int(stamps[0])) > TOLERANCE:
        raise NotSignedIn("the delivery was signed at another time")


def read(payload: bytes) -> dict[str, Any]:
    """The JSON object in a delivery that has been checked; anything else is `malformed`."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        raise Malformed("the delivery is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("the delivery is not a JSON object")
    return body
