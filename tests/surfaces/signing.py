"""A member with a browser, as the tests of sign-in need them: mails read, forms filled in."""

from __future__ import annotations

import json
import re
from typing import Any

from django.db import connection
from django.test import Client

from onym.flows import people
from onym.jobs import sign_in as jobs
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
    """Every letter of a kind that is to be sent, the latest last, once those jobs are done that
    order codes.
    """
    order_codes()
    rows = Notice.objects.filter(kind=kind).order_by("id")
    return [letter for row in rows if (letter := notice.letter(row.id))]


def order_codes() -> None:
    """Do the waiting jobs that look up who is to have a code."""
    with connection.cursor() as cursor:
        cursor.execute(
            "delete from procrastinate_jobs where task_name = 'sign_in.send_code' returning args"
        )
        ordered = [json.loads(args) for (args,) in cursor.fetchall()]
    for told in ordered:
        jobs.send_code(code_id=told["code_id"], code_sealed=told["code_sealed"])


def shown_codes(page: str) -> list[str]:
    """The recovery codes on a page."""
    return re.findall(r"<li><code>(\d{8})</code></li>", page)
