"""The one place that decides how values look on the wire, and how a request is told apart."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Schema
from pydantic import BaseModel, ConfigDict, StrictInt

from onym.core import access
from onym.core.errors import IdempotencyKeyMissing, Malformed, NotAllowed, NotSignedIn, Refusal
from onym.core.money import Money
from onym.core.plain import plain as plain
from onym.flows import record
from onym.flows.record import Answer
from onym.queries import people
from onym.queries.people import Caller

LONGEST_KEY = 200
WAIT_SECONDS = 8.0
LOOK_SECONDS = 0.02
Body = TypeVar("Body", bound=BaseModel)


class Amount(Schema):
    """Money on the wire: whole minor units and an ISO 4217 code."""

    model_config = ConfigDict(extra="forbid")
    minor: StrictInt
    currency: str

    def money(self) -> Money:
        return Money.positive(self.minor, self.currency)


def respond(status: int, body: Any) -> HttpResponse:
    """A JSON answer."""
    text = json.dumps(plain(body), ensure_ascii=False)
    return HttpResponse(text, status=status, content_type="application/json")


def problem(refusal: Refusal) -> HttpResponse:
    """A refusal as RFC 9457 problem details; `type` is the code's page in the reference."""
    body = {"type": f"{settings.BASE_URL}/problems/{refusal.code}", **record.problem(refusal)}
    answer = respond(refusal.status, body)
    answer["Content-Type"] = "application/problem+json"
    if "retry_after" in refusal.facts:
        answer["Retry-After"] = str(refusal.facts["retry_after"])
    if refusal.status == 401:
        answer["WWW-Authenticate"] = 'Bearer realm="onym"'
    return answer


def place(request: HttpRequest) -> str:
    """The namespace of the path, else the default one."""
    match = request.resolver_match
    return str(match.kwargs.get("ns") or settings.NAMESPACE) if match else settings.NAMESPACE


def caller(request: HttpRequest, scope: str) -> Caller:
    """Who asks, if a token's scopes allow it; the desk's session had a second factor.

    Refuses `not_signed_in`, `not_allowed`, `second_factor_needed`.
    """
    found: Caller | None = getattr(request, "auth", None)
    if found is None:
        raise NotSignedIn("sign in, or send a bearer token")
    if found.namespace != place(request):
        raise NotAllowed("this member belongs to another namespace")
    if found.scopes is not None and scope not in found.scopes:
        raise NotAllowed(f"the token lacks the scope {scope}", scope=scope)
    if scope == "desk":
        people.expect_factor(found)
    return found


def staff(request: HttpRequest, action: access.Action, *, binds: bool = False) -> Caller:
    """The same at the desk, if one of the caller's roles allows `action`: asked before anything is
    touched or anybody outside is asked. What `binds` needs a second factor given just now.
    """
    who = caller(request, "desk")
    access.expect(people.member(who.id), action, namespace=place(request))
    if binds:
        people.expect_fresh_factor(who)
    return who


def is_desk(request: HttpRequest) -> bool:
    """Whether the caller belongs to the handle team, whose writes need the scope `desk`."""
    found: Caller | None = getattr(request, "auth", None)
    return found is not None and found.is_staff


def route(request: HttpRequest) -> str:
    """What an idempotency key is scoped to beside the member."""
    return record.named(f"{request.method} {request.path}")


def key(request: HttpRequest) -> str:
    """The client's name for this request. Refuses `idempotency_key_missing`."""
    given = request.headers.get("Idempotency-Key", "").strip()
    if not given:
        raise IdempotencyKeyMissing("send an Idempotency-Key header with every write")
    if len(given) > LONGEST_KEY:
        raise Malformed(f"an Idempotency-Key has at most {LONGEST_KEY} characters")
    return given


def write(
    request: HttpRequest,
    scope: str,
    run: Callable[[Caller], tuple[int, Any]],
    *,
    binds: bool = False,
) -> HttpResponse:
    """Run a write once under the client's name for it and answer what it says.

    One that `binds` (to sell, to accept, to approve) needs a second factor given just now.
    """
    who = caller(request, scope)

    def confirmed() -> Answer:
        if binds:
            people.expect_fresh_factor(who)
        return _answer(*run(who))

    answer = record.once(
        member=who.id,
        route=route(request),
        key=key(request),
        payload=payload(request),
        run=confirmed,
    )
    return respond(answer.status, answer.body)


def wait(ask: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """The state of what a job is to answer, and why: the first that is not pending, or the last."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        with transaction.atomic():
            state, reason = ask()
        if state != "pending" or time.monotonic() > until:
            return state, reason
        time.sleep(LOOK_SECONDS)


def _answer(status: int, body: Any) -> Answer:
    return Answer(status, plain(body))


def payload(request: HttpRequest) -> Any:
    """The request's JSON, for comparing a retry; text where it has no canonical form."""
    try:
        body = json.loads(request.body or b"null")
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    return json.dumps(body, sort_keys=True)


def may_send(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a body that may be left out."""
    schema = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": False, "content": schema}}


def sent(request: HttpRequest, model: type[Body]) -> Body:
    """The body, or the model's defaults where there is none. Refuses `malformed`."""
    try:
        return model.model_validate(json.loads(request.body or b"null") or {})
    except ValueError as error:
        raise Malformed("the request cannot be read") from error


def cursor(after: str | None) -> str | None:
    """An opaque cursor from the place where a page ended."""
    return base64.urlsafe_b64encode(after.encode()).decode() if after else None


def after(given: str) -> str:
    """The place that a cursor stands for. Refuses `malformed`."""
    try:
        text = base64.urlsafe_b64decode(given.encode()).decode() if given else ""
    except ValueError as error:
        raise Malformed("the cursor is not one of ours") from error
    if "\0" in text:
        raise Malformed("the cursor is not one of ours")
    return text


def page(found: Mapping[str, Any]) -> dict[str, Any]:
    """A list as it goes out: items, an opaque cursor, and whatever else the query says."""
    return {**found, "next": cursor(found["next"])}
