"""The stock that may be sold, narrowed and sorted, and the shortlist that is made of it."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from onym.core.errors import Malformed, Refusal
from onym.desk.page import Fields, address, answered, shown, staff
from onym.flows import form
from onym.flows import shortlist as flow
from onym.queries import ground
from onym.queries import stock as queries
from onym.queries.people import Caller
from onym.queries.stock import Wish

MOST_COMPARED = 4


def stock(request: HttpRequest) -> HttpResponse:
    """Released handles that may be sold, what is worth most first; a mark keeps one in sight."""
    staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    looked = ground.under(request)
    asked = {
        name: value.replace("\0", "").strip()[:100] for name, value in request.GET.dict().items()
    }
    wish, wrong = _wish(asked, currency=looked.place.currency)
    told = {
        "asked": asked,
        "wrong": wrong,
        "tiers": queries.TIERS,
        "sorts": queries.SORTS,
        "stock": queries.stock(looked, wish),
        "most": queries.SHOWN,
    }
    return shown(request, "desk/stock.html", told, refusal=refusal)


def _wish(asked: Mapping[str, str], *, currency: str) -> tuple[Wish, dict[str, str]]:
    """What was asked for, and the fields that could not be read: they narrow nothing."""
    wrong: dict[str, str] = {}
    numbers = {
        name: _number(name, asked.get(name, ""), wrong) for name in ("min_length", "max_length")
    }
    amounts = {
        f"{name}_minor": _amount(name, asked.get(f"{name}_worth", ""), currency, wrong)
        for name in ("min", "max")
    }
    tier, sort = asked.get("tier", ""), asked.get("sort", "")
    return Wish(
        q=asked.get("q", "").lstrip("@"),
        tier=tier if tier in queries.TIERS else "",
        sort=sort if sort in queries.SORTS else "worth",
        marked=asked.get("marked") == "on",
        **numbers,
        **amounts,
    ), wrong


def _number(name: str, typed: str, wrong: dict[str, str]) -> int:
    text = typed.translate(form.EASTERN)
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) < 3:
        return int(text)
    wrong[name] = "number"
    return 0


def _amount(name: str, typed: str, currency: str, wrong: dict[str, str]) -> int:
    if not typed:
        return 0
    try:
        return form.amount(typed, currency=currency, language=get_language() or "en").minor
    except Refusal:
        wrong[f"{name}_worth"] = "amount"
        return 0


def shortlist(request: HttpRequest) -> HttpResponse:
    """Every marked handle with its note; up to four of them side by side."""
    staff(request)
    done, refusal = answered(request, _do)
    if done:
        return done
    found = queries.shortlist(ground.under(request))
    chosen = request.GET.getlist("pick")[:MOST_COMPARED]
    told = {
        "shortlist": found,
        "chosen": chosen,
        "compared": queries.compared(found, chosen),
        "most": MOST_COMPARED,
    }
    return shown(request, "desk/shortlist.html", told, refusal=refusal)


def _do(fields: Fields, who: Caller) -> str:
    place, about, did = settings.NAMESPACE, fields.get("about", ""), fields.get("do", "")
    if did in ("mark", "note"):
        flow.mark(namespace=place, handle=about, by=who.id, note=fields.get("note", "").strip())
    elif did == "unmark":
        flow.unmark(namespace=place, handle=about, by=who.id)
    else:
        raise Malformed("a handle is marked, noted or taken off the shortlist")
    back = fields.get("back", "")
    known = back in ("stock", "shortlist") or back == f"handles/{about}"
    return address(back if known else "shortlist", did=did, about=about)
