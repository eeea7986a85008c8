"""Webhooks: a relying site subscribes an address, and sees what became of each message."""

from __future__ import annotations

import json
from typing import Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.flows import limits
from onym.flows import webhook as flow
from onym.ports import webhooks as outside
from onym.queries import webhook as queries
from onym.queries.people import Caller

router = Router(tags=["webhooks"])


class NewWebhook(Schema):
    model_config = ConfigDict(extra="forbid")
    url: str = Field(min_length=1, max_length=outside.LONGEST_URL)


class Page(Schema):
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


class Deliveries(Page):
    state: Literal["", "pending", "delivered", "dead"] = ""


@router.post("/webhooks", auth=MEMBERS)
def subscribe(request: HttpRequest, wish: NewWebhook) -> HttpResponse:
    """Be told of hand-overs: 201 with the webhook and, in this answer alone, its `secret`."""
    who, place = wire.caller(request, "buy"), wire.place(request)
    limits.spend("webhook_address", who=who.id)
    outside.target(wish.url, loopback=settings.DEMO)

    def run(who: Caller) -> tuple[int, object]:
        return 201, {"id": flow.subscribe(namespace=place, by=who.id, url=wish.url).id}

    id_ = json.loads(wire.write(request, "buy", run).content)["id"]
    return _with_secret(201, id_, member=who.id)


def _with_secret(status: int, id_: str, *, member: str) -> HttpResponse:
    secret = queries.secret(id_, member=member)
    answer = wire.respond(status, queries.webhook(id_, member=member) | {"secret": secret})
    answer["Cache-Control"] = "no-store"
    return answer


@router.post("/webhooks/{id}/secret", auth=MEMBERS)
def rotate(request: HttpRequest, id: str) -> HttpResponse:
    """A new `secret`, in this answer alone; both sign until `secret_before_until`."""
    who = wire.caller(request, "buy")
    wire.write(request, "buy", lambda who: (200, {"id": flow.rotate(webhook_id=id, by=who.id).id}))
    return _with_secret(200, id, member=who.id)


@router.get("/webhooks", auth=MEMBERS)
def webhooks(request: HttpRequest, asked: Query[Page]) -> HttpResponse:
    """The member's own webhooks, the latest first."""
    who = wire.caller(request, "read")
    found = queries.webhooks(
        wire.place(request), member=who.id, after=wire.after(asked.cursor), limit=asked.limit
    )
    return wire.respond(200, wire.page(found))


@router.get("/webhooks/{id}", auth=MEMBERS)
def webhook(request: HttpRequest, id: str) -> HttpResponse:
    """One of the member's own."""
    return wire.respond(200, queries.webhook(id, member=wire.caller(request, "read").id))


@router.delete("/webhooks/{id}", auth=MEMBERS)
def end(request: HttpRequest, id: str) -> HttpResponse:
    """End it: 200 with what it was."""

    def run(who: Caller) -> tuple[int, object]:
        row = flow.end(webhook_id=id, by=who.id)
        return 200, {"id": row.id, "state": row.state}

    return wire.write(request, "buy", run)


@router.get("/webhooks/{id}/deliveries", auth=MEMBERS)
def deliveries(request: HttpRequest, id: str, asked: Query[Deliveries]) -> HttpResponse:
    """Messages to it, the latest first; those in state `dead` were given up."""
    found = queries.deliveries(
        id,
        member=wire.caller(request, "read").id,
        state=asked.state,
        after=wire.after(asked.cursor),
        limit=asked.limit,
    )
    return wire.respond(200, wire.page(found))


@router.post("/deliveries/{id}/send", auth=MEMBERS)
def send_again(request: HttpRequest, id: str) -> HttpResponse:
    """Send again what was given up: 202 with the delivery."""
    return wire.write(
        request,
        "buy",
        lambda who: (202, queries.delivery_view(flow.send_again(delivery_id=id, by=who.id))),
    )
