"""The API object: routers, and how refusals and unreadable requests are answered."""

from __future__ import annotations

import logging
from functools import cached_property

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.operation import Operation

from onym.api import (
    bank,
    desk,
    handover,
    invitation,
    ledger,
    listing,
    names,
    offer,
    people,
    reclaim,
    sale,
    screening,
    wallet,
    watch,
    webhook,
    wire,
)
from onym.core.errors import DatabaseUnavailable, Malformed, NotSignedIn, Refusal
from onym.queries import health

log = logging.getLogger(__name__)


class Api(NinjaAPI):
    """Operation ids are noun and verb; the second mount of a route has one of its own."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        view = operation.view_func
        plain = f"{view.__module__.rsplit('.', 1)[1]}_{view.__name__}"
        first = self._first.setdefault(plain, operation)
        return plain if first is operation else f"namespace_{plain}"

    @cached_property
    def _first(self) -> dict[str, Operation]:
        return {}


api = Api(
    title="Onym",
    version="1",
    description="The handle market. Money is in minor units; instants are RFC 3339 UTC.",
    urls_namespace="api",
    docs_url=None,
    openapi_url="/openapi.json",
)
ROUTERS: tuple[Router, ...] = (
    names.router,
    people.router,
    reclaim.router,
    listing.router,
    offer.router,
    invitation.router,
    sale.router,
    ledger.router,
    wallet.router,
    watch.router,
    handover.router,
    webhook.router,
    desk.router,
    bank.router,
    screening.router,
)


@api.exception_handler(Refusal)
def refused(_: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Every "no" looks the same."""
    return wire.problem(refusal)


@api.exception_handler(AuthenticationError)
def nobody(_: HttpRequest, __: AuthenticationError) -> HttpResponse:
    return wire.problem(NotSignedIn("sign in, or send a bearer token"))


@api.exception_handler(ValidationError)
def unreadable(_: HttpRequest, error: ValidationError) -> HttpResponse:
    """Names each field that is wrong, and how."""
    fields = {
        ".".join(str(part) for part in item["loc"] if part not in ("body", "query", "body_")): str(
            item["msg"]
        )
        for item in error.errors
    }
    return wire.problem(Malformed("the request cannot be read", fields=fields))


@api.exception_handler(RequestDataTooBig)
def too_big(_: HttpRequest, __: RequestDataTooBig) -> HttpResponse:
    return wire.problem(Malformed("the request is too large"))


@api.exception_handler(HttpError)
def http(_: HttpRequest, error: HttpError) -> HttpResponse:
    return wire.problem(Malformed(str(error)))


@api.exception_handler(InternalError)
@api.exception_handler(OperationalError)
def no_database(_: HttpRequest, error: DatabaseError) -> HttpResponse:
    """What is no fault of the database itself is left to whoever shows faults."""
    if not health.is_away(error):
        raise error
    log.error("the database does not answer: %s", error)
    return wire.problem(DatabaseUnavailable("the database does not answer; try again"))
