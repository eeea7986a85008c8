"""Levers for demo and tests (`/demo/…`), the bank's and the holder's pages, and the overview."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from onym_demo.payments import (
    accounts,
    answers,
    books,
    checkout,
    disputes,
    faults,
    intents,
    page,
    webhooks,
    wire,
)
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, Answer, WireError

Endpoint = Callable[[Request], Awaitable[Response]]
Lever = Callable[[Provider, str, JSON], JSON]


def _faults(provider: Provider, _identity: str, wanted: JSON) -> JSON:
    return {"id": faults.plan(provider.state, wanted), "planned": faults.planned(provider.state)}


def _no_faults(provider: Provider, _identity: str, _wanted: JSON) -> JSON:
    faults.clear(provider.state)
    return {"planned": []}


def _settle(provider: Provider, identity: str, wanted: JSON) -> JSON:
    settled = intents.settle(provider, identity, paid=wanted.get("outcome") == "paid")
    return settled.body if isinstance(settled, Answer) else settled


def _dispute(provider: Provider, _identity: str, wanted: JSON) -> JSON:
    intent = intents.retrieve(provider, Call(id=str(wanted.get("payment_intent", ""))))
    charge = provider.state.find("charge", intent["latest_charge"] or "")
    if charge is None:
        raise wire.missing(noun="charge", identity=intent["id"])
    part = int(wanted["amount"]) if "amount" in wanted else None
    return disputes.begin(provider, charge, str(wanted.get("reason", "fraudulent")), part=part)


def _end_dispute(provider: Provider, identity: str, wanted: JSON) -> JSON:
    return disputes.end(provider, identity, won=wanted.get("outcome") == "won")


def _complete(provider: Provider, identity: str, _wanted: JSON) -> JSON:
    return accounts.complete(provider, identity)


def _close(provider: Provider, identity: str, _wanted: JSON) -> JSON:
    return accounts.close(provider, identity)


def _forget_keys(provider: Provider, _identity: str, _wanted: JSON) -> JSON:
    answers.forget(provider)
    return {"forgotten": True}


def _send_again(provider: Provider, identity: str, wanted: JSON) -> JSON:
    if provider.state.find("event", identity) is None:
        raise wire.missing(noun="event", identity=identity)
    times = min(int(wanted.get("times", 1)), 1000)
    webhooks.send_again(provider, identity, times)
    return {"queued": times}


LEVERS: list[tuple[str, str, Lever]] = [
    ("POST", "/demo/faults", _faults),
    ("DELETE", "/demo/faults", _no_faults),
    ("POST", "/demo/intents/{id}/settle", _settle),
    ("POST", "/demo/disputes", _dispute),
    ("POST", "/demo/disputes/{id}/end", _end_dispute),
    ("POST", "/demo/accounts/{id}/complete", _complete),
    ("POST", "/demo/accounts/{id}/close", _close),
    ("DELETE", "/demo/keys", _forget_keys),
    ("POST", "/demo/events/{id}/send", _send_again),
]


def _lever(provider: Provider, lever: Lever) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        try:
            wanted = await _wanted(request)
            with provider.state.transaction():
                done = lever(provider, request.path_params.get("id", ""), wanted)
        except WireError as error:
            return JSONResponse(error.answer.body, error.answer.status)
        except (TypeError, ValueError):
            return JSONResponse({"error": {"message": "A lever takes plain numbers."}}, 400)
        return JSONResponse(done)

    return endpoint


async def _wanted(request: Request) -> JSON:
    """The JSON body; another content type is refused, so that no foreign page can pull levers."""
    if request.method == "DELETE":
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise WireError("Levers take application/json.", status=415, kept=False)
    try:
        wanted = json.loads(await request.body() or b"{}")
    except ValueError:
        raise WireError("The JSON cannot be read.", kept=False) from None
    if not isinstance(wanted, dict):
        raise WireError("The JSON must be an object.", kept=False)
    return wanted


def routes(provider: Provider) -> list[Route]:
    async def show_books(_request: Request) -> Response:
        return JSONResponse(books.summary(provider.state))

    async def show_faults(_request: Request) -> Response:
        return JSONResponse({"planned": faults.planned(provider.state)})

    async def show_pending(_request: Request) -> Response:
        timers = provider.state.rows("SELECT COUNT(*) AS n FROM timers")[0]["n"]
        return JSONResponse({"webhooks": webhooks.pending(provider), "timers": timers})

    async def health(_request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def overview(_request: Request) -> Response:
        return page.overview(provider)

    async def buyer(request: Request) -> Response:
        return await _buyer(provider, request)

    async def holder(request: Request) -> Response:
        return await _holder(provider, request)

    async def enter_card(request: Request) -> Response:
        return await checkout.serve(provider, request)

    return [
        Route("/", overview),
        Route("/style.css", page.style),
        Route("/health", health),
        Route("/demo/books", show_books),
        Route("/demo/pending", show_pending),
        Route("/demo/faults", show_faults, methods=["GET"]),
        Route("/c/pay/{id}", enter_card, methods=["GET", "POST"]),
        Route("/demo/authenticate/{id}", buyer, methods=["GET", "POST"]),
        Route("/demo/onboard/{id}", holder, methods=["GET", "POST"]),
        *(Route(path, _lever(provider, lever), methods=[m]) for m, path, lever in LEVERS),
    ]


async def _buyer(provider: Provider, request: Request) -> Response:
    """The bank's 3-D Secure page: the buyer says yes or no."""
    intent = provider.state.find("payment_intent", request.path_params["id"])
    if intent is None:
        return page.show("nothing.html", 404)
    action = intent["next_action"] or {}
    back = (action.get("redirect_to_url") or {}).get("return_url", "")
    if request.method == "POST":
        if page.foreign(request):
            return page.show("nothing.html", 403)
        form = wire.read_form((await request.body()).decode(errors="replace"))
        with provider.state.transaction():
            intents.settle(provider, intent["id"], paid=form.get("answer") == "yes")
        intent = provider.state.find("payment_intent", intent["id"]) or intent
    return page.show("authenticate.html", intent=intent, back=_safe(back))


async def _holder(provider: Provider, request: Request) -> Response:
    """The provider's page where the holder of a connected account gives the details."""
    account = provider.state.find("account", request.path_params["id"])
    if account is None:
        return page.show("nothing.html", 404)
    if request.method == "POST":
        if page.foreign(request):
            return page.show("nothing.html", 403)
        with provider.state.transaction():
            account = accounts.complete(provider, account["id"])
    back = provider.state.any(f"back_{account['id']}") or {}
    return page.show("onboard.html", account=account, back=_safe(back.get("url", "")))


def _safe(url: str) -> str:
    return url if url.startswith(("http://", "https://")) else ""
