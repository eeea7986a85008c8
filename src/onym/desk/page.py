"""What the desk's pages share: who may see them, their frame, how a form is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core import access
from onym.core.errors import NotFound, Refusal
from onym.core.people import Member
from onym.flows import form
from onym.queries import desk, ground, people
from onym.queries.people import Caller

Fields = dict[str, str]
LEADS_ELSEWHERE: tuple[type[Refusal], ...] = (*form.LEADS_ELSEWHERE, NotFound)
"""Refusals that are answered by another page."""


def staff(request: HttpRequest) -> Caller:
    """The member of the handle team who asks, signed in with a passkey or TOTP.

    Refuses `not_signed_in`, `not_allowed`, `second_factor_needed`.
    """
    who = people.signed_in(request)
    expect(who, access.Action.READ_DESK)
    people.expect_factor(who)
    return who


def expect(who: Caller, action: access.Action) -> None:
    """Refuses `not_allowed` unless one of the caller's roles allows `action`."""
    member = Member(id=who.id, namespace=who.namespace, roles=who.roles)
    access.expect(member, action, namespace=settings.NAMESPACE)


def may(who: Caller) -> frozenset[str]:
    """The actions that the caller's roles allow: what a page offers."""
    return frozenset(
        action.value for role in who.roles for action in access.ALLOWED.get(role, frozenset())
    )


def once(request: HttpRequest, run: Callable[[Fields, Caller], str]) -> HttpResponseRedirect:
    """Carry a form out once, however often it is sent, and go where `run` says."""
    who, fields = staff(request), request.POST.dict()
    to = form.once(member=who.id, path=request.path, fields=fields, run=lambda: run(fields, who))
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{to}")


def answered(
    request: HttpRequest, run: Callable[[Fields, Caller], str]
) -> tuple[HttpResponse | None, Refusal | None]:
    """A form's answer, or why it was refused and its page is shown again; neither for a look."""
    if request.method != "POST":
        return None, None
    try:
        return once(request, run), None
    except LEADS_ELSEWHERE:
        raise
    except Refusal as error:
        return None, error


def shown(
    request: HttpRequest,
    template: str,
    told: dict[str, Any],
    *,
    refusal: Refusal | None = None,
) -> HttpResponse:
    """A page of the desk with its navigation; `did` names what was done just before."""
    frame = desk.frame(ground.under(request)) | {
        "may": may(staff(request)),
        "typed": form.typed(request),
        "refusal": refusal,
        "did": request.GET.get("did", "") if request.method == "GET" else "",
    }
    return render(request, template, frame | told, status=refusal.status if refusal else 200)


def address(path: str, **said: object) -> str:
    """An address of the desk with what its page shall say."""
    found = {name: value for name, value in said.items() if value}
    return f"/desk/{path}" + (f"?{urlencode(found)}" if found else "")


def place_of(made: Any) -> str:
    """Where what a flow made is shown; what waits for a second person waits in the queue."""
    _, body = desk.outcome(made)
    if not isinstance(body, dict):
        return address("")
    if "approval" in body:
        return address("", did="proposed", about=body["approval"]["id"])
    id_ = str(body.get("id", ""))
    if id_.startswith("lst_"):
        return address(f"handles/{body['handle']}", did="listed")
    if id_.startswith("cmp_"):
        return address(f"campaigns/{id_}", did="committed")
    if id_.startswith("pln_"):
        return address("plans", did="adopted", plan=id_)
    return f"/sales/{id_}" if id_.startswith("sal_") else address("")
