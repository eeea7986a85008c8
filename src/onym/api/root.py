"""What stands at the site root: the log's files, the inboxes, the demo's clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from onym import ports
from onym.api import wire
from onym.core.errors import Malformed, NotSignedIn, Refusal
from onym.flows import clock as clocks
from onym.flows import inbox
from onym.ports.mail import read_inbound
from onym.queries import clock, log, people

ADVANCE_SECONDS = 300.0
View = Callable[..., HttpResponse]


def refusing(view: View) -> View:
    """Answer a refusal of `view` as every other one is answered."""

    def run(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except Refusal as refusal:
            return wire.problem(refusal)

    return run


@require_GET
@refusing
def log_file(_: HttpRequest, path: str) -> HttpResponse:
    """Checkpoint, keys, tiles and entries, as they lie on disk; full tiles never change."""
    data = log.file(path)
    is_text = "tile/" not in path
    kind = "text/plain; charset=utf-8" if is_text else "application/octet-stream"
    answer = HttpResponse(data, content_type=kind)
    fixed = not is_text and ".p/" not in path
    answer["Cache-Control"] = "public, max-age=31536000, immutable" if fixed else "no-cache"
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@csrf_exempt
@require_POST
@refusing
def payments_hook(request: HttpRequest, provider: str) -> HttpResponse:
    """The provider's inbox: a signed hint is kept once; what is so is asked for by a job."""
    if not ports.takes_payments(settings.NAMESPACE):
        raise Malformed("no such provider")
    port = ports.payments(settings.NAMESPACE)
    if provider != port.name:
        raise Malformed("no such provider")
    signature = request.headers.get("Stripe-Signature", "")
    hint = port.read_webhook(payload=request.body, signature=signature, now=time.time())
    inbox.payment_hint(namespace=settings.NAMESPACE, provider=port.name, hint=hint)
    return wire.respond(200, {"received": hint.id})


@csrf_exempt
@require_POST
@refusing
def inbound(request: HttpRequest) -> HttpResponse:
    """Mail for our own addresses; the automatic reply is decided by a flow."""
    signature = request.headers.get("Onym-Signature", "")
    keys = [settings.INBOUND_SECRET]
    letter = read_inbound(payload=request.body, signature=signature, keys=keys, now=time.time())
    state = inbox.receive(namespace=settings.NAMESPACE, letter=letter)
    return wire.respond(200, {"state": state})


@csrf_exempt
@require_POST
@refusing
def demo_clock(request: HttpRequest) -> HttpResponse:
    """Step the demo's clock; answers once everything on the way is done. 404 in production."""
    clocks.expect_demo()
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not token:
        raise NotSignedIn("send a bearer token of demo.json")
    people.by_token(token)
    target = clocks.order_advance(seconds=_seconds(request))
    until = time.monotonic() + ADVANCE_SECONDS
    while clock.stepping() and time.monotonic() < until:
        time.sleep(0.02)
    return wire.respond(200, {"now": max(clock.now(), target)})


def _seconds(request: HttpRequest) -> int:
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    seconds = asked.get("advance_seconds") if isinstance(asked, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise Malformed("advance_seconds is a whole number of seconds")
    return seconds
