"""Security → mail address: a code to the new one, and the change that stops sales for a while."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.errors import Malformed
from onym.flows import address as flow
from onym.queries import people


def address(request: HttpRequest) -> HttpResponse:
    """The address of now, and one form for the new one, then one for the code sent there."""
    who, said = people.signed_in(request), {}
    if request.method == "POST":
        people.expect_proven(request, who)
        said = _do(request, who)
        if not said:
            return HttpResponseRedirect(f"/{get_language()}/security/mail")
    told = {
        "addresses": people.addresses(who.id),
        "ordered": flow.waiting(request),
        "typed": request.POST.get("mail", "").strip(),
    }
    status = {"wrong": 403, "unreadable": 400}.get(next(iter(said), ""), 200)
    return render(request, "address.html", told | said, status=status)


def _do(request: HttpRequest, who: people.Caller) -> dict[str, bool]:
    """What the page says afterwards; nothing: a code is on its way."""
    if "code" in request.POST:
        right = flow.confirm(request, member=who.id, code=request.POST["code"])
        return {"changed": True} if right else {"wrong": True}
    try:
        mail, language = request.POST.get("mail", "").strip(), get_language() or "en"
        flow.order_code(request, member=who.id, mail=mail, language=language)
    except Malformed:
        return {"unreadable": True}
    return {}
