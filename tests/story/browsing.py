"""A person at a real browser: goes, presses, reads; every page met is put before axe once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATIENCE_MS = 120_000


class Browser:
    """One window; `seen` are the kinds of pages that axe has looked at."""

    def __init__(self, page: Page, base: str, lang: str) -> None:
        self.page, self.base, self.lang = page, base, lang
        self.seen: set[str] = set()
        self.faults: list[str] = []
        self.told: list[str] = []
        page.on("console", lambda said: self._hear(said.type, said.text))
        page.on("pageerror", lambda error: self._hear("error", str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and "402" not in text:  # a declined card is answered so
            self.told.append(text)

    def go(self, path: str) -> str:
        """A page of the market in this window's language; answers what it says."""
        self.page.goto(f"{self.base}/{self.lang}{path}", wait_until="load")
        return self.look()

    def visit(self, address: str) -> str:
        """Any address, such as a link from a mail."""
        self.page.goto(address, wait_until="load")
        return self.look()

    def look(self) -> str:
        """What the page says; on the first of its kind axe must find nothing, and nothing sticks
        out sideways.
        """
        kind = self.page.evaluate("document.querySelector('main')?.innerText.slice(0, 60) || ''")
        if kind not in self.seen:
            self.seen.add(kind)
            self._check()
        return self.page.inner_text("body")

    def _check(self) -> None:
        found = Axe().run(self.page, options={"runOnly": RULES}).response["violations"]
        for one in found:
            places = [node["target"] for node in one["nodes"]][:3]
            self.faults.append(f"{self.page.url}: {one['id']} at {places}")
        over = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if over > 0:
            self.faults.append(f"{self.page.url}: {over} pixels too wide")

    def press(self, do: str, *, within: str = "main") -> str:
        """The visible button that does `do`."""
        return self.follow(f'{within} button[name="do"][value="{do}"]:visible')

    def follow(self, where: str) -> str:
        """Click what leads to another page, and look at that one."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.locator(where).first.click()
        return self.look()

    def fill(self, **fields: str) -> None:
        for name, text in fields.items():
            self.page.locator(f'main [name="{name}"]:visible').first.fill(text)

    def sign_in(self, role: str) -> None:
        """One of the demo's people, by one press; whoever was here before leaves first."""
        self.page.context.clear_cookies()
        self.go("/sign-in")
        self.follow(f'button[name="person"][value="{role}"]')

    def wait_days(self, days: int) -> None:
        """The demo bar's button, then the page on which the clock arrives."""
        self.page.locator(f'.demo-bar button[name="days"][value="{days}"]').click()
        self.page.wait_for_selector('#clock [role="status"]', timeout=PATIENCE_MS)
        self.look()

    def language(self, code: str) -> None:
        self.page.locator("details.menu summary").first.click()
        self.lang = code
        self.follow(f'details.menu a[hreflang="{code}"]')


@contextmanager
def window(base: str, lang: str, *, width: int) -> Iterator[Browser]:
    """A browser window of `width` pixels, closed at the end; what it complained of fails there."""
    with sync_playwright() as play:
        engine = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        size: Any = {"width": width, "height": 844}
        context = engine.new_context(viewport=size, locale=lang, reduced_motion="reduce")
        context.set_default_timeout(60_000)
        browser = Browser(context.new_page(), base, lang)
        try:
            yield browser
        finally:
            engine.close()
    assert browser.faults == []
    assert browser.told == []
