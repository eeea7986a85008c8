"""The provider's HTTP surface: who calls, which verb, which fault, which answer."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
import signal
import traceback
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as PathRoute
from starlette.types import Receive, Scope, Send

from onym_demo.payments import answers, control, faults, lists, methods, routes, wire
from onym_demo.payments.provider import API_VERSION, Call, Provider, sale_of
from onym_demo.payments.wire import Answer, WireError

LARGEST_BODY = 100_000
LONGEST_SILENCE = 60.0

SERVER_ERROR = Answer(
    500, {"error": {"type": "api_error", "message": "An unknown error occurred."}}
)
TOO_MANY = Answer(
    429,
    {
        "error": {
            "type": "invalid_request_error",
            "code": "rate_limit",
            "message": "Request rate limit exceeded.",
        }
    },
)


class Cut(Response):
    """An answer that breaks off: the caller cannot know what happened."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"9999")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionAbortedError("cut on demand")


@dataclass(slots=True)
class Surface:
    """One running server. `busy` holds the idempotency keys under way in this process."""

    provider: Provider
    busy: set[tuple[str, str]] = field(default_factory=set)

    async def serve(self, request: Request) -> Response:
        try:
            return await self._serve(request)
        except WireError as error:
            return _respond(error.answer, request)
        except Exception:
            traceback.print_exc()
            return _respond(SERVER_ERROR, request)

    async def _serve(self, request: Request) -> Response:
        _authenticate(self.provider, request)
        found = routes.match(request.method, request.url.path)
        if found is None:
            raise WireError(
                f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404
            )
        route, identity = found
        call = await _read(request, identity)
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if not key:
            return await self._act(request, route, call, "")
        return await self._act_once(request, route, call, key)

    async def _act_once(
        self, request: Request, route: routes.Route, call: Call, key: str
    ) -> Response:
        if (key, call.account) in self.busy:
            raise answers.in_use(key)
        path = request.url.path
        before = answers.find(self.provider, key=key, path=path, call=call)
        if before is not None:
            return _respond(before, request, replayed=True)
        self.busy.add((key, call.account))
        try:
            return await self._act(request, route, call, key)
        finally:
            self.busy.discard((key, call.account))

    async def _act(self, request: Request, route: routes.Route, call: Call, key: str) -> Response:
        fault = _fault(self.provider, route, call)
        if fault.kind == "silent":
            await asyncio.sleep(min(fault.seconds, LONGEST_SILENCE))
            return Cut()
        if fault.kind == "rate_limit":
            return _respond(TOO_MANY, request)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "crash_before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = _commit(self.provider, request.url.path, route, call, key, fault)
        if fault.kind == "crash_after":
            os.kill(os.getpid(), signal.SIGKILL)
        self.busy.discard((key, call.account))
        if fault.kind in ("late", "lost"):
            await asyncio.sleep(min(fault.seconds, LONGEST_SILENCE))
        return Cut() if fault.kind == "lost" else _respond(answer, request)


def _authenticate(provider: Provider, request: Request) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if not hmac.compare_digest(given.encode(), provider.options.api_key.encode()):
        raise WireError("Invalid API Key provided.", status=401, kept=False)
    account = request.headers.get("stripe-account", "")
    if account and provider.state.find("account", account) is None:
        raise WireError(
            "The provided key does not have access to this account.",
            status=403,
            code="account_invalid",
            kept=False,
        )


async def _read(request: Request, identity: str) -> Call:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise WireError("The request is too large.", status=413, kept=False)
    try:
        text = body.decode() if request.method == "POST" else request.url.query
        params = wire.read_form(text)
    except ValueError:
        raise WireError("The form cannot be read.", kept=False) from None
    return Call(params, identity, request.headers.get("stripe-account", ""))


def _fault(provider: Provider, route: routes.Route, call: Call) -> faults.Fault:
    """A planned fault, else the one that the payment method of a confirmation brings along."""
    about = provider.state.any(call.id) or {} if call.id else {}
    with provider.state.transaction():
        fault = faults.take(
            provider.state, verb=route.name, sale_id=sale_of(call.params) or sale_of(about)
        )
    if fault.kind or route.name != "payment_intents.confirm":
        return fault
    method = methods.METHODS.get(str(call.params.get("payment_method", "")))
    return faults.Fault(method.fault) if method else fault


def _commit(
    provider: Provider, path: str, route: routes.Route, call: Call, key: str, fault: faults.Fault
) -> Answer:
    """Effect, events and kept answer in one transaction; a refusal undoes all but the answer."""
    if fault.kind in ("error", "error_kept"):
        answer = SERVER_ERROR
        kept = fault.kind == "error_kept"
    else:
        try:
            with provider.state.transaction():
                answer = _run(provider, route, call)
                answer = SERVER_ERROR if fault.kind == "error_after" else answer
                if key:
                    answers.keep(provider, key=key, path=path, call=call, answer=answer)
            return answer
        except WireError as error:
            answer, kept = error.answer, error.kept
    if key and kept:
        with provider.state.transaction():
            answers.keep(provider, key=key, path=path, call=call, answer=answer)
    return answer


def _run(provider: Provider, route: routes.Route, call: Call) -> Answer:
    result = route.verb(provider, call)
    answer = result if isinstance(result, Answer) else Answer(200, result)
    lists.expand(provider, answer.body, call.params.get("expand"))
    return answer


def _respond(answer: Answer, request: Request, *, replayed: bool = False) -> JSONResponse:
    headers = {
        "Request-Id": wire.new_id("req"),
        "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
    }
    if key := request.headers.get("idempotency-key", ""):
        headers["Idempotency-Key"] = key
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(answer.body, answer.status, headers)


def make(provider: Provider) -> Starlette:
    surface = Surface(provider)
    return Starlette(
        routes=[
            PathRoute("/v1/{rest:path}", surface.serve, methods=["GET", "POST", "DELETE"]),
            *control.routes(provider),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
        ],
    )
