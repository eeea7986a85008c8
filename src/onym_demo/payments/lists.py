"""Lists, search and expansion, as far as the official SDK and a person at a terminal need them."""

from __future__ import annotations

import re
from typing import Any

from onym_demo.payments import wire
from onym_demo.payments.provider import Call, Provider
from onym_demo.payments.wire import JSON, WireError

FILTERS = {
    "payment_intent": ("payment_method", "transfer_group"),
    "checkout.session": ("payment_intent", "status"),
    "charge": ("payment_intent", "transfer_group"),
    "refund": ("payment_intent", "charge"),
    "transfer": ("destination", "transfer_group"),
    "payout": ("status",),
    "dispute": ("payment_intent", "charge"),
    "event": ("type",),
    "balance_transaction": ("type", "source", "currency"),
    "account": (),
}
"""What each kind may be filtered by, beside `metadata` (ours) and `created`."""

CLAUSE = re.compile(
    r"""(metadata\[["']([A-Za-z0-9_-]{1,40})["']\]|status|currency):["']([^"']*)["']"""
)
EXPANDABLE = ("pi_", "ch_", "re_", "tr_", "txn_", "acct_", "po_", "dp_", "evt_")


def listed(provider: Provider, call: Call, kind: str) -> JSON:
    """One page, newest first, with `starting_after`, `ending_before`, `limit` and filters."""
    own = FILTERS[kind]
    wire.only(call.params, [*own, "limit", "starting_after", "ending_before", "created"])
    where = {f"$.{name}": wire.word(call.params, name) for name in own if name in call.params}
    for name, value in wire.metadata(call.params).items():
        where |= _metadata(name, str(value))
    limit = min(wire.whole(call.params, "limit"), 100) if "limit" in call.params else 10
    found = provider.state.select(kind, account=call.account, where=where)
    page, more = _page(_created(found, call.params.get("created")), call.params, limit)
    return {"object": "list", "url": f"/v1/{kind}s", "has_more": more, "data": page}


def _metadata(name: str, value: str) -> dict[str, str]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
        raise WireError(f"Cannot filter by metadata key {name}", param="metadata", kept=False)
    return {f'$.metadata."{name}"': value}


def _created(found: list[JSON], wanted: Any) -> list[JSON]:
    bounds = wanted if isinstance(wanted, dict) else {"eq": wanted} if wanted else {}
    tests = {
        "gte": lambda at, t: at >= t,
        "gt": lambda at, t: at > t,
        "lte": lambda at, t: at <= t,
        "lt": lambda at, t: at < t,
        "eq": lambda at, t: at == t,
    }
    for name in bounds:
        if name not in tests:
            raise WireError(f"Unknown bound: created[{name}]", param="created", kept=False)
        bound = wire.whole(bounds, name, least=0)
        found = [body for body in found if tests[name](body["created"], bound)]
    return found


def _page(found: list[JSON], params: JSON, limit: int) -> tuple[list[JSON], bool]:
    names = [body["id"] for body in found]
    start, end = params.get("starting_after"), params.get("ending_before")
    for cursor in (start, end):
        if cursor and cursor not in names:
            raise wire.missing(noun="object", identity=cursor, param="starting_after", status=400)
    if end:
        before = found[: names.index(end)]
        return before[-limit:], len(before) > limit
    rest = found[names.index(start) + 1 :] if start else found
    return rest[:limit], len(rest) > limit


def search(provider: Provider, call: Call, kind: str) -> JSON:
    """`metadata['key']:'value'`, `status:'…'`, `currency:'…'`, joined by AND."""
    wire.only(call.params, ["query", "limit", "page"])
    where: dict[str, str] = {}
    for clause in re.split(r"\s+AND\s+", wire.word(call.params, "query").strip()):
        match = CLAUSE.fullmatch(clause)
        if match is None:
            raise WireError(f"Cannot read the query near: {clause}", param="query", kept=False)
        field, name, value = match.groups()
        where |= _metadata(name, value) if name else {f"$.{field}": value}
    found = provider.state.select(kind, account=call.account, where=where)
    limit = min(wire.whole(call.params, "limit"), 100) if "limit" in call.params else 10
    start = wire.whole(call.params, "page", least=0) if "page" in call.params else 0
    more = len(found) > start + limit
    return {
        "object": "search_result",
        "url": f"/v1/{kind}s/search",
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "data": found[start : start + limit],
    }


def expand(provider: Provider, body: JSON, paths: Any) -> JSON:
    """Replace ids by their objects along each path; `data.` goes into the items of a list."""
    for path in paths if isinstance(paths, list) else []:
        _expand(provider, body, str(path).split("."))
    return body


def _expand(provider: Provider, node: Any, path: list[str]) -> None:
    if isinstance(node, list):
        for item in node:
            _expand(provider, item, path)
        return
    if not path or not isinstance(node, dict) or path[0] not in node:
        return
    value = node[path[0]]
    if isinstance(value, str) and value.startswith(EXPANDABLE):
        node[path[0]] = provider.state.any(value) or value
    _expand(provider, node[path[0]], path[1:])
