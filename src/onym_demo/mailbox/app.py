"""The mailbox on the web: a list, a search, one letter, and the same for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from onym_demo.mailbox import faults, handover, letters
from onym_demo.mailbox.state import State

FOLDER = Path(__file__).parent / "pages"
PAGE = 50
PAGES = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True)
PAGES.filters["instant"] = lambda at: letters.instant(at)[:19].replace("T", " ")

SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
FRAMED = SAFE | {
    "Content-Security-Policy": "sandbox allow-popups allow-popups-to-escape-sandbox;"
    " default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none';"
    " frame-ancestors 'self'"
}
"""A letter's own HTML runs no script, loads nothing, and knows nothing of this site."""


def _show(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    return HTMLResponse(PAGES.get_template(template).render(**facts), status, SAFE)


class Surface:
    """The pages over one mailbox."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def overview(self, request: Request) -> Response:
        text, to = request.query_params.get("q", ""), request.query_params.get("to", "")
        before = request.query_params.get("before", "")
        rows = letters.find(
            self.state,
            to=to,
            text=text,
            before=int(before) if before.isascii() and before.isdigit() else 0,
            limit=PAGE + 1,
        )
        return _show(
            "overview.html",
            rows=rows[:PAGE],
            more=rows[PAGE - 1]["id"] if len(rows) > PAGE else 0,
            q=text,
            to=to,
            pending=handover.pending(self.state),
        )

    async def letter(self, request: Request) -> Response:
        row = letters.one(self.state, request.path_params["number"])
        if row is None:
            return _show("nothing.html", 404)
        handed = self.state.rows("SELECT * FROM handovers WHERE letter = ?", row["id"])
        return _show(
            "letter.html",
            row=row,
            headers=json.loads(row["headers"]),
            handed=handed[0] if handed else None,
        )

    async def html(self, request: Request) -> Response:
        row = letters.one(self.state, request.path_params["number"])
        if row is None:
            return _show("nothing.html", 404)
        return HTMLResponse('<base target="_blank">' + row["html"], headers=FRAMED)

    async def raw(self, request: Request) -> Response:
        row = letters.one(self.state, request.path_params["number"])
        if row is None:
            return _show("nothing.html", 404)
        return PlainTextResponse(row["raw"], headers=SAFE)

    async def messages(self, request: Request) -> Response:
        """All letters to an address, or all there are, newest last."""
        rows = letters.find(self.state, to=request.query_params.get("to", "").strip())
        return JSONResponse([letters.wire(row) for row in reversed(rows)])

    async def copies(self, request: Request) -> Response:
        """How often each letter to an address came in, newest last."""
        rows = letters.find(self.state, to=request.query_params.get("to", "").strip())
        return JSONResponse(
            [
                {"id": row["id"], "message_id": row["message_id"], "copies": row["copies"]}
                for row in reversed(rows)
            ]
        )

    async def pending(self, _request: Request) -> Response:
        return JSONResponse({"handovers": handover.pending(self.state)})

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    async def style(self, _request: Request) -> Response:
        return Response((FOLDER / "style.css").read_text(), media_type="text/css")

    async def plan(self, request: Request) -> Response:
        """Plan trouble. JSON only, so that no foreign page can pull this lever."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "levers take application/json"}, 415)
        try:
            wanted = json.loads(await request.body())
            with self.state.transaction():
                faults.plan(self.state, wanted)
        except (ValueError, TypeError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"planned": wanted})

    async def forget(self, _request: Request) -> Response:
        with self.state.transaction():
            faults.clear(self.state)
        return JSONResponse({"planned": []})


def make(state: State) -> Starlette:
    surface = Surface(state)
    return Starlette(
        routes=[
            Route("/", surface.overview),
            Route("/messages", surface.messages),
            Route("/messages/{number:int}", surface.letter),
            Route("/messages/{number:int}/html", surface.html),
            Route("/messages/{number:int}/raw", surface.raw),
            Route("/style.css", surface.style),
            Route("/health", surface.health),
            Route("/demo/copies", surface.copies),
            Route("/demo/pending", surface.pending),
            Route("/demo/faults", surface.plan, methods=["POST"]),
            Route("/demo/faults", surface.forget, methods=["DELETE"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
        ],
    )
