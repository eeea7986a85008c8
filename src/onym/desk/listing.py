"""From a released handle to a price, private offers, or a house purchase."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from onym.core import term as terms
from onym.core.access import Action
from onym.core.errors import Malformed, Refusal
from onym.core.handle import State
from onym.core.money import Money
from onym.core.term import Term
from onym.desk.page import (
    LEADS_ELSEWHERE,
    Fields,
    address,
    answered,
    expect,
    place_of,
    shown,
    staff,
)
from onym.flows import appraisal, form, invitation, listing, reclaim
from onym.flows import desk as flow
from onym.flows.invitation import Recipient
from onym.queries import desk as queries
from onym.queries import ground, names, people, queue, stock
from onym.queries import handle as handles
from onym.queries.ground import Ground
from onym.queries.people import Caller

ACTIONS = {
    "list": Action.LIST,
    "campaign": Action.CAMPAIGN,
    "house": Action.HOUSE_PURCHASE,
}
PROPOSED = {"list": "list", "campaign": "campaign", "house": "house_purchase"}
LANGUAGES = ("en", "fr", "ar")


def handle(request: HttpRequest, handle: str) -> HttpResponse:
    """One handle with the three ways of selling it; what was typed stays when it is refused."""
    who, refusal, checked = staff(request), None, None
    looked = ground.under(request)
    if request.method == "POST":
        try:
            way = request.POST.get("do", "")
            if way.startswith("check-"):
                checked = _check(looked, request.POST.dict(), way.removeprefix("check-"), who)
            else:
                _last_look(request, handle, who)
        except LEADS_ELSEWHERE:
            raise
        except Refusal as error:
            refusal = error
    if not (refusal or checked):
        done, refusal = answered(request, lambda fields, by: _do(fields, handle, by))
        if done:
            return done
    return _page(request, looked, handle, checked=checked, refusal=refusal)


def _page(
    request: HttpRequest,
    looked: Ground,
    name: str,
    *,
    checked: dict[str, Any] | None,
    refusal: Refusal | None,
) -> HttpResponse:
    page, typed = handles.page(looked, name), form.typed(request)
    found = page["handle"]
    way = typed.get("do", "").removeprefix("check-") or request.GET.get("way", "")
    told = {
        "page": page,
        "typed": typed,
        "handle": found,
        "mark": stock.marks(looked).get(found["handle"]),
        "may_sell": found["state"] == State.RELEASED and not found["locked"] and not found["sale"],
        "whole": looked.place.whole_accounts and bool(found["holder"]),
        "way": way if way in ACTIONS else "list",
        "checked": checked,
    }
    return shown(request, "desk/handle.html", told, refusal=refusal)


def _check(looked: Ground, fields: Fields, way: str, who: Caller) -> dict[str, Any]:
    """What would happen, before it does: the sums, whether a second person is needed, and what
    that person would see. Nothing is written.
    """
    expect(who, _action(way))
    terms = queries.terms(looked, _price(fields))
    asked = recipients(fields.get("recipients", "")) if way == "campaign" else []
    days = _days(fields.get("days", "")) if way == "campaign" else None
    if way == "campaign" and not asked:
        raise Malformed("name at least one recipient")
    terms["needs_two"] = terms["needs_two"] or way == "house"
    wish = {"criteria": fields.get("criteria", ""), "days": days} if way == "campaign" else {}
    wish |= {"term": _term(fields)} if way == "list" and fields.get("term") else {}
    return {
        "way": way,
        "action": PROPOSED[way],
        "terms": terms,
        "count": len(asked),
        "wish": queue.wish(wish),
    }


def _action(way: str) -> Action:
    if way not in ACTIONS:
        raise Malformed("a handle is listed, offered, or bought by the house")
    return ACTIONS[way]


def _last_look(request: HttpRequest, name: str, who: Caller) -> None:
    """Ask the platform afresh before a handle of the stock is sold; outside every transaction."""
    did = request.POST.get("do", "")
    if did == "withdraw":
        return
    expect(who, _action(did))
    people.expect_fresh_factor(who)
    reclaim.prepare_sale(namespace=settings.NAMESPACE, handle=name)


def _do(fields: Fields, name: str, who: Caller) -> str:
    place = settings.NAMESPACE
    if fields["do"] == "withdraw":
        listing.withdraw(listing_id=fields.get("about", ""), by=who.id)
        return address(f"handles/{name}", did="unlisted")
    if fields["do"] == "list":
        made: Any = listing.open_house(
            namespace=place,
            handle=name,
            by=who.id,
            price=_price(fields),
            shown=_worth(name),
            term=_term(fields),
        )
    elif fields["do"] == "house":
        made = flow.propose_house_purchase(
            namespace=place, handle=name, by=who.id, price=_price(fields)
        )
    else:
        made = _offer(fields, name, who)
    return place_of(made)


def _term(fields: Fields) -> Term:
    return terms.read(fields.get("term") or Term.HANDLE)


def _offer(fields: Fields, name: str, who: Caller) -> Any:
    return invitation.propose(
        namespace=settings.NAMESPACE,
        handle=name,
        by=who.id,
        price=_price(fields),
        criteria=fields.get("criteria", "").strip()[:4_000],
        recipients=recipients(fields.get("recipients", "")),
        expires_in_days=_days(fields.get("days", "")),
        shown=_worth(name),
    )


def _worth(name: str) -> appraisal.Shown:
    """The appraisal that stands beside the price and enters the log with it."""
    return appraisal.Shown(**names.beside_price(settings.NAMESPACE, name))


def _price(fields: Fields) -> Money:
    currency = ground.of(settings.NAMESPACE).place.currency
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
