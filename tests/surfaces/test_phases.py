"""Pages hold out what the launch phase allows: nobody is led to a button that refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.core.access import Phase
from onym.flows import listing

SOON = "once the market is open to everybody"
EMPTY = {
    "closed": "The market has not opened yet.",
    "invited": "Only whom the handle team invites can buy for now.",
    "open": "Nothing is listed at the moment.",
}


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    made = make.namespace()
    for name in ("moon", "kite"):
        make.handle(made, name, account_id=f"acc-{name}")
    return made


def begins(place: Any, phase: str) -> None:
    type(place).objects.update(phase=phase)


def read(client: Client, path: str) -> str:
    return client.get(f"/en/{path}").content.decode()


@pytest.mark.parametrize("phase", Phase)
def test_the_home_page_says_who_can_buy(place: Any, phase: str) -> None:
    begins(place, phase)
    said = read(Client(), "")
    assert [name for name, words in EMPTY.items() if words in said] == [phase]


@pytest.mark.parametrize("phase", Phase)
def test_only_an_open_market_asks_for_offers(place: Any, phase: str) -> None:
    begins(place, phase)
    said = read(make.browser(make.member(place, account="acc-kite")), "@moon")
    shown = ("You may make an offer." in said, 'value="offer"' in said, SOON in said)
    assert shown == ((True, True, False) if phase == "open" else (False, False, True))


@pytest.mark.parametrize("phase", Phase)
def test_only_an_open_market_sells_what_is_listed(place: Any, phase: str) -> None:
    seller = make.member(place, account="acc-moon")
    listing.open_(namespace="demo", handle="moon", price=make.usd(200), seller=seller.id)
    begins(place, phase)
    said = read(make.browser(make.member(place, account="acc-kite")), "@moon")
    shown = ('value="buy"' in said, "It cannot be bought before the market is open." in said)
    assert shown == ((True, False) if phase == "open" else (False, True))


@pytest.mark.parametrize("phase", Phase)
def test_only_an_open_market_takes_a_holder_to_the_price(place: Any, phase: str) -> None:
    begins(place, phase)
    holder = make.browser(make.member(place, account="acc-moon"))
    said = read(holder, "@moon")
    assert ("/en/sell/moon" in said, SOON in said) == ((phase == "open"), (phase != "open"))
    closed = "The market is not open for this yet."
    for path in ("sell", "sell/moon?price=200"):
        assert (closed in read(holder, path)) == (phase != "open"), path
