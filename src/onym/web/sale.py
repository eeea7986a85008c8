"""The page of a sale: its clocks, and what each party may do now."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from onym.core.errors import NotFound, Refusal
from onym.flows import payments
from onym.flows import sale as flow
from onym.queries import sale as queries
from onym.web.page import act, page, show, signed_in


@page
def sale(request: HttpRequest, id: str) -> HttpResponse:
    """Shown to its parties and to staff."""
    refusal = None
    if request.method == "POST":
        try:
            return act(request, lambda who: _do(request, id, who.id))
        except NotFound:
            raise
        except Refusal as error:
            if error.status == 401:
                raise
            refusal = error
    who = signed_in(request)
    view = queries.sale(id, viewer=who.id, is_staff=who.is_staff)
    return show(
        request,
        "sale.html",
        status=refusal.status if refusal else 200,
        sale=view,
        is_buyer=view["buyer"] == who.id,
        refusal=refusal,
    )


def _do(request: HttpRequest, id_: str, by: str) -> str:
    match request.POST.get("do", ""):
        case "pay":
            method = request.POST.get("payment_method", "")
            payments.pay(sale_id=id_, by=by, method=method)
        case "accept":
            flow.accept(sale_id=id_, by=by)
        case "cancel":
            flow.cancel(sale_id=id_, by=by)
        case "dispute":
            flow.dispute(sale_id=id_, by=by)
    return f"/sales/{id_}"
