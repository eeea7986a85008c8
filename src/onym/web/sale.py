"""The page of a sale: its clocks, and what each party may do now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from onym.core.errors import NotFound, Refusal
from onym.core.sale import Kind
from onym.flows import bank, checkout, form, payments, transfer, wallet
from onym.flows import sale as flow
from onym.queries import bank as transfers
from onym.queries import checkout as checkouts
from onym.queries import ground, hook, people
from onym.queries import invoice as invoices
from onym.queries import sale as queries
from onym.queries import wallet as wallets
from onym.web import page, steps


def sale(request: HttpRequest, id: str) -> HttpResponse:
    """Shown to its parties and to staff."""
    refusal = None
    who = people.signed_in(request)
    view = queries.sale(id, viewer=who.id, staff_of=who.sees_all_of)
    if request.method == "POST":
        try:
            return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}{_once(request, id, who.id)}")
        except (NotFound, *form.LEADS_ELSEWHERE):
            raise
        except Refusal as error:
            refusal = error
        view = queries.sale(id, viewer=who.id, staff_of=who.sees_all_of)
    told = {
        "sale": view,
        "is_buyer": view["buyer"] == who.id,
        "is_seller": view["seller"] == who.id,
        "paying": queries.paying(id),
        "transfer": transfers.instructions(id) if view["buyer"] == who.id else None,
        "invoices": invoices.of_sale(id, viewer=who.id, sees_all=who.sees_all),
        "transfers": transfers.offered(settings.NAMESPACE),
        "covered": _covered(request, view, who.id),
        "steps": steps.of_sale(view),
        "is_first": view["kind"] == Kind.PRIMARY,
        "hooks": hook.of_sale(id),
        "checkout": checkouts.offered(),
        "methods": checkouts.methods_offered(),
        "refusal": refusal,
    }
    answer = render(request, "sale.html", told, status=refusal.status if refusal else 200)
    return page.may_lead_on(request, answer)


def onward(request: HttpRequest, id: str) -> HttpResponse:
    """On to the provider's page once there is one, if the browser lets our form lead there."""
    who = people.signed_in(request)
    queries.sale(id, viewer=who.id)
    page.wait_while(lambda: queries.is_asked_for(id))
    url = checkouts.address(id, buyer=who.id)
    return page.led_on(request, url, otherwise=f"/sales/{id}")


def _covered(request: HttpRequest, view: dict[str, Any], member: str) -> bool:
    """Whether the viewer may pay it from the wallet now."""
    if view["buyer"] != member or view["state"] != "funding":
        return False
    now = ground.under(request).now
    return wallet.is_on(settings.NAMESPACE) and wallets.covers(view["id"], member=member, now=now)


def returned(request: HttpRequest, id: str) -> HttpResponse:
    """Back from the bank: what became of the payment is asked for, then the sale is shown."""
    who = people.signed_in(request)
    payments.look_again(sale_id=id, by=who.id)
    page.wait_while(lambda: queries.waits_for_buyer(id))
    return HttpResponseRedirect(f"/{request.LANGUAGE_CODE}/sales/{id}")


def back(request: HttpRequest, id: str) -> HttpResponse:
    """The address that the bank leads to knows no language: the buyer's own is taken."""
    return page.led_to(request, f"/sales/{id}/returned")


def left(request: HttpRequest, id: str) -> HttpResponse:
    """Back from the provider's page without having paid; it stays open for another try."""
    return page.led_to(request, f"/sales/{id}")


def _once(request: HttpRequest, id_: str, by: str) -> str:
    fields = request.POST.dict()
    if fields.get("do") == "wallet":
        people.expect_fresh_factor(people.signed_in(request))
    if fields.get("do") == "cancel":
        transfer.look_while_cooling(sale_id=id_, by=by)
    return form.once(member=by, path=request.path, fields=fields, run=lambda: _do(fields, id_, by))


def _do(fields: dict[str, str], id_: str, by: str) -> str:
    match fields.get("do", ""):
        case "pay":
            payments.pay(sale_id=id_, by=by, method=fields.get("payment_method", ""))
        case "checkout":
            checkout.begin(sale_id=id_, by=by)
            return f"/sales/{id_}/onward"
        case "wallet":
            wallet.pay(sale_id=id_, by=by)
        case "transfer":
            bank.begin(sale_id=id_, by=by)
        case "otherwise":
            payments.pay_otherwise(sale_id=id_, by=by)
        case "accept":
            flow.accept(sale_id=id_, by=by)
        case "cancel":
            flow.cancel(sale_id=id_, by=by)
        case "dispute":
            flow.dispute(sale_id=id_, by=by)
    return f"/sales/{id_}"
