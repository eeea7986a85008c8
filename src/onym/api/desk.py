"""The desk over HTTP; what needs a second person answers 202 with what was shown."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.access import Action
from onym.flows import (
    appeal,
    appraisal,
    area,
    dispute,
    invitation,
    lists,
    payments,
    reclaim,
    recovery,
    stop,
    sweep,
    term,
)
from onym.flows import desk as flow
from onym.queries import desk as queries
from onym.queries import invitation as campaigns
from onym.queries import names, overview
from onym.queries import sale as sales
from onym.queries.people import Caller

router = Router(tags=["desk"])


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class Stop(Strict):
    on: bool


class AreaStop(Strict):
    area: Literal["sales", "payouts", "reclaim", "outreach"]
    on: bool


class Phase(Strict):
    phase: Literal["closed", "invited", "open"]


class Outcome(Strict):
    outcome: Literal["settle", "return"]


class ListChange(Strict):
    add: list[str] = Field(default_factory=list, max_length=10_000)
    remove: list[str] = Field(default_factory=list, max_length=10_000)


class NewSweep(Strict):
    policy: str = Field(min_length=1, max_length=63)


class Recipient(Strict):
    mail: str = Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$")
    name: str = Field("", max_length=200)
    language: Literal["en", "fr", "ar"] = "en"


class NewCampaign(Strict):
    handle: str = Field(max_length=500)
    price: wire.Amount
    criteria: str = Field(max_length=4_000)
    recipients: list[Recipient] = Field(min_length=1, max_length=1_000)
    expires_in_days: int = Field(14, ge=1, le=90)


class Purchase(Strict):
    handle: str = Field(max_length=500)
    price: wire.Amount


class Approve(Strict):
    shown: str = Field(pattern=r"^[0-9a-f]{64}$")


class Decision(Strict):
    outcome: Literal["upheld", "rejected"]
    reasons: list[str] = Field(default_factory=list, max_length=20)


@router.post("/desk/release-stop", auth=MEMBERS)
def release_stop(request: HttpRequest, wish: Stop) -> HttpResponse:
    """One person stops all releases, two lift the stop."""
    place = wire.place(request)
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(stop.set_stop(namespace=place, on=wish.on, by=who.id)),
    )


@router.post("/desk/area-stops", auth=MEMBERS)
def area_stop(request: HttpRequest, wish: AreaStop) -> HttpResponse:
    """One person stops an area of the market, two let it go on."""
    place = wire.place(request)
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(
            area.set_area(namespace=place, area=wish.area, stopped=wish.on, by=who.id)
        ),
    )


@router.get("/desk/area-stops", auth=MEMBERS)
def area_stops(request: HttpRequest) -> HttpResponse:
    """Which areas are stopped."""
    wire.staff(request, Action.READ_DESK)
    return wire.respond(200, {"stopped": queries.switches(wire.place(request))["stopped"]})


@router.post("/desk/phase", auth=MEMBERS)
def phase(request: HttpRequest, wish: Phase) -> HttpResponse:
    """Open or narrow the market."""
    place = wire.place(request)
    return wire.write(
        request,
        "desk",
        lambda who: (200, flow.set_phase(namespace=place, phase=wish.phase, by=who.id)),
    )


@router.post("/desk/whole-accounts", auth=MEMBERS)
def whole_accounts(request: HttpRequest, wish: Stop) -> HttpResponse:
    """Let whole accounts be sold, or no longer; only where the platform hands them over."""
    wire.staff(request, Action.SET_PHASE)
    place = wire.place(request)
    can = wish.on and term.platform_can(place)
    return wire.write(
        request,
        "desk",
        lambda who: (
            200,
            term.set_offered(namespace=place, on=wish.on, by=who.id, platform_can=can),
        ),
    )


@router.post("/desk/lists/{name}", auth=MEMBERS)
def change_list(request: HttpRequest, name: str, wish: ListChange) -> HttpResponse:
    """Change the reserved, prohibited, protected or retired list: always two people."""
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(
            lists.propose(
                namespace=wire.place(request),
                name=name,
                add=wish.add,
                remove=wish.remove,
                by=who.id,
            )
        ),
    )


@router.post("/desk/sweeps", auth=MEMBERS)
def new_sweep(request: HttpRequest, wish: NewSweep) -> HttpResponse:
    """Sweep the last import; the plan that follows waits among the approvals (202)."""
    place = wire.place(request)
    return wire.write(
        request,
        "desk",
        lambda who: (202, sweep.order(namespace=place, policy=wish.policy, by=who.id)),
    )


@router.post("/desk/campaigns", auth=MEMBERS)
def new_campaign(request: HttpRequest, wish: NewCampaign) -> HttpResponse:
    """Commit the candidates of a batch of private offers."""
    _last_look(request, wish.handle, Action.CAMPAIGN)
    place = wire.place(request)
    recipients = [invitation.Recipient(r.mail, r.name, r.language) for r in wish.recipients]
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(
            invitation.propose(
                namespace=place,
                handle=wish.handle,
                by=who.id,
                price=wish.price.money(),
                criteria=wish.criteria,
                recipients=recipients,
                expires_in_days=wish.expires_in_days,
                shown=appraisal.Shown(**names.beside_price(place, wish.handle)),
            )
        ),
        binds=True,
    )


@router.get("/desk/campaigns/{id}", auth=MEMBERS)
def campaign(request: HttpRequest, id: str) -> HttpResponse:
    """A campaign and its results, without names."""
    wire.staff(request, Action.READ_DESK)
    return wire.respond(200, campaigns.campaign(id, namespace=wire.place(request)))


@router.post("/desk/campaigns/{id}/send", auth=MEMBERS)
def send(request: HttpRequest, id: str) -> HttpResponse:
    """Send it; no mail leaves before a published checkpoint covers the commitment."""
    return wire.write(
        request,
        "desk",
        lambda who: (200, campaigns.campaign_view(invitation.send(campaign_id=id, by=who.id))),
    )


@router.post("/desk/house-purchases", auth=MEMBERS)
def house_purchase(request: HttpRequest, wish: Purchase) -> HttpResponse:
    """The operator buys: always two people."""
    _last_look(request, wish.handle, Action.HOUSE_PURCHASE)
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(
            flow.propose_house_purchase(
                namespace=wire.place(request),
                handle=wish.handle,
                by=who.id,
                price=wish.price.money(),
            )
        ),
        binds=True,
    )


@router.get("/desk/approvals", auth=MEMBERS)
def approvals(request: HttpRequest) -> HttpResponse:
    """What waits for a second person."""
    wire.staff(request, Action.READ_DESK)
    return wire.respond(200, {"items": queries.approvals(wire.place(request)), "next": None})


@router.post("/desk/approvals/{id}/approve", auth=MEMBERS)
def approve(request: HttpRequest, id: str, wish: Approve) -> HttpResponse:
    """Carry it out, with exactly the body that the approved request would have answered."""
    return wire.write(
        request,
        "desk",
        lambda who: (
            200,
            queries.outcome(flow.approve(approval_id=id, by=who.id, shown=wish.shown))[1],
        ),
        binds=True,
    )


@router.post("/desk/appeals/{id}/decide", auth=MEMBERS)
def decide_appeal(request: HttpRequest, id: str, wish: Decision) -> HttpResponse:
    """A second reviewer decides; upheld, the handle stays with its holder."""

    def run(who: Caller) -> tuple[int, object]:
        row = appeal.decide(appeal_id=id, by=who.id, outcome=wish.outcome, reasons=wish.reasons)
        return 200, {"id": row.id, "state": row.state}

    return wire.write(request, "desk", run)


@router.post("/desk/disputes/{id}/decide", auth=MEMBERS)
def decide_dispute(request: HttpRequest, id: str, wish: Outcome) -> HttpResponse:
    """`settle` pays the seller; `return` brings the handle back and refunds the buyer."""
    return wire.write(
        request,
        "desk",
        lambda who: (
            200,
            sales.view(dispute.decide(sale_id=id, by=who.id, outcome=wish.outcome)),
        ),
    )


@router.post("/desk/refunds/{id}/again", auth=MEMBERS)
def refund_again(request: HttpRequest, id: str) -> HttpResponse:
    """The cause of a refused refund is gone: what is still the buyer's is ordered anew."""
    return wire.write(
        request,
        "desk",
        lambda who: (200, sales.view(payments.refund_again(payment_id=id, by=who.id))),
    )


@router.get("/desk/losses", auth=MEMBERS)
def losses(request: HttpRequest) -> HttpResponse:
    """What banks took back after it was shared out, and nobody has made good."""
    wire.staff(request, Action.READ_DESK)
    return wire.respond(200, {"items": overview.losses(wire.place(request)), "next": None})


@router.post("/desk/chargebacks/{id}/write-off", auth=MEMBERS)
def write_off(request: HttpRequest, id: str) -> HttpResponse:
    """Ask a second person to give up what is left of a claim: 202 with the approval."""
    return wire.write(
        request,
        "desk",
        lambda who: queries.outcome(recovery.propose_write_off(chargeback_id=id, by=who.id)),
        binds=True,
    )


def _last_look(request: HttpRequest, handle: str, action: Action) -> None:
    """Ask the platform afresh before a handle of the stock is sold; outside every transaction."""
    wire.staff(request, action, binds=True)
    reclaim.prepare_sale(namespace=wire.place(request), handle=handle)
