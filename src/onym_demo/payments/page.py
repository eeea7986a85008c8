"""The provider's pages: where the money is, for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from onym_demo.payments import books, faults, webhooks
from onym_demo.payments.provider import Provider

FOLDER = Path(__file__).parent / "pages"
SHOWN = 100
DIGITS = {"jpy": 0, "krw": 0, "kwd": 3, "bhd": 3}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all a form would name no origin of its own
}


def money(minor: int, currency: str) -> str:
    """1234567, usd → 12,345.67 USD, by whole numbers only."""
    digits = DIGITS.get(currency, 2)
    whole, part = divmod(abs(minor), 10**digits)
    tail = f".{part:0{digits}d}" if digits else ""
    return f"{'−' if minor < 0 else ''}{whole:,}{tail} {currency.upper()}"


def instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
    found.filters |= {"money": money, "instant": instant}
    return found


PAGES = _environment()


def show(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    return HTMLResponse(PAGES.get_template(template).render(**facts), status, HEADERS)


async def style(_request: Request) -> Response:
    return Response((FOLDER / "style.css").read_text(), media_type="text/css")


def foreign(request: Request) -> bool:
    """Was this form sent by another site's page?"""
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")


def overview(provider: Provider) -> HTMLResponse:
    state = provider.state
    kinds = ("payment_intent", "refund", "transfer", "payout", "dispute", "account")
    return show(
        "overview.html",
        books=books.summary(state),
        counts={row["kind"]: row["n"] for row in _counts(provider)},
        shown=SHOWN,
        pending=webhooks.pending(provider),
        faults=faults.planned(state),
        now=provider.now(),
        latest={kind: _latest(provider, kind) for kind in kinds},
    )


def _latest(provider: Provider, kind: str) -> list[Any]:
    """The latest of a kind, those of connected accounts too."""
    rows = provider.state.rows(
        "SELECT id FROM objects WHERE kind = ? ORDER BY seq DESC LIMIT ?", kind, SHOWN
    )
    return [provider.state.any(row["id"]) for row in rows]


def _counts(provider: Provider) -> list[Any]:
    return provider.state.rows("SELECT kind, COUNT(*) AS n FROM objects GROUP BY kind")
