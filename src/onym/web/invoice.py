"""An invoice or credit note as a page and as a PDF, in each language; both say the same facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import typst
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext

from onym.queries import invoice as queries
from onym.queries import people
from onym.web.templatetags import market

HERE = Path(__file__).parent


def invoice(request: HttpRequest, id: str) -> HttpResponse:
    """Shown to its buyer and to staff."""
    return render(request, "invoice.html", {"said": _said(_found(request, id))})


def pdf(request: HttpRequest, id: str) -> HttpResponse:
    """The same on paper."""
    found = _found(request, id)
    answer = HttpResponse(paper(_said(found)), content_type="application/pdf")
    answer["Content-Disposition"] = f'attachment; filename="{found["number"]}.pdf"'
    return answer


def _found(request: HttpRequest, id_: str) -> dict[str, Any]:
    who = people.signed_in(request)
    return queries.invoice(id_, viewer=who.id, sees_all_of=who.sees_all_of)


def paper(said: Mapping[str, Any]) -> bytes:
    """A PDF of what is said: facts go in as data, so that nothing of them is ever markup."""
    made: bytes = typst.compile(  # type: ignore[misc]  # its types know paths only
        _template(),
        font_paths=[str(HERE / "fonts")],
        ignore_system_fonts=True,
        sys_inputs={"said": json.dumps(said)},
    )
    return made


@cache
def _template() -> bytes:
    return (HERE / "templates" / "invoice.typ").read_bytes()


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    """Every word and figure of the document, in the page's language."""
    is_credit = found["kind"] == "credit_note"
    return {
        "lang": translation.get_language() or "en",
        "id": found["id"],
        "title": gettext("Credit note") if is_credit else gettext("Invoice"),
        "number": found["number"],
        "facts": [pair for pair in _facts(found) if pair[1]],
        "issuer": "\n".join(map(_isolated, found["issuer"].splitlines())),
        "to": _isolated(found["buyer"]["name"] or found["buyer"]["id"]),
        "words": {
            "from": gettext("Issued by"),
            "to": gettext("To"),
            "what": gettext("What"),
            "amount": gettext("Amount"),
            "total": gettext("Credited") if is_credit else gettext("Paid"),
            "digest": gettext("Digest of this document"),
        },
        "lines": [[_line(found, row["what"]), _money(row["amount"])] for row in found["lines"]],
        "total": _money(found["gross"]),
        "note": _note(found),
        "sha256": found["sha256"],
    }


def _isolated(text: str) -> str:
    """A line in whatever direction it is written, wherever it stands."""
    return f"\u2068{text}\u2069"


def _facts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (gettext("Number"), found["number"]),
        (gettext("Date"), market.date(found["issued_at"])),
        (gettext("Takes back invoice"), found["credits"]),
        (gettext("Sale"), found["sale"]),
        (gettext("Country"), found["buyer"]["country"]),
    ]


def _line(found: Mapping[str, Any], what: str) -> str:
    tax = found["tax"]
    return {
        "price": gettext("Handle %(handle)s") % {"handle": f"\u2066@{found['handle']}\u2069"},
        "commission": gettext("Commission"),
        "fee": gettext("Fee"),
        "tax": f"{tax.get('name') or gettext('Tax')} \u2066{tax.get('percent', '')} %\u2069",
    }[what]


def _note(found: Mapping[str, Any]) -> str:
    if found["seller"]["house"]:
        return ""
    words = gettext("The handle was sold by the member %(seller)s through this market.")
    return words % {"seller": f"\u2066{found['seller']['id']}\u2069"}


def _money(value: Any) -> str:
    return f"\u2066{market.plain_money(value)}\u2069"
