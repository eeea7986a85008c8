"""Every page in a real browser: whole without JavaScript at both widths, silent with it, and
clean under axe in two directions of writing and two themes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page
from tests import lived_in, make
from tests.lived_in import LivedIn
from tests.surfaces import live
from tests.surfaces.test_query_ceiling import PAGES, signed_in

from onym.flows import offer, people
from onym.site import branding
from onym.store.models import Notice

pytestmark = pytest.mark.usefixtures("database")
LANGUAGES = ("en", "ar")
WIDTHS = {"window at 400 % zoom": 320, "phone": 390, "desk": 1280}
"""In CSS pixels; 1280 enlarged four times leaves 320 (WCAG 2.2, 1.4.10)."""
STRANGERS = {"sign-in", "sign-in-code", "sign-in-factor", "join", "invitation", "unsubscribe"}
WITHOUT_PAGE = {
    "desk-bank-file",
    "invoice-pdf",
    "my-share",
    "feed",
    "my-accounts-platform",
    "my-data",
    "my-payout-onward",
    "my-payout-returned",
    "passkey-options",
    "sale-onward",
    "sale-returned",
    "wallet-returned",
    "wallet-onward",
    "sign-in-demo",
    "sign-in-factor",
    "sign-in-options",
    "sign-in-passkey",
    "sign-in-platform",
    "sign-in-platform-back",
    "sign-out",
    "theme",
    "totp-picture",
    "watches",
}
"""Routes that answer a GET with a file, with nothing, or by leading to a page looked at anyway."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is served, every address that shows a page, and who is to look: their cookie."""

    base: str
    pages: tuple[tuple[str, str], ...]
    cookies: dict[str, str]


@pytest.fixture
def site(database: Any, settings: Any, tmp_path: Path) -> Iterator[Site]:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    settings.WALLET = True
    settings.MAILBOX_URL = settings.PLATFORM_URL = "http://127.0.0.1:9"  # for the bar's links
    (tmp_path / "terms.en.md").write_text("# Terms\n\nWhat we owe each other.\n")
    settings.BRAND = branding.read({"ONYM_LEGAL": str(tmp_path)})
    market = lived_in.market()
    viewers = {"nobody": Client(), "member": signed_in("nadia"), "staff": signed_in("amal")}
    for row in (market.buyer, market.curator):
        make.totp(row)
    pages = tuple(_shown(market, viewers, _own(market)))
    cookies = {who: viewers[who].cookies["sessionid"].value for who in ("member", "staff")}
    with live.served() as port:
        yield Site(f"http://127.0.0.1:{port}", pages, cookies)


def _own(market: LivedIn) -> dict[str, tuple[str, ...]]:
    """What the member is told of and has on sale, and the pages that show it."""
    offerer = make.member(market.place, account="acc-orbit")
    offer.make(namespace="demo", handle="nadia", buyer=offerer.id, price=make.usd(300))
    told = Notice.objects.get(account_id="acc-nadia", kind="offer_made")
    row = make.handle(market.place, "comet")
    people.link(member=market.buyer.id, account_id=row.account_id)
    lived_in.listed(row, market.buyer, minor=90_000, at=market.now)
    return {"my-notice": (f"me/notices/{told.id}",), "sell-listed": ("sell/comet/listed",)}


def _shown(
    market: LivedIn, viewers: dict[str, Client], own: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Who looks and at what; a route that shows no page must be known as such."""
    facts = {name: getattr(market, name) for name in LivedIn.__slots__}  # type: ignore[attr-defined]  # slots=True
    wordless = set()
    for route, addresses in (PAGES | own).items():
        who = "staff" if route.startswith("desk") else "member"
        who = "nobody" if route in STRANGERS else who
        for address in (one.format(**facts) for one in addresses):
            answer = viewers[who].get(f"/en/{address}")
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
                yield who, address
            else:
                wordless.add(route)
    assert wordless == WITHOUT_PAGE


def looked_at(browser: Browser, site: Site, **options: Any) -> Iterator[tuple[str, str, Page]]:
    """Every page in each language: its address, its language, and the page, loaded."""
    windows = {}
    for who in ("nobody", "member", "staff"):
        context = browser.new_context(reduced_motion="reduce", **options)
        if who in site.cookies:
            cookie = {"name": "sessionid", "value": site.cookies[who], "url": site.base}
            context.add_cookies([cookie])  # type: ignore[list-item]  # a plain dict will do
        windows[who] = context.new_page()
    for who, address in site.pages:
        for language in LANGUAGES:
            answer = windows[who].goto(f"{site.base}/{language}/{address}")
            assert answer, address
            assert answer.status == 200, address
            yield f"{who} /{language}/{address}", language, windows[who]


FRAME = """() => {
  const all = (what) => document.querySelectorAll(what).length;
  const shut = (form) => ![...form.elements].some((one) => one.type === "submit");
  return {
    lang: document.documentElement.lang,
    dir: getComputedStyle(document.documentElement).direction,
    title: document.title.trim().length > 3,
    headings: all("h1"), mains: all("main"), banners: all("body > header"),
    unsendable: [...document.forms].filter(shut).map((form) => form.action),
    scripted: all("[onclick], [style], a[href='#'], a[href^='javascript:']"),
  };
}"""
SOUND = {"title": True, "headings": 1, "mains": 1, "banners": 1, "unsendable": [], "scripted": 0}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_every_page_is_whole_without_javascript_on_a_phone_and_on_a_desk(site: Site) -> None:
    wrong = []
    with live.chromium() as browser:
        for name, language, page in looked_at(browser, site, java_script_enabled=False):
            wanted = SOUND | {"lang": language, "dir": "rtl" if language == "ar" else "ltr"}
            found = page.evaluate(FRAME)
            wrong += [f"{name}: {key} {found[key]}" for key in wanted if found[key] != wanted[key]]
            for device, width in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": 900})
                if over := page.evaluate(OVERFLOW):
                    wrong.append(f"{name}: {over} px too wide on a {device}")
    assert len(site.pages) > 50
    assert not wrong, "\n".join(wrong)


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
ALL = {"runOnly": TAGS, "resultTypes": ["violations"]}
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def test_every_page_is_silent_and_clean_under_axe_in_both_directions_and_themes(site: Site) -> None:
    """The dark theme changes colours alone, so only their rules run again."""
    wrong: list[str] = []
    with live.chromium() as browser:
        heard = set()
        phone = {"width": WIDTHS["phone"], "height": 844}
        for name, _, page in looked_at(browser, site, viewport=phone):
            if page not in heard:
                heard.add(page)
                listen(page, wrong)
            for theme, rules in (("light", ALL), ("dark", COLOURS)):
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of two
                wrong += faults(page, rules, f"{name} {theme}")
    assert not wrong, "\n".join(wrong)


def listen(page: Page, wrong: list[str]) -> None:
    """Every error that the page's console says, a refused content among them."""
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    page.on("console", lambda said: _note(page, said, wrong))


def _note(page: Page, said: Any, wrong: list[str]) -> None:
    if said.type == "error":
        wrong.append(f"{page.url}: {said.text}")


def faults(page: Page, rules: dict[str, Any], name: str) -> list[str]:
    """What axe finds against, and on what."""
    found = Axe().run(page, options=rules).response["violations"]
    return [
        f"{name}: {one['id']} {n['target']} {n['html'][:160]}"
        for one in found
        for n in one["nodes"]
    ]
