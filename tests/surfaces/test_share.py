"""A shared link shows a picture and words about the handle, in the language of the page."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image
from tests import make

from onym.flows import listing
from onym.web import picture
from onym.web.picture import Card

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    settings.BASE_URL = "https://market.example"
    return make.namespace()


@pytest.fixture
def moon(place: Any) -> Any:
    make.handle(place, "moon", account_id="acc-moon")
    return make.member(place, account="acc-moon")


def card(**changes: Any) -> Card:
    fields: dict[str, Any] = {
        "site": "Handle Marketplace",
        "handle": "moon",
        "lines": ("held · rare",),
        "language": "en",
        "accent": "#0a6a4d",
    }
    return Card(**fields | changes)


def inked(data: bytes, box: tuple[int, int, int, int]) -> int:
    """How many pixels of a part of the picture are not paper."""
    image = Image.open(io.BytesIO(data)).convert("L").crop(box)
    return sum(image.histogram()[:180])


def ends(data: bytes, row: tuple[int, int]) -> tuple[int, int]:
    """Where the dark pixels of a band begin and end."""
    image = Image.open(io.BytesIO(data)).convert("L").crop((0, row[0], 1200, row[1]))
    box = image.point(lambda value: 255 * (value < 120)).getbbox()
    assert box is not None
    return box[0], box[2]


@pytest.mark.parametrize("path", ["/og/site.png", "/og/moon.png", "/og/@moon.png", "/og/MOON.png"])
@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_site_and_each_handle_have_a_picture(moon: Any, path: str, lang: str) -> None:
    answer = Client().get(f"{path}?lang={lang}")
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).size == (1200, 630)
    assert len(answer.content) < 30_000


def test_a_handle_is_drawn_once_whatever_its_address(moon: Any) -> None:
    pictures = {Client().get(f"/og/{name}.png").content for name in ("moon", "@moon", "MOON")}
    assert len(pictures) == 1
    assert pictures != {Client().get("/og/site.png").content}


@pytest.mark.parametrize("name", ["no-such", "x" * 500, "%00", "%3Cscript%3E", "a%2Fb", "@@moon"])
def test_what_is_no_handle_has_no_picture(moon: Any, name: str) -> None:
    assert Client().get(f"/og/{name}.png").status_code == 404


def test_a_picture_is_only_looked_at(moon: Any) -> None:
    assert Client().post("/og/moon.png").status_code == 405
    assert Client().head("/og/moon.png").status_code == 200


def test_an_unknown_language_is_english(moon: Any) -> None:
    english = Client().get("/og/moon.png").content
    assert Client().get("/og/moon.png?lang=xx").content == english
    assert Client().get("/og/moon.png?lang=fr").content != english


def test_who_has_the_picture_is_told_so_until_the_handle_is_on_sale(moon: Any) -> None:
    first = Client().get("/og/moon.png")
    again = Client().get("/og/moon.png", headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    listing.open_(namespace="demo", handle="moon", seller=moon.id, price=make.usd(1250))
    sold = Client().get("/og/moon.png", headers={"If-None-Match": first["ETag"]})
    assert sold.status_code == 200
    second_line = (0, 480, 1200, 560)
    assert inked(first.content, second_line) == 0
    assert inked(sold.content, second_line) > 500


def test_a_picture_asks_the_database_at_most_twelve_times(moon: Any) -> None:
    with CaptureQueriesContext(connection) as asked:
        Client().get("/og/moon.png")
    assert len(asked) <= 12


def test_arabic_begins_at_the_right_and_its_letters_are_joined() -> None:
    english, arabic = picture.png(card()), picture.png(card(language="ar", lines=("محوز",)))
    assert ends(english, (200, 360))[0] < 120
    assert ends(arabic, (200, 360))[1] > 1080
    assert picture.can_shape()
    joined, apart = (picture.png(card(language="ar", lines=(text,))) for text in ("بيت", "ب ي ت"))
    width = [right - left for left, right in (ends(one, (400, 500)) for one in (joined, apart))]
    assert width[0] < width[1]


@pytest.mark.parametrize("handle", ["a", "moon", "x" * 15, "long_" * 60, "w" * 63])
def test_a_handle_of_any_length_stays_inside(handle: str) -> None:
    left, right = ends(picture.png(card(handle=handle)), (180, 370))
    assert picture.MARGIN - 4 <= left < right <= 1200 - picture.MARGIN + 4


def test_a_script_without_a_face_is_left_out_rather_than_shown_as_boxes() -> None:
    assert [picture.can_draw(name) for name in ("moon", "été", "سلام", "луна", "月")] == [
        *[True] * 3,
        *[False] * 2,
    ]


def test_a_picture_takes_a_moment_only() -> None:
    picture.png(card(handle="warm"))
    spans = []
    for n in range(5):
        begun = time.process_time()
        picture.png(card(handle=f"moon{n}"))
        spans.append(time.process_time() - begun)
    assert min(spans) < 0.15


def head(path: str) -> str:
    return Client().get(path).content.decode().split("</head>")[0]


def metas(text: str) -> dict[str, str]:
    return dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)">', text))


@pytest.mark.parametrize(("lang", "said"), [("en", "On sale for"), ("fr", "vent"), ("ar", "بسعر")])
def test_a_handles_page_says_what_a_preview_shows(moon: Any, lang: str, said: str) -> None:
    listing.open_(namespace="demo", handle="moon", seller=moon.id, price=make.usd(1250))
    text = head(f"/{lang}/@moon")
    found = metas(text)
    assert found["og:title"] == found["twitter:title"] == "@moon"
    assert said in found["og:description"]
    assert found["og:image"] == f"https://market.example/og/@moon.png?lang={lang}"
    assert found["og:url"] == f"https://market.example/{lang}/@moon"
    assert f'<link rel="canonical" href="https://market.example/{lang}/@moon">' in text
    alternates = re.findall(r'hreflang="([^"]+)" href="https://market\.example/(\w+)/@moon"', text)
    assert alternates == [("en", "en"), ("fr", "fr"), ("ar", "ar"), ("x-default", "en")]


def test_every_page_leads_to_the_feeds_and_has_a_picture(place: Any) -> None:
    text = head("/fr/search?q=%22%3E%3Cscript%3E")
    assert 'href="https://market.example/fr/feeds/listings.atom"' in text
    assert 'href="https://market.example/fr/feeds/sales.atom"' in text
    assert metas(text)["og:image"] == "https://market.example/og/site.png?lang=fr"
    assert "<script>" not in text
    for path in re.findall(r'href="https://market\.example(/fr/feeds/[^"]+)"', text):
        assert Client().get(path).status_code == 200


def test_a_page_that_is_not_there_has_nothing_to_share(place: Any) -> None:
    assert "canonical" not in head("/fr/nowhere")
