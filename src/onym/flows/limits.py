"""Rate limits, on the machine's clock and for all processes alike."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from onym.core.errors import RateLimited
from onym.store import limits, secrets


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` times in `seconds`."""

    most: int
    seconds: int


LIMITS = {
    "reclaim": Limit(300, 60),  # by address: not a shopping list of idle handles
    "sign_in": Limit(30, 300),  # by mail address: not a way to guess passwords
    "factor": Limit(10, 300),  # by member: codes of six digits are not to be guessed
    "factor_a_day": Limit(50, 86_400),
    "passkey": Limit(60, 60),  # by address: nothing to guess, but work for us
    "mail_code": Limit(5, 900),  # by mail address: nobody is flooded with codes
    "mail_code_from": Limit(30, 900),  # by address
    "openid": Limit(60, 300),  # by address
    "link": Limit(30, 3_600),  # by member: each asks the platform
    "name": Limit(10, 86_400),  # by member: each may be a case for a person to look at
    "press_reply": Limit(3, 86_400),  # by sender, whom anybody can forge: nobody is flooded
    "webhook": Limit(30, 3_600),  # by member: each makes us call a stranger
    "webhook_address": Limit(60, 3_600),  # by member: each makes us look up a name
}


def where(request: HttpRequest) -> str:
    """The network that a request comes from: an address, of IPv6 the /64 that one site has.

    Behind a proxy (`ONYM_PROXY`) it is what the proxy itself has added to `X-Forwarded-For`: the
    last entry. What stands before it is whatever the visitor wrote.
    """
    told = request.META.get("REMOTE_ADDR", "")
    if settings.ALLAUTH_TRUSTED_PROXY_COUNT:
        told = request.headers.get("X-Forwarded-For", told).rpartition(",")[2].strip()
    try:
        address = ip_address(told)
    except ValueError:
        return str(told)
    wide = 64 if address.version == 6 else 32
    return str(ip_network((address, wide), strict=False).network_address)


def spend(what: str, *, who: str) -> None:
    """Count one more `what` by `who` (kept as a keyed digest). Refuses `rate_limited`."""
    limit = LIMITS[what]
    if limits.count(key=_key(what, who), seconds=limit.seconds) > limit.most:
        raise RateLimited(
            f"at most {limit.most} times in {limit.seconds} seconds", retry_after=limit.seconds
        )


def forget(what: str, *, who: str) -> None:
    """What was counted is forgotten: they proved to be who they say."""
    limits.forget(key=_key(what, who))


def _key(what: str, who: str) -> str:
    return secrets.index(who, purpose=f"limit/{what}")
