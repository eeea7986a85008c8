"""An auditor that shares no code with the market: rows are held against what the outside knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import connection
from tests.market_sim.outside import Plaza, Provider

FINAL = {"settled", "refunded", "expired", "cancelled"}


def faults(provider: Provider, plaza: Plaza) -> list[str]:
    """All that does not fit once nothing is under way any more."""
    money = [*_money(provider), *_payables(provider), *_revenue()]
    return [*money, *_holders(plaza), *_ends(plaza), *_remedies()]


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def _balances() -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for code, minor in _rows(
        "select a.code, p.minor from store_posting p, store_bookaccount a where a.id = p.account_id"
    ):
        found[code] += minor
    return found


def _money(provider: Provider) -> Iterator[str]:
    """What came in less what went out lies on the books, to the cent."""
    taken = sum(minor for state, minor in provider.charges.values() if state == "paid")
    gone = sum(provider.refunds.values()) + sum(m for _, m in provider.payouts.values())
    world = -_balances()["world:sim"]
    if world != taken - gone:
        yield f"the provider holds {taken - gone}, the books say {world}"


def _payables(provider: Provider) -> Iterator[str]:
    owed: dict[str, int] = defaultdict(int)
    for seller, minor in _rows(
        "select seller_id, proceeds_minor from store_sale"
        " where state = 'settled' and kind = 'trade'"
    ):
        owed[seller] += minor
    for member, minor in _rows(SHARES):
        owed[member] += minor
    for account, minor in provider.payouts.values():
        owed[account.removeprefix("acct_")] -= minor
    balances = _balances()
    for member in owed.keys() | {c.split(":")[1] for c in balances if c.startswith("member:")}:
        if balances[f"member:{member}:payable"] != owed[member]:
            yield f"{member} is owed {owed[member]}"


SHARES = """
select member_id, compensation_minor from store_appeal
where state = 'upheld' and remedy = 'compensate' and member_id is not null
"""


def _revenue() -> Iterator[str]:
    """The platform keeps the price of what it sold and was not made to give back or to share."""
    kept = sum(
        minor
        for (minor,) in _rows(
            "select proceeds_minor from store_sale where state = 'settled' and kind = 'primary'"
        )
    ) - sum(minor for _, minor in _rows(SHARES))
    if _balances()["revenue:primary"] != kept:
        yield f"the revenue is {_balances()['revenue:primary']}, but {kept} was earned"


def _remedies() -> Iterator[str]:
    """What was to be undone is: the buyer has the money and the holder the handle, both or none."""
    for id_, remedy, state, why in _rows(
        "select p.id, p.remedy, s.state, p.instead_of_return"
        " from store_appeal p join store_sale s on s.id = p.sale_id where p.state = 'upheld'"
    ):
        if state != ("refunded" if remedy == "return_and_refund" else "settled"):
            yield f"{id_} brought {remedy} ({why}), and its sale is {state}"


def _holders(plaza: Plaza) -> Iterator[str]:
    for handle, account in _rows("select handle, account_id from store_handle order by handle"):
        if plaza.holders.get(handle) != account:
            yield f"{handle} is held by {plaza.holders.get(handle)}, the market says {account}"


def _ends(plaza: Plaza) -> Iterator[str]:
    """Every sale has ended, and moved its handle exactly if it was settled."""
    for id_, state, undone, moves in _rows(
        "select s.id, s.state, s.why = 'appeal_upheld',"
        " array(select id from store_transfer where sale_id = s.id) from store_sale s"
    ):
        moved = [m for m in moves if m in plaza.moves and plaza.moves[m][1].done]
        if state not in FINAL and state != "disputed":
            yield f"{id_} is still {state}"
        if len(moved) != (2 if undone else state in ("settled", "disputed")):
            yield f"{id_} is {state} and was moved {len(moved)} times"
