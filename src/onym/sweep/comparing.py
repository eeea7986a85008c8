"""One account out of a table, and who changes verdict between two policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple

from onym.core.policy import Policy
from onym.sweep import compile as compiling
from onym.sweep import engines
from onym.sweep.accounts import Accounts

FETCHED = 10_000


def account(accounts: Accounts, canonical: str) -> dict[str, Any] | None:
    """The account that holds `canonical`, as core/policy.py reads it; None if there is none."""
    columns = tuple(compiling.schema())
    rows = accounts.con.execute(
        f"SELECT {', '.join(columns)} FROM {accounts.table} WHERE canonical = ?",  # noqa: S608
        [canonical],
    ).fetchall()
    if not rows:
        return None
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in zip(columns, rows[0], strict=True)
    }


class Change(NamedTuple):
    """An account whose verdict or reasons differ; `old` and `new` are (verdict, reasons)."""

    canonical: str
    account_id: str
    old: tuple[str, list[str]]
    new: tuple[str, list[str]]


@contextmanager
def changes(
    accounts: Accounts, old: Policy, new: Policy, as_of: datetime
) -> Iterator[Iterator[Change]]:
    """Who changes between `old` and `new`, in order of handle."""
    questions = [engines.Question(policy=policy, as_of=as_of) for policy in (old, new)]
    before, after = (engines.sql(question.expression(kept=True)) for question in questions)
    with engines.offered(accounts.con, accounts.table, questions[0]):
        found = accounts.con.execute(
            "SELECT old.canonical, old.account_id, old.verdict, old.reasons, new.verdict,"  # noqa: S608
            f" new.reasons FROM ({before}) old JOIN ({after}) new USING (account_id)"
            " WHERE old.verdict <> new.verdict OR old.reasons <> new.reasons"
            " ORDER BY old.canonical, old.account_id"
        )
        yield _each(found)
        found.fetchall()  # an open result would keep the engine from dropping the tables


def _each(found: Any) -> Iterator[Change]:
    while rows := found.fetchmany(FETCHED):
        for canonical, account_id, was, why, now, because in rows:
            yield Change(canonical, account_id, (was, why), (now, because))


def texts(old: Policy, new: Policy) -> list[str]:
    """What differs between two policies themselves, a line each."""
    told = []
    for each in fields(Policy):
        if each.name not in ("rules", "tiers", "periods"):
            told += _differs(each.name, getattr(old, each.name), getattr(new, each.name))
    for name, value in asdict(old.periods).items():
        told += _differs(f"periods.{name}", value, getattr(new.periods, name))
    was, now = ({rule.code: rule for rule in policy.rules} for policy in (old, new))
    for code in dict.fromkeys([*was, *now]):
        told += _differs(f"rule {code}", was.get(code), now.get(code))
    if [r.code for r in old.rules if r.code in now] != [r.code for r in new.rules if r.code in was]:
        told.append("the order of the rules")
    if old.tiers != new.tiers:
        told.append("tiers")
    return told


def _differs(name: str, was: object, now: object) -> list[str]:
    if was == now:
        return []
    return [f"{name}: {_shown(was)} → {_shown(now)}"]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    when = getattr(value, "when", None)
    if when is not None:
        return f"{when.signal} {when.op} {when.value} ({value.effect}, unknown: {value.unknown})"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else str(value)
