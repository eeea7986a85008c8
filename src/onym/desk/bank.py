"""The bank's page: statements in, money that nobody knows, payment files out."""

from __future__ import annotations

from typing import BinaryIO, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse

from onym.core.access import Action
from onym.core.errors import Malformed
from onym.desk.page import Fields, address, answered, expect, place_of, shown, staff
from onym.flows import bank as flow
from onym.flows import disclosure, outgoing, receiver, statement
from onym.queries import bank as queries
from onym.queries import ground, people, share
from onym.queries.people import Caller


def bank(request: HttpRequest) -> HttpResponse:
    """Suspense first, then what waits, what is to be sent, and what came lately.

    Who sees payers' names is recorded.
    """
    who = staff(request)
    expect(who, Action.BANK)
    done, refusal = answered(request, lambda fields, by: _do(request, fields, by))
    if done:
        return done
    looked = ground.under(request)
    lines = queries.movements(looked)
    told = {
        **lines,
        "orders": queries.orders(looked),
        "statements": queries.statements(looked),
        "files": queries.files(looked),
        "shares": share.unclaimed(looked),
        "offered": queries.offered(settings.NAMESPACE),
    }
    disclosure.record(
        namespace=settings.NAMESPACE,
        member=who.id,
        what="bank",
        about=[line["id"] for some in lines.values() for line in some if line["name"]],
        now=looked.now,
    )
    return shown(request, "desk/bank.html", told, refusal=refusal)


def _do(request: HttpRequest, fields: Fields, who: Caller) -> str:
    about, did = fields.get("about", ""), fields.get("do", "")
    match did:
        case "statement":
            return _import(request, who)
        case "assign" | "return":
            reference = fields.get("reference", "") if did == "assign" else ""
            if did == "assign" and not reference:
                raise Malformed("write the sale's payment reference")
            made = flow.decide(line_id=about, by=who.id, reference=reference)
            if (to := place_of(made)) != address(""):
                return to
            return address("bank", did="assigned" if reference else "sent_back")
        case "complete":
            people.expect_fresh_factor(who)
            iban, holder = fields.get("iban", ""), fields.get("name", "")
            named = receiver.name(order_id=about, by=who.id, iban=iban, holder=holder)
            if (to := place_of(named)) != address(""):
                return to
            return address("bank", did="sent_back")
        case "file":
            people.expect_fresh_factor(who)
            outgoing.file(namespace=settings.NAMESPACE, by=who.id)
            return address("bank", did="filed")
    raise Malformed("the bank's page knows no such act")


def _import(request: HttpRequest, who: Caller) -> str:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile) or file.file is None:
        raise Malformed("choose a file first")
    opened = cast(BinaryIO, file.file)
    statement.book(namespace=settings.NAMESPACE, file=opened, by=who.id)
    return address("bank", did="statement")


def file(request: HttpRequest, id: str) -> HttpResponse:
    """A payment file, to be given to the bank; who took it is recorded."""
    who = staff(request)
    expect(who, Action.BANK)
    text = queries.file_text(id, namespace=settings.NAMESPACE)
    disclosure.record(
        namespace=settings.NAMESPACE,
        member=who.id,
        what="bank",
        about=[id],
        now=ground.under(request).now,
    )
    answer = HttpResponse(text, content_type="application/xml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{id}.xml"'
    return answer
