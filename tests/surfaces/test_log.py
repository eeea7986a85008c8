"""The log is shown to people, and a browser finds out by itself whether a leaf is in it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page, Route, expect, sync_playwright
from tests import make

from onym.core import events
from onym.flows import listing
from onym.flows import log as flow
from onym.queries import log as queries
from onym.tlog import checkpoint, integrator

pytestmark = pytest.mark.usefixtures("database")
SIGNER = checkpoint.Signer("log.example/handles", bytes(range(32)))
SIZE = 600


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.fixture
def listed(place: Any) -> int:
    """Two listings in the log; the size of the tree."""
    for name in ("moon", "sunset"):
        make.handle(place, name, account_id=f"acc-{name}")
        seller = make.member(place, account=f"acc-{name}")
        listing.open_(namespace="demo", handle=name, seller=seller.id, price=make.usd(10))
    return flow.integrate()


def page(path: str) -> str:
    answer = Client().get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def leaves(text: str) -> list[str]:
    return text.split('class="leaves"')[1].split("<tr>")[2:] if 'class="leaves"' in text else []


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_log_shows_its_head_and_its_latest_entries(listed: int, lang: str) -> None:
    text = page(f"/{lang}/log")
    head = queries.published()
    assert head is not None
    assert head.root.hex() in text
    assert "onym verify" in text
    assert len(leaves(text)) == listed == 2
    assert "ListingOpened" in text
    for leaf in range(listed):
        assert page(f"/{lang}/log/{leaf}").count(head.root.hex()) == 1


def test_an_empty_log_says_so(place: Any) -> None:
    text = page("/en/log")
    assert "nothing has been decided yet" in text
    assert leaves(text) == []
    assert Client().get("/en/log/0").status_code == 404


def test_entries_are_found_by_handle_type_and_number(listed: int) -> None:
    for handle in ("moon", "@moon", "MOON"):
        (row,) = leaves(Client().get("/en/log", {"handle": handle}).content.decode())
        assert "@moon" in row
    assert len(leaves(page("/en/log?type=ListingOpened"))) == 2
    assert leaves(page("/en/log?type=SaleSettled")) == []
    answer = Client().get("/fr/log?leaf=1")
    assert (answer.status_code, answer["Location"]) == (302, "/fr/log/1")


@pytest.mark.parametrize(
    "typed", ["", "x", "-1", "1e3", "١", "9" * 40, "<b>", "\u202e", "\0", "1.5"]
)
def test_what_is_no_number_no_handle_and_no_type_finds_nothing(listed: int, typed: str) -> None:
    for key in ("leaf", "handle", "type", "before"):
        answer = Client().get("/en/log", {key: typed})
        assert answer.status_code == 200
        assert "<b>" not in answer.content.decode().split("<main")[1]


@pytest.mark.parametrize("leaf", ["2", "9" * 18, "9" * 40, "x", "-1"])
def test_a_leaf_that_is_not_there_is_not_found(listed: int, leaf: str) -> None:
    assert Client().get(f"/en/log/{leaf}").status_code == 404


def test_older_entries_follow_the_last_one_shown(listed: int) -> None:
    assert [entry.leaf for entry in queries.entries(limit=9)] == [1, 0]
    assert [entry.leaf for entry in queries.entries(limit=1)] == [1]
    assert [entry.leaf for entry in queries.entries(before=1, limit=9)] == [0]
    assert len(leaves(page("/en/log?before=1"))) == 1


@pytest.mark.parametrize("path", ["log", "log?handle=moon", "log/0"])
def test_these_pages_ask_the_database_at_most_twelve_times(listed: int, path: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        page(f"/en/{path}")
    assert len(asked) <= 12


def test_the_script_is_small() -> None:
    script = Path(queries.__file__).parents[1] / "web" / "static" / "onym" / "verify.js"
    assert len(script.read_bytes()) <= 8_000


# In a real browser


def entry(number: int) -> bytes:
    event = events.Event("ReleaseStopSet", "démo", {"on": bool(number % 2)})
    at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=number)
    return events.seal(event, namespace="demo", at=at, salt=bytes).entry


class Threads(socketserver.ThreadingMixIn, WSGIServer):
    """Each request's thread closes the connection that it opened."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        connections.close_all()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(place: Any) -> Iterator[str]:
    """The whole site on a free port, with a log of 600 leaves."""
    from onym.site.wsgi import application

    integrator.append(queries.directory(), [entry(n) for n in range(SIZE)], SIGNER, first=0)
    server = make_server("127.0.0.1", 0, application, Threads, Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tab(site: str) -> Iterator[Page]:
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page(base_url=site)
        browser.close()


def verified(tab: Page, leaf: int, lang: str = "en") -> list[str | None]:
    """Presses the button; the classes of the steps once there is a result."""
    tab.goto(f"/{lang}/log/{leaf}")
    tab.locator("#verify button").click()
    expect(tab.locator("#verify [data-result]")).not_to_be_empty()
    return [step.get_attribute("class") for step in tab.locator("#verify li").all()]


def result(tab: Page) -> str:
    return tab.locator("#verify [data-result]").inner_text()


def flip(tab: Page, pattern: str, at: int) -> None:
    """One byte of the files that match arrives changed."""

    def change(route: Route) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[at] ^= 1
        route.fulfill(response=answer, body=bytes(body))

    tab.route(pattern, change)


def test_the_browser_finds_every_leaf_in_the_log(tab: Page) -> None:
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    for leaf in (0, 255, 256, 511, 512, 599):
        assert verified(tab, leaf) == ["done"] * 4, leaf
        assert result(tab) == f"All of it holds: leaf {leaf} is in the log, unchanged."
    assert verified(tab, 7, "ar") == ["done"] * 4
    assert "7" in result(tab)
    assert said == []


BAD = [
    ("**/log/checkpoint", 25, 0, "checkpoint"),
    ("**/log/tile/entries/000", 7 * len(entry(7)) + 40, 1, "entry"),
    ("**/log/tile/0/000", 7 * 32, 2, "tile/0/000"),
    ("**/log/tile/0/000", 200 * 32, 3, "root"),
    ("**/log/tile/1/000.p/2", 40, 3, "root"),
]


@pytest.mark.parametrize(("file", "at", "step", "what"), BAD)
def test_one_changed_byte_turns_its_step_red_and_the_leaf_is_named(
    tab: Page, file: str, at: int, step: int, what: str
) -> None:
    flip(tab, file, at)
    assert verified(tab, 7) == ["done"] * step + ["failed"] + [""] * (3 - step)
    assert result(tab) == f"This does not hold: leaf 7 is not what the log has signed. ({what})"


def test_a_lost_connection_is_no_proof_of_anything(tab: Page) -> None:
    tab.route("**/log/tile/0/**", lambda route: route.abort())
    assert verified(tab, 7) == ["done", "done", "failed", ""]
    assert "could not be fetched" in result(tab)
    tab.unroute("**/log/tile/0/**")
    assert verified(tab, 7) == ["done"] * 4


def test_a_browser_without_ed25519_is_told_the_command(tab: Page) -> None:
    tab.add_init_script("crypto.subtle.importKey = async () => { throw new Error('no'); };")
    assert verified(tab, 7) == [""] * 4
    assert "cannot check Ed25519" in result(tab)
    assert tab.get_by_text("onym verify").is_visible()


def test_without_scripts_the_page_gives_the_proof_and_the_command(site: str) -> None:
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_context(java_script_enabled=False).new_page()
        tab.goto(f"{site}/en/log/7")
        assert not tab.locator("#verify button").is_visible()
        assert tab.get_by_text("onym verify").is_visible()
        assert tab.locator("section ol code").count() == 10
        browser.close()
