"""What a person does on a PDS's own pages, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def sign_in(page: Page, *, handle: str, password: str) -> None:
    """What follows is the question whether the market may know who one is, at the first time."""
    known = page.locator("input[name=username]")
    first = page.get_by_role("button", name="Sign in", exact=True)
    expect(known.or_(first).first).to_be_visible()
    if not known.is_visible():
        first.click()
    if handle:
        known.fill(f"{handle}.test")
    page.locator("input[type=password]").fill(password)
    page.locator("button[type=submit]").click()


def answer(page: Page, word: str) -> None:
    """Its button `Authorize` or `Deny access`."""
    page.get_by_role("button", name=word).click()
