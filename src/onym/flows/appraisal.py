"""What the desk saw of a handle's worth when it set a price, and that price, as leaves.

They are written in the transaction of what the price is for, before it. docs/concepts/log.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onym.core.events import Event, amount, money, published
from onym.core.money import Money
from onym.flows import record
from onym.store.models import Event as EventRow
from onym.store.models import Handle, Invitation

WORTH = ("low", "mid", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An appraisal as it stood beside the price: the model's version, tier, and the range."""

    model: str
    tier: str
    low: Money
    mid: Money
    high: Money

    def payload(self) -> dict[str, Any]:
        """As it waits in an approval, a part of what both people see."""
        return {
            "model": self.model,
            "tier": self.tier,
            **{name: amount(getattr(self, name)) for name in WORTH},
        }


def payload(shown: Shown | None) -> dict[str, Any]:
    """What a proposal keeps of it: nothing where nothing was shown."""
    return {"appraisal": shown.payload()} if shown else {}


def read(payload_: Mapping[str, Any]) -> Shown | None:
    """The inverse of `payload`."""
    kept = payload_.get("appraisal")
    if kept is None:
        return None
    worth = {name: money(kept[name]) for name in WORTH}
    return Shown(model=kept["model"], tier=kept["tier"], **worth)


def priced(
    row: Handle,
    *,
    ref: str,
    price: Money,
    shown: Shown | None,
    approval: str | None,
    is_public: bool,
) -> list[Event]:
    """Appraised and PriceSet about `ref`; handle and figures are hidden until they are public."""
    about: dict[str, Any] = {"handle": row.handle}
    found = []
    if shown is not None:
        seen = about | {k: v for k, v in shown.payload().items() if k != "model"}
        found.append(_hidden("Appraised", ref, {"model": shown.model}, seen, is_public))
    plain = {"model": shown.model} if shown else {}
    plain |= {"approval": approval} if approval else {}
    secret = about | {"price": amount(price)}
    return [*found, _hidden("PriceSet", ref, plain, secret, is_public)]


def _hidden(
    type_: str, ref: str, plain: dict[str, Any], secret: dict[str, Any], is_public: bool
) -> Event:
    return Event(type_, ref, plain | secret) if is_public else Event(type_, ref, plain, secret)


def opened(invitation_id: str) -> list[dict[str, Any]]:
    """What a settlement makes public of the price that its invitation went by.

    A campaign from before prices were logged has only what was committed then.
    """
    campaign = Invitation.objects.values_list("campaign_id", flat=True).get(pk=invitation_id)
    wanted = [("PriceSet", campaign, ("price",)), ("Appraised", campaign, WORTH)]
    wanted.append(("InvitationSent", invitation_id, ("price",)))
    return [
        published(type_, ref, name, record.opening(type_, ref, name))
        for type_, ref, names in wanted
        if EventRow.objects.filter(type=type_, ref=ref, openings__isnull=False).exists()
        for name in names
    ]
