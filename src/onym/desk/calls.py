"""Calls to the outside that are not answered: hooks after a hand-over, and given-up webhooks."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from onym.core.access import Action
from onym.core.errors import Malformed
from onym.desk.page import Fields, address, answered, expect, shown, staff
from onym.flows import hook, webhook
from onym.queries import hook as hooks
from onym.queries import webhook as webhooks
from onym.queries.people import Caller


def calls(request: HttpRequest) -> HttpResponse:
    """What the operator's systems have not ended yet, and what relying sites have not heard."""
    staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    told = {
        "hooks": hooks.not_done(settings.NAMESPACE),
        "dead": webhooks.dead(namespace=settings.NAMESPACE),
    }
    return shown(request, "desk/calls.html", told, refusal=refusal)


def _do(fields: Fields, who: Caller) -> str:
    expect(who, Action.SEND_AGAIN)
    did, about = fields.get("do", ""), fields.get("about", "")
    match did:
        case "call":
            hook.call_again(call_id=about, by=who.id)
        case "send":
            webhook.send_again(delivery_id=about, by=who.id, at_desk=True)
        case _:
            raise Malformed("call a hook or send a message again")
    return address("calls", did="sent_again")
