"""Private offers: the link is the key to look and to decline, the recipient's mail to accept."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.flows import invitation as flow
from onym.queries import invitation as queries
from onym.queries import sale as sales
from onym.queries.people import Caller

router = Router(tags=["invitations"])


@router.get("/invitations/{token}", auth=None)
def invitation(request: HttpRequest, token: str) -> HttpResponse:  # noqa: ARG001 - ninja's form
    """The offer, and what shows that it is authentic and was committed beforehand."""
    return wire.respond(200, queries.invitation(token))


@router.post("/invitations/{token}/accept", auth=MEMBERS)
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Take it: 201 with the sale. Another address is 403 and does not use the link up."""
    return wire.write(
        request, "buy", lambda who: (201, sales.view(flow.accept(token=token, by=who.id)))
    )


@router.post("/invitations/{token}/decline", auth=MEMBERS)
def decline(request: HttpRequest, token: str) -> HttpResponse:
    """No, thank you."""

    def run(_: Caller) -> tuple[int, object]:
        row = flow.decline(token=token)
        return 200, {"id": row.id, "state": row.state}

    return wire.write(request, "buy", run)
