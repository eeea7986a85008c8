"""The demo's clock, for anybody to step: the order, its progress, and what happened meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language

from onym.core.errors import Malformed
from onym.flows import clock as flow
from onym.queries import clock as queries


def clock(request: HttpRequest) -> HttpResponse:
    """Order steps, or see how far they are; works by loading the page again. 404 in production."""
    flow.expect_demo()
    if request.method == "POST":
        return HttpResponseRedirect(_order(request))
    began, target = _instant(request, "from"), _instant(request, "to")
    since = request.GET.get("since", "")
    number = int(since) if since.isascii() and since.isdigit() and len(since) < 16 else None
    now = queries.now()
    told = {
        "now": now,
        "target": target,
        "stepping": queries.stepping(),
        "percent": _percent(began, target, now),
        "happened": queries.happened(since=number) if number is not None else [],
        "asked": number is not None,
        "back": _back(request, request.GET.get("back", "")),
        "here": request.get_full_path(),
    }
    page = "demo_clock_state.html" if request.headers.get("HX-Request") else "demo_clock.html"
    answer = render(request, page, told)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _order(request: HttpRequest) -> str:
    days = request.POST.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 4):
        raise Malformed("days is a number")
    since, began = queries.last_event(), queries.now()
    target = flow.order_steps(days=int(days))
    asked = {
        "from": began.isoformat(),
        "to": target.isoformat(),
        "since": since,
        "back": _back(request, request.POST.get("back", "")),
    }
    return f"/{get_language()}/demo/clock?{urlencode(asked)}"


def _instant(request: HttpRequest, name: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _percent(began: datetime | None, target: datetime | None, now: datetime) -> int:
    """How much of the way is behind us, 0 to 100."""
    if began is None or target is None or target <= began:
        return 100
    return min(100, max(0, (now - began) // timedelta(seconds=1) * 100 // _seconds(target - began)))


def _seconds(time: timedelta) -> int:
    return max(1, time // timedelta(seconds=1))


def _back(request: HttpRequest, wanted: str) -> str:
    """Where the visitor was, if that is a page of ours."""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if safe and wanted.startswith("/") else ""
