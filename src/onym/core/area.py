"""Areas of the market that can be stopped by one person, and what is fair to whoever waits.

What an area's stop holds up is told in docs/guides/switches.md.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from onym.core.errors import AreaStopped


class Area(StrEnum):
    """A part of the market with a switch of its own."""

    SALES = "sales"  # nothing is agreed or charged; what is in escrow goes on to its end
    PAYOUTS = "payouts"  # no money leaves to sellers; refunds to buyers go on
    RECLAIM = "reclaim"  # nobody is warned, nothing is released; keeping and appeals go on
    OUTREACH = "outreach"  # no private offer leaves


def expect_running(area: Area, *, stopped: Collection[str]) -> None:
    """Refuses `area_stopped` while the area's switch is off."""
    if area in stopped:
        raise AreaStopped(f"{area.value} are stopped for now", area=area.value)
