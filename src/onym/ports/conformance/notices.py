"""Clauses about notices; the first of the named accounts is shown one."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from onym.ports.conformance.asking import fresh_key
from onym.ports.conformance.clause import Chapter, expect, expect_refusal
from onym.ports.conformance.ground import Ground

_chapter = Chapter("`POST /accounts/{id}/notices`")
clause = _chapter.clause
_NOTICE: Final = {
    "kind": "check",
    "text": "This is a trial of the line to the handle market. Nothing is to be done.",
    "href": None,
}


@clause("notices.told", "A notice to an account is done, and once a key", "accounts", "notices")
def told(ground: Ground) -> None:
    path, key = f"/accounts/{quote(ground.pair[0].account_id, safe='')}/notices", fresh_key()
    first, second = (ground.asker.write(path, _NOTICE, key=key) for _ in range(2))
    expect(first.status in (200, 201) and bool(first.facts), f"answers {first}")
    expect(first.said == second.said, f"first answers {first}, then {second}")


@clause("notices.unknown", "A notice to an account that there is none of is 404", "notices", "key")
def unknown(ground: Ground) -> None:
    expect_refusal(ground.asker.write("/accounts/check-nobody/notices", _NOTICE), 404)


@clause(
    "notices.batch",
    "A batch has one answer an item, in order, each under its own key",
    "accounts",
    "notice_batch",
)
def batch(ground: Ground) -> None:
    names = ("check-nobody", ground.pair[0].account_id)
    items = [{**_NOTICE, "account_id": name, "key": fresh_key()} for name in names]
    first, second = (ground.asker.write("/notices", {"items": items}) for _ in range(2))
    answers = first.facts.get("items")
    expect(isinstance(answers, list) and len(answers) == 2, f"answers {first}")
    kinds = [item.get("status") for item in first.facts["items"] if isinstance(item, dict)]
    expect(kinds in ([404, 200], [404, 201]), f"the items' status are {kinds}")
    expect(first.facts == second.facts, f"first answers {first}, then {second}")


CLAUSES: Final = tuple(_chapter.clauses)
