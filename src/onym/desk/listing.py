"""From the shortlist of released stock to a price, private offers, or a house purchase."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language

from onym.core.access import Action
from onym.core.errors import Malformed, Refusal
from onym.core.money import Money
from onym.desk.page import Fields, expect, may, once, place_of, staff
from onym.flows import appraisal, form, invitation, listing, reclaim
from onym.flows import desk as flow
from onym.flows.invitation import Recipient
from onym.queries import desk as queries
from onym.queries import ground, names, people
from onym.queries.people import Caller

ACTIONS = {
    "list": Action.LIST,
    "campaign": Action.CAMPAIGN,
    "house": Action.HOUSE_PURCHASE,
}
LANGUAGES = ("en", "fr", "ar")


def stock(request: HttpRequest) -> HttpResponse:
    """Released handles that may be sold, what is worth most first."""
    staff(request)
    q = request.GET.get("q", "").strip().lstrip("@").replace("\0", "")[:100]
    found = queries.stock(ground.under(request), q=q)
    return render(request, "desk/stock.html", {"q": q, "stock": found})


def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """One handle with the three ways of selling it; what was typed stays when it is refused."""
    who, refusal = staff(request), None
    if request.method == "POST":
        try:
            _last_look(request, handle, who)
            return once(request, lambda fields, by: place_of(_do(fields, handle, by)))
        except form.LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    told = {
        "handle": queries.handle(ground.under(request), handle),
        "may": may(who),
        "typed": form.typed(request),
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "desk/handle.html", told, status=status)


def _last_look(request: HttpRequest, name: str, who: Caller) -> None:
    """Ask the platform afresh before a handle of the stock is sold; outside every transaction."""
    action = ACTIONS.get(request.POST.get("do", ""))
    if action is None:
        raise Malformed("a handle is listed, offered, or bought by the house")
    expect(who, action)
    people.expect_fresh_factor(who)
    reclaim.prepare_sale(namespace=settings.NAMESPACE, handle=name)


def _do(fields: Fields, name: str, who: Caller) -> object:
    place = settings.NAMESPACE
    shown = appraisal.Shown(**names.beside_price(place, name))
    if fields["do"] == "list":
        return listing.open_house(
            namespace=place, handle=name, by=who.id, price=_price(fields), shown=shown
        )
    if fields["do"] == "house":
        return flow.propose_house_purchase(
            namespace=place, handle=name, by=who.id, price=_price(fields)
        )
    return invitation.propose(
        namespace=place,
        handle=name,
        by=who.id,
        price=_price(fields),
        criteria=fields.get("criteria", "").strip()[:4_000],
        recipients=recipients(fields.get("recipients", "")),
        expires_in_days=_days(fields.get("days", "")),
        shown=shown,
    )


def _price(fields: Fields) -> Money:
    currency = names.namespace(settings.NAMESPACE).currency
    language = get_language() or "en"
    return form.amount(fields.get("price", ""), currency=currency, language=language)


def _days(typed: str) -> int:
    text = typed.translate(form.EASTERN).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise Malformed("write the days as a number, for example 14")
    return int(text)


def recipients(typed: str) -> list[Recipient]:
    """One recipient a line: mail, name, language; the last two may be left out.

    Refuses `malformed` with the number of the first line that cannot be read.
    """
    found = []
    for number, line in enumerate(typed.splitlines(), start=1):
        parts = [part.strip() for part in line.replace("،", ",").split(",")]
        if not any(parts):
            continue
        mail, name, language = [*parts, "", ""][:3]
        local, _, domain = mail.partition("@")
        if not (local and domain and len(mail) <= 254 and len(name) <= 200) or " " in mail:
            raise Malformed(f"line {number}: no mail address", line=number)
        if len(parts) > 3 or (language or "en") not in LANGUAGES:
            raise Malformed(f"line {number}: write mail, name, language", line=number)
        found.append(Recipient(mail, name, language or "en"))
    return found
