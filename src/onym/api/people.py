"""The member who asks: what they are called and where they live, as their money needs it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.api.auth import MEMBERS
from onym.flows import people as flow
from onym.queries import people
from onym.queries.people import Caller

router = Router(tags=["me"])


class Name(Schema):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=1_000)


class Country(Schema):
    """Two letters, as ISO 3166-1 has them."""

    model_config = ConfigDict(extra="forbid")
    country: str = Field(max_length=10)


@router.get("/me", auth=MEMBERS)
def me(request: HttpRequest) -> HttpResponse:
    """The member's own id, name, country and language, and the accounts that are linked."""
    return wire.respond(200, people.me(wire.caller(request, "read")))


@router.put("/me/name", auth=MEMBERS)
def set_name(request: HttpRequest, wish: Name) -> HttpResponse:
    """What `name_needed` asks for; another name is compared with the list anew."""

    def run(who: Caller) -> tuple[int, object]:
        flow.set_name(member=who.id, name=wish.name)
        return 200, people.me(who)

    return wire.write(request, _scope(request), run)


@router.put("/me/country", auth=MEMBERS)
def set_country(request: HttpRequest, wish: Country) -> HttpResponse:
    """What `country_needed` asks for."""

    def run(who: Caller) -> tuple[int, object]:
        flow.set_country(member=who.id, country=wish.country)
        return 200, people.me(who)

    return wire.write(request, _scope(request), run)


def _scope(request: HttpRequest) -> str:
    """Whoever may buy or sell may say who they are."""
    scopes = wire.caller(request, "read").scopes
    return "sell" if scopes is not None and "buy" not in scopes else "buy"
