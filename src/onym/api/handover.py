"""The feed of hand-overs for relying sites: public, in the order of the log, fit for caches."""

from __future__ import annotations

import hashlib

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from onym.api import wire
from onym.core.errors import Malformed
from onym.queries import handover as queries

router = Router(tags=["handovers"])
FULL = "public, max-age=31536000, immutable"
LAST = "public, max-age=5"


class Since(Schema):
    """`since` is the last leaf that the caller has seen; a `cursor` wins over it."""

    model_config = ConfigDict(extra="forbid")
    since: int = Field(-1, ge=-1, le=2**62)
    limit: int = Field(50, ge=1, le=100)
    cursor: str = Field("", max_length=400)


@router.get("/handovers", auth=None)
def handovers(request: HttpRequest, asked: Query[Since]) -> HttpResponse:
    """Hand-overs that were read back after leaf `since`, in the order of their leaves."""
    after = _leaf(asked.cursor) if asked.cursor else asked.since
    found = queries.handovers(wire.place(request), after=after, limit=asked.limit)
    following = None if found["next"] is None else str(found["next"])
    answer = wire.respond(200, wire.page({**found, "next": following}))
    answer["Cache-Control"] = FULL if following else LAST
    answer["Access-Control-Allow-Origin"] = "*"
    return _unless_known(request, answer)


def _leaf(cursor: str) -> int:
    given = wire.after(cursor)
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise Malformed("the cursor is not one of ours")
    return int(given)


def _unless_known(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """304 for whoever has this very answer already (RFC 9110)."""
    tag = f'"{hashlib.sha256(answer.content).hexdigest()[:32]}"'
    if tag in request.headers.get("If-None-Match", ""):
        headers = {name: answer[name] for name in ("Cache-Control", "Access-Control-Allow-Origin")}
        answer = HttpResponse(status=304, headers=headers)
    answer["ETag"] = tag
    return answer
