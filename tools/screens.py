#!/usr/bin/env python3
"""Pictures of the pages: `tools/screens.py DATA/demo.json`, of a demo that runs.

It warns the first holders, opens the market and makes an offer, a sale and a private offer where
the demo has none, then writes docs/screens/PAGE-LANGUAGE-THEME[-390].png, all of them in three
languages and two themes.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import re
import time
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from playwright.sync_api import Page, sync_playwright

LANGS, THEMES = ("en", "fr", "ar"), ("light", "dark")
DESK, PHONE = (1280, 860), (390, 844)
COLOURS = 96
TRADE, OPEN = ("buyer", "moon", 123_457), ("acme", "nadia", 90_000)
"""Who offers for which handle, and how much: the first is accepted, the second stays open."""
FREED = ("epena", 95_000)
"""A handle that the history has set free, and for how much Acme is asked to buy it."""

keys = itertools.count(1)


class Demo:
    """The running demo, as its API has it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.base = facts, facts["base"]

    def ask(self, who: str, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """The answer's JSON; a refusal comes back as one, with its `code`."""
        headers = {"Authorization": f"Bearer {self.facts['people'][who]['token']}"}
        headers["Idempotency-Key"] = f"screens-{time.time_ns()}-{next(keys)}"
        address = self.base + (path if path.startswith("/demo") else f"/api/v1{path}")
        return requests.request(method, address, json=body, headers=headers, timeout=300).json()

    def first(self, who: str, path: str, **wanted: str) -> str:
        """The id of the first row of a list that has these values."""
        rows = self.ask(who, path, method="GET")["items"]
        found = [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]
        return str(found[0]["id"]) if found else ""

    def link(self, to: str, part: str) -> str:
        """The last link with `part` in a mail to `to`, from its language on."""
        mails = requests.get(f"{self.facts['mailbox']}/messages", params={"to": to}, timeout=30)
        text = "\n".join(mail["text"] for mail in mails.json())
        found = re.findall(rf"{re.escape(self.base)}/\w+({part}\S+)", text)
        return str(found[-1]) if found else ""


def prepare(demo: Demo) -> dict[str, str]:
    """What the pages need to stand there: a keep link, an open offer, a sale to pay."""
    if not demo.link("sunset@mail.example", "/keep/"):  # the first notices may not have left yet
        demo.ask("team1", "/demo/clock", {"advance_seconds": 86_400})
    demo.ask("team1", "/desk/phase", {"phase": "open"})
    if not demo.first("buyer", "/sales", handle=TRADE[1]):
        demo.ask("seller", f"/offers/{offered(demo, *TRADE)}/accept")
    thread = demo.first("acme", "/offers", handle=OPEN[1], state="open") or offered(demo, *OPEN)
    price = {"minor": 110_000, "currency": "USD"}
    demo.ask("buyer", f"/offers/{thread}/counter", {"price": price})
    return {
        "thread": thread,
        "sale": demo.first("buyer", "/sales", handle=TRADE[1]),
        "keep": demo.link("sunset@mail.example", "/keep/"),
        "invitation": invited(demo),
    }


def invited(demo: Demo) -> str:
    """The link of an open private offer of a released handle to Acme."""
    mail = demo.facts["people"]["acme"]["mail"]
    known = demo.link(mail, "/invitations/")
    if known:
        return known
    wish = {
        "handle": FREED[0],
        "price": {"minor": FREED[1], "currency": "USD"},
        "criteria": "firms that asked for a short name",
        "recipients": [{"mail": mail, "name": "Acme", "language": "en"}],
        "expires_in_days": 14,
    }
    made = demo.ask("team1", "/desk/campaigns", wish)
    demo.ask("team1", f"/desk/campaigns/{made['id']}/send")
    for _ in range(20):  # the letter is on its way
        if found := demo.link(mail, "/invitations/"):
            return found
        time.sleep(1)
    return ""


def offered(demo: Demo, who: str, handle: str, minor: int) -> str:
    made = demo.ask(
        who, f"/handles/{handle}/offers", {"price": {"minor": minor, "currency": "USD"}}
    )
    return str(made["id"])


def pages(made: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Name: (who looks, path below the language); `>` follows the first link of that kind."""
    return {
        "home": ("", "/"),
        "search": ("", "/search?q=moo"),
        "browse": ("", "/search?sale=any"),
        "handle": ("", "/@handle"),
        "handle-held": ("acme", "/@nadia"),
        "policies": ("", "/policies"),
        "policy": ("", "/policies > /policies/x-2023/"),
        "fees": ("", "/fees"),
        "fees-version": ("", "/fees > /fees/onym-2026/"),
        "guidelines": ("", "/guidelines"),
        "log": ("", "/log"),
        "leaf": ("", "/log/3"),
        "sign-in": ("", "/sign-in"),
        "join": ("", "/join"),
        "keep": ("", made["keep"]),
        "invitation": ("acme", made["invitation"]),
        "problem": ("", "/problems/sale_slot_taken"),
        "missing": ("", NOWHERE),
        "design": ("", "/design"),
        "clock": ("", "/demo/clock"),
        "sale": ("buyer", f"/sales/{made['sale']}"),
        "offer": ("acme", f"/offers/{made['thread']}"),
        "sell": ("buyer", "/sell"),
        "sell-price": ("buyer", "/sell/nadia?price=1250"),
        "me": ("buyer", "/me"),
        "holding": ("buyer", "/me/holding"),
        "buying": ("buyer", "/me/buying"),
        "selling": ("buyer", "/me/selling"),
        "offers": ("buyer", "/me/offers"),
        "alerts": ("buyer", "/me/alerts"),
        "statement": ("seller", "/me/statement"),
        "notices": ("buyer", "/me/notices"),
        "notice": ("buyer", "/me/notices > /me/notices/"),
        "appeals": ("buyer", "/me/appeals"),
        "settings": ("buyer", "/me/settings"),
        "accounts": ("seller", "/me/accounts"),
        "payouts": ("seller", "/me/payout"),
        "wallet": ("buyer", "/wallet"),
        "webhooks": ("seller", "/me/webhooks"),
        "leave": ("seller", "/me/leave"),
        "mail-address": ("seller", "/security/mail"),
        "tokens": ("seller", "/security/tokens"),
        "security": ("buyer", "/security"),
        "totp": ("buyer", "/security/totp"),
        "sessions": ("buyer", "/sessions"),
        "confirm": ("buyer", "/confirm"),
        "desk": ("team1", "/desk/"),
        "desk-sweeps": ("team1", "/desk/sweeps"),
        "desk-sweep": ("team1", "/desk/sweeps > /desk/sweeps/"),
        "desk-plans": ("team1", "/desk/plans"),
        "desk-stock": ("team1", "/desk/stock"),
        "desk-shortlist": ("team1", "/desk/shortlist"),
        "desk-handle": ("team1", "/desk/handles/handle?way=campaign"),
        "desk-campaigns": ("team1", "/desk/campaigns"),
        "desk-campaign": ("team1", "/desk/campaigns > /desk/campaigns/cmp_"),
        "desk-switches": ("team1", "/desk/switches"),
        "desk-overview": ("team1", "/desk/overview"),
        "desk-calls": ("team1", "/desk/calls"),
        "desk-bank": ("team1", "/desk/bank"),
        "desk-screening": ("team1", "/desk/screening"),
    }


ON_PHONES = ("home", "handle", "search", "sale", "me", "desk")
NOWHERE = "/nowhere"


def go(page: Page, base: str, lang: str, path: str) -> None:
    path, _, then = path.partition(" > ")
    answer = page.goto(f"{base}/{lang}{path}")
    if then:
        page.locator(f'main a[href*="{then}"]').first.click()
        page.wait_for_load_state("load")
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    wanted = 404 if path == NOWHERE else 200
    if answer is None or answer.status != wanted or wide > 0:
        print(f"{lang}{path}: {answer and answer.status}, {wide} pixels too wide")


def keep(picture: bytes, file: Path) -> None:
    """As a PNG of its most frequent colours."""
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    often = sorted(whole.getcolors(whole.width * whole.height) or [], reverse=True)[:COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in often for part in colour])
    few = whole.quantize(palette=palette, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def take(browser: Any, demo: Demo, wanted: dict[str, tuple[str, str]], out: Path) -> None:
    for theme, size in itertools.product(THEMES, (DESK, PHONE)):
        for who in sorted({who for who, _ in wanted.values()}):
            view = {"width": size[0], "height": size[1]}
            context = browser.new_context(viewport=view, color_scheme=theme)
            page = context.new_page()
            if who:
                page.goto(f"{demo.base}/en/sign-in")
                page.click(f"button[name=person][value={who}]")
            for name, lang in itertools.product(wanted, LANGS):
                if wanted[name][0] != who or (size == PHONE and name not in ON_PHONES):
                    continue
                go(page, demo.base, lang, wanted[name][1])
                end = "-390" if size == PHONE else ""
                keep(page.screenshot(), out / f"{name}-{lang}-{theme}{end}.png")
            context.close()


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("demo", type=Path, help="DATA/demo.json of a running demo")
    given.add_argument("--out", type=Path, default=Path("docs/screens"))
    given.add_argument("--only", nargs="*", default=[], help="names of pages")
    asked = given.parse_args()
    demo = Demo(json.loads(asked.demo.read_text()))
    wanted = pages(prepare(demo))
    wanted = {name: wanted[name] for name in asked.only or wanted}
    asked.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        take(browser, demo, wanted, asked.out)
        browser.close()


if __name__ == "__main__":
    main()
