"""What a buyer does on the provider's own page, without a browser."""

from __future__ import annotations

from html import unescape

import requests

VISA, DECLINED, ASKS = "4242424242424242", "4000000000000002", "4000002500003155"


def type_card(url: str, number: str = VISA, **changes: str) -> requests.Response:
    """Type a card and press the button; where that leads is not followed."""
    typed = {"number": number, "expiry": "12/34", "cvc": "123"} | changes
    return requests.post(url, data=typed, allow_redirects=False, timeout=10)


def say_yes(asked: requests.Response, *, answer: str = "yes") -> None:
    """Led to the bank's page: what the buyer says there."""
    assert asked.status_code == 303, asked.text
    told = requests.post(asked.headers["Location"], data={"answer": answer}, timeout=10)
    assert told.ok


def text(answer: requests.Response) -> str:
    return unescape(answer.text)
