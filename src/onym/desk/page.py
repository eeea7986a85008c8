"""What the desk's pages share: who may see them, and how a form of theirs is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseRedirect

from onym.core import access
from onym.core.people import Member
from onym.flows import form
from onym.queries import desk, people
from onym.queries.people import Caller

Fields = dict[str, str]


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
    access.expect(Member(id=who.id, roles=who.roles), action)


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


def place_of(made: Any) -> str:
    """Where what a flow made is shown; what waits for a second person waits in the queue."""
    _, body = desk.outcome(made)
    id_ = str(body.get("id", "")) if isinstance(body, dict) else ""
    if id_.startswith("lst_"):
        return f"/@{body['handle']}"
    if id_.startswith("cmp_"):
        return f"/desk/campaigns/{id_}"
    return f"/sales/{id_}" if id_.startswith("sal_") else "/desk/"
