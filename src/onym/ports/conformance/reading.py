"""Clauses about reads, and about the form of every refusal. Nothing here changes anything."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from onym.ports.conformance import row
from onym.ports.conformance.asking import Reply
from onym.ports.conformance.clause import Broken, Chapter, expect, expect_refusal
from onym.ports.conformance.ground import Ground

_reads = Chapter("Reads")
clause = _reads.clause
MOST_PAGES: Final = 12
A_FEW: Final = 5
_BAD_HANDLE: Final = quote("no handle")
_NOBODY: Final = "check-no-such-account"
_PROFILES: Final = ("x", "dns", "atproto", "precis")
_FLAGS: Final = ("atomic_move", "reserve", "retain", "hand_over", "notices", "since")


@clause("reads.capabilities", "`GET /capabilities` names a profile and says what is offered")
def capabilities(ground: Ground) -> None:
    told = ground.offers
    profile, batch = told.get("profile"), told.get("notice_batch", 0)
    expect(profile in _PROFILES, f"profile is {profile!r}, not one of {', '.join(_PROFILES)}")
    for name in _FLAGS:
        expect(isinstance(told.get(name, False), bool), f"{name} is {told.get(name)!r}")
    expect(isinstance(batch, int) and batch >= 0, f"notice_batch is {batch!r}")
    custodian = told.get("custodian")
    expect(isinstance(custodian, str | None), f"custodian is {custodian!r}, not a string")
    needs_one = told.get("reserve") or told.get("retain")
    expect(not needs_one or custodian is not None, "reserve and retain need a custodian")


@clause(
    "reads.accounts",
    "`GET /accounts` answers rows with a string id, a handle, and well-typed columns",
)
def accounts(ground: Ground) -> None:
    rows = page(ground, f"/accounts?limit={A_FEW}")[0]
    expect(bool(rows), "the list is empty")
    for item in rows:
        expect(not row.fault(item), row.fault(item))


@clause(
    "reads.cursor", "Following `next` lists nobody twice, and a cursor asked again tells the same"
)
def cursor(ground: Ground) -> None:
    seen: set[str] = set()
    for path, ids in walk(ground):
        expect(not seen & set(ids), f"{path} lists {sorted(seen & set(ids))[:3]} again")
        expect(len(ids) == len(set(ids)), f"{path} lists an account twice")
        seen |= set(ids)
        again = ids_of(page(ground, path)[0])
        expect(again == ids, f"{path} asked again tells other accounts")


def page(ground: Ground, path: str) -> tuple[list[Any], str | None]:
    """One page of the list of accounts: its items and the next cursor."""
    told = ground.asker.read(path)
    items, following = told.facts.get("items"), told.facts.get("next")
    if told.status != 200 or not isinstance(items, list):
        raise Broken(f"GET {path} answers {told}")
    if not isinstance(following, str | None):
        raise Broken(f"next is {following!r}, neither a string nor null")
    return items, following


def walk(ground: Ground) -> Iterator[tuple[str, list[str]]]:
    """(path, account ids) of the first pages, small ones where the platform heeds `limit`."""
    path: str | None = f"/accounts?limit={A_FEW}"
    for _ in range(MOST_PAGES):
        if path is None:
            return
        items, following = page(ground, path)
        yield path, ids_of(items)
        path = following and f"/accounts?limit={A_FEW}&cursor={quote(following, safe='')}"


def ids_of(items: list[Any]) -> list[str]:
    return [str(item.get("account_id")) if isinstance(item, dict) else "" for item in items]


def _first(ground: Ground) -> dict[str, Any]:
    items = page(ground, f"/accounts?limit={A_FEW}")[0]
    if not items or row.fault(items[0]):
        raise Broken("the list has no readable first account")
    return dict(items[0])


@clause("reads.account", "`GET /accounts/{id}` answers the row that the list has")
def account(ground: Ground) -> None:
    listed = _first(ground)
    told = ground.asker.read(f"/accounts/{quote(listed['account_id'], safe='')}")
    expect(told.status == 200, f"answers {told}")
    expect(not row.fault(told.said), row.fault(told.said))
    same = all(told.facts[name] == listed[name] for name in ("account_id", "handle"))
    expect(same, f"the list has {listed['account_id']} @{listed['handle']}, the row {told}")


@clause("reads.account_unknown", "An account that there is none of is 404")
def account_unknown(ground: Ground) -> None:
    expect_refusal(ground.asker.read(f"/accounts/{_NOBODY}"), 404)


@clause("reads.handle", "`GET /handles/{handle}` names the account that the list gives it to")
def handle(ground: Ground) -> None:
    listed = _first(ground)
    for name in (listed["handle"], listed["handle"].upper()):
        told = _handle(ground, name)
        holder = told.facts.get("account_id")
        expect(holder == listed["account_id"], f"@{name} is with {holder!r} by {told}")


@clause("reads.handle_free", "A well-formed handle that nobody holds is 200 with `account_id` null")
def handle_free(ground: Ground) -> None:
    told = _handle(ground, f"zq{secrets.token_hex(5)}")
    expect(told.status == 200 and "account_id" in told.facts, f"answers {told}")
    expect(told.facts["account_id"] is None, f"answers {told}")


@clause("reads.handle_malformed", "A handle that the rules cannot have is 422 `handle_malformed`")
def handle_malformed(ground: Ground) -> None:
    expect_refusal(ground.asker.read(f"/handles/{_BAD_HANDLE}"), 422, "handle_malformed")


def _handle(ground: Ground, name: str) -> Reply:
    return ground.asker.read(f"/handles/{quote(name, safe='')}")


_since = Chapter("What changed since")


@_since.clause(
    "since.none", "`since` in the future lists nobody, and `as_of` is an instant", "since"
)
def since_none(ground: Ground) -> None:
    told = ground.asker.read("/accounts")
    as_of = told.facts.get("as_of")
    expect(row.is_instant(as_of), f"as_of is {as_of!r}, no instant")
    later = datetime.fromisoformat(str(as_of)) + timedelta(days=1)
    items = page(ground, f"/accounts?since={quote(later.isoformat())}")[0]
    expect(items == [], f"{len(items)} accounts have changed since tomorrow")


_answers = Chapter("What your answer means to Onym")
_MEMBERS: Final = ("type", "title", "status", "code", "detail")


@_answers.clause("refusals.form", "Every refusal is a problem document with a stable `code`")
def refusals(ground: Ground) -> None:
    for what, told in ground.asker.refusals:
        kind = told.kind.partition(";")[0].strip()
        expect(kind == "application/problem+json", f"{what}: {told.status} is {kind or 'untyped'}")
        missing = [name for name in _MEMBERS if name not in told.facts]
        expect(not missing, f"{what}: {told.status} has no {', '.join(missing)}")
        expect(told.facts["status"] == told.status, f"{what}: status says {told.facts['status']}")


CLAUSES: Final = (*_reads.clauses, *_since.clauses)
LAST: Final = tuple(_answers.clauses)
