"""A member with a browser, as the tests of sign-in need them: mails read, forms filled in."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

from onym.flows import people
from onym.queries import notice
from onym.store.models import Notice

MAIL, PASSWORD = "leila@mail.example", "orbit-and-tide"


def leila(**changes: Any) -> Any:
    """A member with a password, linked to the account that holds @moon."""
    fields = {"namespace": "demo", "name": "Leila", "mail": MAIL, "password": PASSWORD}
    made = people.join(**fields | changes)
    people.link(member=made.id, account_id="acc-moon")
    return made


def by_password(client: Client | None = None, *, to: str = "", **typed: str) -> tuple[Client, str]:
    """The browser after the form of the sign-in page, and where it was sent."""
    client = client or Client()
    fields = {"mail": MAIL, "password": PASSWORD, "next": to} | typed
    return client, sent(client, "/en/sign-in", **fields)


def sent(client: Client, path: str, **fields: str) -> str:
    """Where the form leads; nowhere if it is shown again."""
    answer = client.post(path, fields)
    return answer["Location"] if answer.status_code == 302 else ""


def is_signed_in(client: Client) -> bool:
    return client.get("/en/me").status_code == 200


def letters(kind: str) -> list[Any]:
    """Every letter of a kind that is to be sent, the latest last."""
    rows = Notice.objects.filter(kind=kind).order_by("id")
    return [letter for row in rows if (letter := notice.letter(row.id))]


def shown_codes(page: str) -> list[str]:
    """The recovery codes on a page."""
    return re.findall(r"<li><code>(\d{8})</code></li>", page)
