"""Two sample members of the demo who meet what nobody of the story does: a limit, and the list.

The tables that hold for everybody stay as they are: everyone but the first is verified and without
limits, and nobody but the second is like a name on the list; docs/guides/demo.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from onym.flows import documents, factors, people
from onym.site import demo_lists
from onym.site.demo import LONG_AGO_DAYS, NAMESPACE
from onym.site.demo_time import now
from onym.store.models import Member

ROLES = {"limited": "Sami Newcomer", "screened": demo_lists.LISTED}
LIMITS = """
id = "plaza-limits"
version = 1
effective_from = 2026-01-01

[[tier]]
name = "new"
[tier.{currency}]
price = "500"
card = "300"
payout = "200"

[[tier]]
name = "verified"
"""


def make(data: Path, chosen: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The sample members on the chosen accounts, by role; then the files that name them."""
    made = {
        role: _member(name, row)
        for (role, name), row in zip(ROLES.items(), chosen[-len(ROLES) :], strict=True)
    }
    text = LIMITS.format(currency=settings.CURRENCY)
    documents.publish(namespace=NAMESPACE, kind="limits", text=text)
    demo_lists.add(demo_lists.tiers(data), f"{made['limited']['member']},new")
    demo_lists.add(demo_lists.names(data), demo_lists.LISTED)
    return made


def _member(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """They sign in by one click or by a code by mail: they have no password."""
    since = now() - timedelta(days=200)
    member = people.join(
        namespace=NAMESPACE, name=name, mail=row["email"], language=row["locale"], since=since
    )
    user = User.objects.create_user(username=member.id)
    Member.objects.filter(pk=member.id).update(user=user)
    people.link(member=member.id, account_id=row["account_id"], since=since)
    long_ago = datetime.now(UTC) - timedelta(days=LONG_AGO_DAYS)
    return {
        "mail": row["email"],
        "totp_secret": factors.equip(member=member.id, since=long_ago),
        "token": people.give_token(member=member.id, scopes=("read", "buy", "sell")),
        "member": member.id,
        "account_id": row["account_id"],
    }
