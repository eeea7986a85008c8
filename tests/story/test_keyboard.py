"""Selling and buying with the keyboard alone: Tab, Enter, and what one types."""

from __future__ import annotations

from tests.story.browsing import Browser, window
from tests.story.test_story import wait_for
from tests.surfaces.outside import Site

FARTHEST = 120
"""Presses of Tab within which everything on a page is reached."""


def test_a_handle_is_listed_bought_and_paid_with_the_keyboard_alone(site: Site) -> None:
    site.people["team1"].do("/desk/phase", {"phase": "open"}, expect=200)
    with window(site.base, "en", width=1280) as person:
        signs_in(person, "seller")
        person.go("/sell")
        enter(person, 'main a[href="/en/sell/moon"]')
        typed(person, 'main input[name="price"]', "1250.50")
        enter(person, 'main button[value="list"]')
        assert "/listed" in person.page.url
        signs_in(person, "buyer")
        person.go("/search?sale=any")
        enter(person, 'main a[href="/en/@moon"]')
        enter(person, 'main button[value="buy"]')
        enter(person, 'main button[value="pay"]')
        wait_for(person, "cooling")
        assert site.people["buyer"].get("/sales")["items"][0]["state"] == "cooling"


def signs_in(person: Browser, role: str) -> None:
    person.page.context.clear_cookies()
    person.go("/sign-in")
    enter(person, f'button[name="person"][value="{role}"]')


def reach(person: Browser, where: str) -> None:
    """Tab until it has the focus, which must be seen; the skip link comes first on every page."""
    for _ in range(FARTHEST):
        person.page.keyboard.press("Tab")
        if person.page.evaluate("where => document.activeElement.matches(where)", where):
            assert person.page.evaluate(
                "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
                " || document.activeElement.matches('.cover, .name')"
            )
            return
    raise AssertionError(f"{where} is not reached by Tab on {person.page.url}")


def enter(person: Browser, where: str) -> None:
    reach(person, where)
    with person.page.expect_navigation(wait_until="load"):
        person.page.keyboard.press("Enter")
    person.look()


def typed(person: Browser, where: str, text: str) -> None:
    reach(person, where)
    person.page.keyboard.type(text)
    with person.page.expect_navigation(wait_until="load"):
        person.page.keyboard.press("Enter")
    person.look()
