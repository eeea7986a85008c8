"""Pages of Plaza: browse, and one page an account, where one sees a handle change hands."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onym_demo.platform import account, avatar, handle, notice, posts
from onym_demo.platform.contract import Plaza, plaza
from onym_demo.platform.handle import CUSTODIAN, Held
from onym_demo.platform.problem import Problem

_CARDS: Final = 24
_POSTS: Final = 12
_NOTICES: Final = 8
_BANNER_DAYS: Final = 90
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_MENTION: Final = re.compile(r"<@(\d{1,18})>|@([A-Za-z0-9_]{1,15})", re.ASCII)
_RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("onym_demo.platform"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["day"] = _day
    environment.filters["count"] = _count
    environment.globals["avatar"] = avatar.drawing
    return environment


def _day(seconds: int | None) -> str:
    if seconds is None:
        return "unknown"
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at.day} {at:%B %Y}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def page(template: str, status: int = 200, **facts: Any) -> Response:
    """A page of Plaza's, with what its browser may load."""
    text = _templates().get_template(template).render(**facts)
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(text, status, headers, "text/html; charset=utf-8")


async def home(request: Request) -> Response:
    """Search by handle or name, browse from the oldest account on, and who changed hands lately."""
    here = plaza(request)
    asked = request.query_params.get("q", "").strip().removeprefix("@")[:40]
    after = request.query_params.get("after", "")[:15].lower()
    cards = _found(here.db, asked, after) if asked else _everybody(here.db, _number(after) or 0)
    more = None
    if len(cards) == _CARDS:
        last = cards[-1]
        more = (
            f"/?q={quote(asked)}&after={quote(last['handle'])}"
            if asked
            else f"/?after={last['id']}"
        )
    return page("home.html", asked=asked, cards=cards, following=more, changes=_changes(here.db))


def _everybody(db: sqlite3.Connection, after: int) -> Sequence[sqlite3.Row]:
    return db.execute(
        "SELECT * FROM accounts WHERE id > ? AND id <> ? ORDER BY id LIMIT ?",
        (after, CUSTODIAN, _CARDS),
    ).fetchall()


def _found(db: sqlite3.Connection, asked: str, after: str) -> Sequence[sqlite3.Row]:
    """Accounts whose handle begins with what was asked; by name where no handle does."""
    first, last = asked.lower(), asked.lower() + "\x7f"
    query = (
        "SELECT a.* FROM handles AS h JOIN accounts AS a ON a.id = h.account_id "
        "WHERE h.canonical >= ? AND h.canonical < ? AND h.canonical > ? AND a.id <> ? "
        "ORDER BY h.canonical LIMIT ?"
    )
    found = db.execute(query, (first, last, after, CUSTODIAN, _CARDS)).fetchall()
    if found:
        return found
    return db.execute(
        "SELECT * FROM accounts WHERE (instr(lower(shown), ?) > 0 OR instr(shown, ?) > 0) "
        "AND id <> ? LIMIT ?",
        (first, asked, CUSTODIAN, _CARDS - 1),
    ).fetchall()


def _changes(db: sqlite3.Connection) -> Sequence[sqlite3.Row]:
    return db.execute(
        "SELECT r.old, r.new, r.cause, r.at, a.handle, a.shown, a.id FROM renames AS r "
        "JOIN accounts AS a ON a.id = r.account_id ORDER BY r.id DESC LIMIT 8"
    ).fetchall()


