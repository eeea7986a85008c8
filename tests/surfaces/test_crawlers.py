"""Programs find what they ask a site for, and private pages are barred to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser
from xml.etree import ElementTree

import pytest
from django.test import Client
from tests import make

from onym.flows import listing
from onym.web import crawlers

pytestmark = pytest.mark.usefixtures("database")
S = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
X = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    settings.BASE_URL = "https://market.example"
    return make.namespace()


def body(path: str) -> str:
    answer = Client().get(path)
    assert answer.status_code == 200, path
    return b"".join(answer).decode()  # type: ignore[call-overload]  # as the client types it


def test_open_pages_may_be_read_and_private_ones_not(place: Any) -> None:
    rules = RobotFileParser()
    rules.parse(body("/robots.txt").splitlines())
    for path in ("/en/", "/fr/@moon", "/ar/search", "/og/moon.png", "/log/checkpoint"):
        assert rules.can_fetch("*", path), path
    for path in ("/en/desk/", "/fr/invitations/abc", "/ar/keep/abc", "/en/me", "/api/v1/handles"):
        assert not rules.can_fetch("*", path), path
    assert rules.site_maps() == ["https://market.example/sitemap.xml"]


def test_the_site_map_names_every_open_page_in_every_language(place: Any) -> None:
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.member(place, account="acc-moon")
    listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(9))
    root = ElementTree.fromstring(body("/sitemap.xml"))
    found = [url.findtext(f"{S}loc") or "" for url in root.iterfind(f"{S}url")]
    assert len(found) == len(set(found)) == 3 * (len(crawlers.PAGES) + 1)
    assert "https://market.example/ar/@moon" in found
    for url in root.iterfind(f"{S}url"):
        others = [link.get("hreflang") for link in url.iterfind(f"{X}link")]
        assert others == ["en", "fr", "ar"]
        assert (url.findtext(f"{S}loc") or "") in [
            link.get("href") for link in url.iterfind(f"{X}link")
        ]
    for address in found:
        assert Client().get(urlsplit(address).path).status_code == 200, address


def test_a_weakness_can_be_reported_for_the_next_half_year(place: Any, settings: Any) -> None:
    settings.SECURITY_CONTACT = "mailto:safe@market.example"
    rows = dict(row.split(": ", 1) for row in body("/.well-known/security.txt").splitlines())
    assert rows["Contact"] == "mailto:safe@market.example"
    left = datetime.fromisoformat(rows["Expires"]) - datetime.now(UTC)
    assert timedelta(days=170) < left < timedelta(days=365)
    assert rows["Canonical"] == "https://market.example/.well-known/security.txt"


def test_a_password_manager_is_led_to_the_members_page(place: Any) -> None:
    answer = Client().get("/.well-known/change-password", headers={"Accept-Language": "fr"})
    assert (answer.status_code, answer["Location"][:4]) == (302, "/fr/")
    assert Client().get(answer["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "start"), [("/favicon.ico", b"\0\0\1\0"), ("/apple-touch-icon.png", b"\x89PNG")]
)
def test_icons_lie_where_browsers_look_for_them(place: Any, path: str, start: bytes) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert b"".join(answer).startswith(start)  # type: ignore[call-overload]  # as the client types it


@pytest.mark.parametrize(("lang", "way"), [("en", "ltr"), ("ar", "rtl"), ("xx", "ltr")])
def test_the_manifest_speaks_the_pages_language(place: Any, lang: str, way: str) -> None:
    answer = Client().get(f"/site.webmanifest?lang={lang}")
    assert answer["Content-Type"] == "application/manifest+json"
    told = answer.json()
    assert told["dir"] == way
    assert told["start_url"] == f"/{told['lang']}/"
    assert "manifest-src 'self'" in answer["Content-Security-Policy"]
