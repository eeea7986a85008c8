"""What the pages look like: the theme that a browser keeps, the steps of a sale, estimates."""

from __future__ import annotations

import gzip
import re
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override
from tests import lived_in, make

from onym.core import handle
from onym.core import policy as core_policy
from onym.core.money import Money
from onym.core.policies import reading
from onym.core.policies.model import Effect, Unknown
from onym.core.sale import State
from onym.site import files
from onym.web import design, page, steps
from onym.web.templatetags import market

pytestmark = pytest.mark.usefixtures("database")
STATIC = Path(market.__file__).parents[1] / "static" / "onym"
PHYSICAL = (
    r"(?<![-\w])(?:(?:margin|padding|border)-(?:left|right|top|bottom)|left|right|top|bottom"
    r"|width|height|(?:max|min)-(?:width|height))\s*:"
)


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    return make.namespace()


@pytest.mark.parametrize("wanted", ["light", "dark", ""])
def test_a_browser_keeps_the_look_that_was_asked_for(place: Any, wanted: str) -> None:
    client = Client()
    answer = client.post("/en/theme", {"theme": wanted, "next": "/en/fees"})
    assert (answer.status_code, answer["Location"]) == (302, "/en/fees")
    shown = client.get("/en/").content.decode()
    assert (f'data-theme="{wanted}"' in shown) == bool(wanted)


@pytest.mark.parametrize(
    ("theme", "back"), [("pink", "/en/"), ("dark", "//elsewhere.example/"), ("dark", "")]
)
def test_a_look_leads_nowhere_else_and_an_unknown_one_is_not_kept(
    place: Any, theme: str, back: str
) -> None:
    client = Client()
    answer = client.post("/en/theme", {"theme": theme, "next": back})
    assert answer["Location"] == "/en/"
    assert (page.THEME_COOKIE in client.cookies) == (theme in page.THEMES)


CLOCKS = {"funding": 1, "cooling": None, "delivery": 2, "inspection": 3}


@pytest.mark.parametrize(
    ("state", "marks"),
    [
        ("agreed", "done now - - -"),
        ("funding", "done now - - -"),
        ("funding_unknown", "done now - - -"),
        ("funded", "done done now - -"),
        ("delivering", "done done now - -"),
        ("delivery_unknown", "done done now - -"),
        ("inspection", "done done done now -"),
        ("disputed", "done done done now -"),
        ("settled", "done done done done done"),
        ("refunding", "done done failed - -"),
        ("refunded", "done done failed - -"),
        ("expired", "done failed - - -"),
        ("cancelled", "done failed - - -"),
    ],
)
def test_a_sale_shows_what_is_done_and_what_comes(state: str, marks: str) -> None:
    drawn = steps.of_sale({"state": state, "clocks": CLOCKS, "term": "handle"})
    assert " ".join(step.mark or "-" for step in drawn) == marks


def test_every_state_of_a_sale_can_be_drawn_with_and_without_cooling_off() -> None:
    for state in State:
        for cooling in (None, 9):
            drawn = steps.of_sale(
                {"state": state.value, "clocks": CLOCKS | {"cooling": cooling}, "term": "handle"}
            )
            assert len(drawn) == (6 if cooling or state is State.COOLING else 5), state


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (7_359_286, "USD", "$74,000"),
        (146_180_842, "USD", "$1,500,000"),
        (1_234, "USD", "$12"),
        (99, "USD", "$1"),
        (0, "USD", "$0"),
        (146_180, "JPY", "¥150,000"),
        (1_234_567, "KWD", "KWD1,200"),
    ],
)
def test_an_estimate_is_shown_no_more_exactly_than_it_is(
    minor: int, currency: str, shown: str
) -> None:
    with override("en"):
        assert f">{shown}<" in market.about(Money(minor, currency))


def test_styles_know_no_left_and_no_right() -> None:
    found = re.findall(PHYSICAL, re.sub(r"@media[^{]*", "", (STATIC / "market.css").read_text()))
    assert found == []


def test_the_living_page_shows_the_parts_in_the_demo_only(place: Any, settings: Any) -> None:
    assert Client().get("/en/design").status_code == 200
    settings.DEMO = False
    assert Client().get("/en/design").status_code == 404


def test_the_living_page_shows_every_state_of_a_handle() -> None:
    assert set(design.STATES) <= {state.value for state in handle.State}


@pytest.mark.parametrize("name", ["x-2023", "onym-default", "onym-atproto"])
def test_every_reason_that_a_built_in_policy_can_give_has_words(name: str) -> None:
    text = resources.files("onym.core").joinpath(f"policies/{name}.toml").read_text()
    rules = reading.read(text, name).rules
    codes = {rule.code for rule in rules} | {core_policy.SUSPENSION_NOT_FINAL}
    codes |= {f"not_{rule.code}" for rule in rules if rule.effect is Effect.IDLE}
    guards = {Effect.PROTECT, Effect.IDLE}
    codes |= {f"unknown_{rule.when.signal}" for rule in rules if rule.effect in guards}
    lists = {f"unknown_{name}_list" for name in ("protected", "reserved")}  # we keep them ourselves
    asked = {rule.when.signal for rule in rules if rule.unknown is Unknown.SKIP}
    wordless = {code for code in codes - lists if market.reason(code) == code}
    assert wordless <= {f"unknown_{signal}" for signal in asked}


def test_a_page_names_its_files_by_their_content_and_they_may_be_kept(
    place: Any, tmp_path: Path
) -> None:
    (tmp_path / "one.css").write_text("a")
    first = files.edition([tmp_path])
    (tmp_path / "one.css").write_text("b")
    assert files.edition([tmp_path]) != first
    client = Client()
    sheet = re.search(r'href="(/static/\w{10}/onym/market.css)"', client.get("/en/").text)
    assert sheet
    with closing(client.get(sheet[1])) as answer:
        assert "immutable" in answer["Cache-Control"]


def test_a_first_visit_loads_at_most_80_kb_beside_the_fonts(settings: Any) -> None:
    """Scripts, sheets and pictures of the pages that people come to, at their fullest."""
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    market = lived_in.market()
    client = Client()
    typed = {"mail": "nadia@mail.example", "password": lived_in.PASSWORD}
    assert client.post("/en/sign-in", typed).status_code == 302
    for path in ("", "search?q=moo", "@moon", f"sales/{market.checkout}"):
        page = client.get(f"/ar/{path}", headers={"accept-encoding": "gzip"})
        assert page.status_code == 200, path
        seen = gzip.decompress(page.content).decode()
        names = set(re.findall(r'(?:src|href)="(/static/[^"]+|/brand\.css[^"]*)"', seen))
        assert len(names) >= 4
        sizes = {name: _travels(name) for name in names if not name.endswith(".woff2")}
        assert sum(sizes.values()) + len(page.content) <= 80_000, (path, sizes)


def _travels(name: str) -> int:
    with closing(Client().get(name, headers={"accept-encoding": "gzip"})) as answer:
        assert answer.status_code == 200, name
        return len(answer.getvalue())