async def profile(request: Request) -> Response:
    """The holder's page; a retained handle leads on to its mover."""
    here, name = plaza(request), request.path_params["handle"]
    try:
        held = handle.find(here.db, name)
    except Problem:
        return page("nobody.html", 404, name=name, held=None, was=[])
    if held.account_id in (None, CUSTODIAN):
        return _vacant(here.db, held)
    found = account.row(here.db, held.account_id)
    if found is None:
        raise Problem(404, "not_found")
    return _profile(here, found, _number(request.query_params.get("before", "")))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _vacant(db: sqlite3.Connection, held: Held) -> Response:
    """Nobody's handle: lead on to who moved from it, or say what became of it."""
    mover = account.row(db, held.leads_to) if held.leads_to else None
    if mover is not None:
        return RedirectResponse(f"/@{mover['handle']}", 302)
    was = db.execute(
        "SELECT a.handle, a.shown, r.at FROM renames AS r JOIN accounts AS a "
        "ON a.id = r.account_id WHERE lower(r.old) = ? ORDER BY r.id DESC LIMIT 3",
        (held.canonical,),
    ).fetchall()
    status = 404 if held.account_id is None else 200
    return page("nobody.html", status, name=held.display, held=held.account_id, was=was)


@dataclass(frozen=True, slots=True)
class Shown:
    """One post as the page shows it."""

    number: int
    at: int
    text: Markup


def _profile(here: Plaza, found: sqlite3.Row, before: int | None) -> Response:
    now = here.clock.now()
    fixed = json.loads(found["fixed"])
    written = posts.latest(found, here.beginning, before=before, limit=_POSTS, now=now)
    born = fixed.get("created_at")
    return page(
        "profile.html",
        account=found,
        fixed=fixed,
        life=account.living(found, now=now),
        joined=int(datetime.fromisoformat(born).timestamp()) if born else None,
        site=_site(fixed.get("site_url")),
        renames=_renames(here.db, found["id"]),
        recent=now - _BANNER_DAYS * 86_400,
        notices=[
            {**dict(told), "href": _site(told["href"])}
            for told in notice.latest(here.db, found["id"], limit=_NOTICES)
        ],
        posts=[Shown(post.number, post.at, _linked(here.db, post)) for post in written],
        older=written[-1].number if written and written[-1].number > 1 else None,
        direction="rtl" if fixed.get("locale") in _RIGHT_TO_LEFT else "ltr",
    )


def _renames(db: sqlite3.Connection, account_id: int) -> Sequence[sqlite3.Row]:
    return db.execute(
        "SELECT old, new, cause, at FROM renames WHERE account_id = ? ORDER BY id DESC LIMIT 4",
        (account_id,),
    ).fetchall()


def _site(address: str | None) -> str | None:
    """Only what a browser may follow without harm."""
    if address is None or urlsplit(address).scheme not in ("http", "https"):
        return None
    return address


def _linked(db: sqlite3.Connection, post: posts.Post) -> Markup:
    """Mentions as links. One that names an account follows it to the handle it bears now."""
    parts, end = [], 0
    for match in _MENTION.finditer(post.text):
        parts += [escape(post.text[end : match.start()]), _mention(db, post, match)]
        end = match.end()
    return Markup("").join([*parts, escape(post.text[end:])])


def _mention(db: sqlite3.Connection, post: posts.Post, match: re.Match[str]) -> Markup:
    if match[2] is not None:
        return Markup('<a href="/@{0}">@{0}</a>').format(match[2])
    friend = account.row(db, int(match[1]))
    if friend is None:
        return Markup("@somebody")
    then = handle.written_as(db, friend, at=post.at)
    link = Markup('<a href="/@{0}">@{1}</a>').format(friend["handle"], then)
    if then == friend["handle"]:
        return link
    return link + Markup(' <small class="now">now @{0}</small>').format(friend["handle"])


async def style(_: Request) -> Response:
    text = resources.files("onym_demo.platform").joinpath("templates", "plaza.css").read_text()
    return Response(text, headers={"Cache-Control": "max-age=300"}, media_type="text/css")


async def icon(_: Request) -> Response:
    text = _templates().get_template("icon.svg").render()
    return Response(text, headers={"Cache-Control": "max-age=86400"}, media_type="image/svg+xml")


ROUTES: Final = (
    Route("/", home),
    Route("/@{handle}", profile),
    Route("/plaza.css", style),
    Route("/icon.svg", icon),
)
