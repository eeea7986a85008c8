"""The operator's bank over HTTP: statements in, money in suspense, payment files out."""

from __future__ import annotations

import io
import re

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.core.access import Action
from onym.flows import bank, outgoing, statement
from onym.queries import bank as queries
from onym.queries import desk, ground
from onym.queries.people import Caller

router = Router(tags=["bank"])
DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
"""It may name the encoding that the file once had; what comes here is text."""


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


class Statement(Strict):
    camt: str = Field(min_length=1, max_length=900_000)


class Decision(Strict):
    reference: str = Field(min_length=1, max_length=60)


@router.get("/desk/bank", auth=MEMBERS)
def overview(request: HttpRequest) -> HttpResponse:
    """Suspense, parts that wait, what is to be sent, and the last statements."""
    wire.staff(request, Action.BANK)
    looked = ground.of(wire.place(request))
    told = {
        **queries.movements(looked),
        "orders": queries.orders(looked),
        "statements": queries.statements(looked),
    }
    for one in (*told["suspense"], *told["waiting"], *told["unordered"]):
        one["booked_on"] = str(one["booked_on"])
    return wire.respond(200, told)


@router.post("/desk/bank/statements", auth=MEMBERS)
def import_statement(request: HttpRequest, wish: Statement) -> HttpResponse:
    """A camt.053 as text; a large one is read by `onym import statement`."""
    place = wire.place(request)

    def run(who: Caller) -> tuple[int, object]:
        file = io.BytesIO(DECLARATION.sub("", wish.camt).encode())
        made = statement.book(namespace=place, file=file, by=who.id)
        return 201, queries.statement_view(made) | {"found": queries.found(made.id)}

    return wire.write(request, "desk", run)


@router.post("/desk/bank/lines/{id}/assign", auth=MEMBERS)
def assign(request: HttpRequest, id: str, wish: Decision) -> HttpResponse:
    """Money in suspense is the sale's with this reference; 202 where a second person is needed."""
    return wire.write(
        request,
        "desk",
        lambda who: desk.outcome(bank.decide(line_id=id, by=who.id, reference=wish.reference)),
    )


@router.post("/desk/bank/lines/{id}/return", auth=MEMBERS)
def send_back(request: HttpRequest, id: str) -> HttpResponse:
    """It goes back to whom it came from; 202 where a second person is needed."""
    return wire.write(request, "desk", lambda who: desk.outcome(bank.decide(line_id=id, by=who.id)))


@router.post("/desk/bank/files", auth=MEMBERS)
def payment_file(request: HttpRequest) -> HttpResponse:
    """All that waits to be sent, in one pain.001 file."""
    place = wire.place(request)

    def run(who: Caller) -> tuple[int, object]:
        made = outgoing.file(namespace=place, by=who.id)
        return 201, {"id": made.id, "orders": made.orders}

    return wire.write(request, "desk", run, binds=True)


@router.get("/desk/bank/files/{id}", auth=MEMBERS)
def payment_file_text(request: HttpRequest, id: str) -> HttpResponse:
    """The file as it was made."""
    wire.staff(request, Action.BANK)
    text = queries.file_text(id, namespace=wire.place(request))
    return HttpResponse(text, content_type="application/xml; charset=utf-8")
