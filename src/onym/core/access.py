"""Who may do what: one table of roles by action, and one of phases by way of selling."""

from __future__ import annotations

from enum import StrEnum

from onym.core.errors import NotAllowed, PhaseClosed
from onym.core.people import Member


class Action(StrEnum):
    """What only staff may ask for; each is one row of the permission matrix."""

    READ_DESK = "read_desk"
    SWEEP = "sweep"
    SHORTLIST = "shortlist"
    LIST = "list"
    CAMPAIGN = "campaign"
    SET_PHASE = "set_phase"
    SET_STOP = "set_stop"
    APPROVE = "approve"
    DECIDE_APPEAL = "decide_appeal"
    DECIDE_CLAIM = "decide_claim"
    EDIT_LISTS = "edit_lists"
    HOUSE_PURCHASE = "house_purchase"
    BANK = "bank"
    SCREEN = "screen"
    SEND_AGAIN = "send_again"
    PUBLISH = "publish"


ALLOWED: dict[str, frozenset[Action]] = {
    "curator": frozenset(Action) - {Action.PUBLISH},
    "reviewer": frozenset({Action.READ_DESK, Action.DECIDE_APPEAL, Action.DECIDE_CLAIM}),
    "auditor": frozenset({Action.READ_DESK}),
    "operator": frozenset(Action),
}
"""Role → actions. Approving is never enough alone: the approver must be a second person."""


def expect(member: Member, action: Action, *, namespace: str) -> None:
    """Refuses `not_allowed` unless one of the member's roles allows `action`.

    `namespace` is the one acted in, of a row its own: staff act in theirs only.
    """
    if member.namespace != namespace:
        raise NotAllowed("this belongs to another namespace", action=action.value)
    if not any(action in ALLOWED.get(role, frozenset()) for role in member.roles):
        raise NotAllowed(f"this needs a role that may {action.value}", action=action.value)


class Phase(StrEnum):
    """Launch phases, in their order; each allows what the one before allows."""

    CLOSED = "closed"
    INVITED = "invited"
    OPEN = "open"


class Way(StrEnum):
    """A way into a sale, as far as the phase is concerned."""

    INVITATION = "invitation"
    HOUSE_PURCHASE = "house_purchase"
    LISTING = "listing"
    OFFER = "offer"


PHASES: dict[Phase, frozenset[Way]] = {
    Phase.CLOSED: frozenset(),
    Phase.INVITED: frozenset({Way.INVITATION, Way.HOUSE_PURCHASE}),
    Phase.OPEN: frozenset(Way),
}


def expect_phase(phase: str, way: Way) -> None:
    """Refuses `phase_closed` unless the launch phase lets anybody sell this `way`."""
    if way not in PHASES[Phase(phase)]:
        raise PhaseClosed(f"the market is in phase {phase}", phase=phase)
