"""One policy, two executors: the engine's verdict on a table is Python's verdict on each row."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onym.core import policy
from onym.sweep import compile as compiling
from onym.sweep import engines

AS_OF = datetime(2026, 11, 20, 12, 34, 56, 789_012, tzinfo=UTC)
DAY, TICK = timedelta(days=1), timedelta(microseconds=1)
ARROW = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp(6)": pa.timestamp("us"),
}
SCHEMA = pa.schema({name: ARROW[kind] for name, kind in compiling.schema().items()})
WORDS = pa.table(
    {
        "word": ["sunset", "moon", "acme", "ibrahim", "smith", "handle"],
        "dictionary_word": [True, True, None, False, False, True],
        "first_name": [False, None, False, True, False, False],
        "last_name": [False, False, False, True, True, None],
        "brand": [False, False, True, False, False, False],
        "culture": [None] * 6,
    },
    schema=engines.WORDS,
)
Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> pa.Table:
    """Account rows as an engine sees them: every column, instants in UTC without a zone."""
    naive = [
        {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}
        for row in rows
    ]
    return pa.Table.from_pylist(naive, schema=SCHEMA)


@functools.cache
def text(name: str, listed: bool, words: bool, kept: bool) -> str:
    """The statement for a policy of POLICIES; compiling it anew for each table takes long."""
    question = engines.Question(
        policy=POLICIES[name],
        as_of=AS_OF,
        protected=["any"] if listed else [],
        words=WORDS if words else None,
    )
    return engines.sql(question.expression(kept=kept))


def run(rows: Sequence[Row], question: engines.Question, statement: str) -> list[dict[str, Any]]:
    """What DuckDB says, by account_id."""
    with duckdb.connect() as con:
        con.register("given", table(rows))
        with engines.offered(con, "given", question):
            found = con.sql(statement).to_arrow_table()
    return sorted(found.to_pylist(), key=lambda row: row["account_id"])


def expected(rows: Iterable[Row], question: engines.Question) -> list[dict[str, Any]]:
    """What core/policy.py says, as the same rows."""
    told = []
    for row in rows:
        name = row["canonical"]
        known = {
            **row,
            "protected_list": name in set(question.protected),
            "reserved_list": name in set(question.reserved),
        }
        found = policy.verdict(question.policy, known, question.as_of)
        deadline = found.deadline_at and found.deadline_at.astimezone(UTC).replace(tzinfo=None)
        told.append(
            {
                "handle": row["handle"],
                "canonical": name,
                "account_id": row["account_id"],
                "verdict": found.verdict.value,
                "reasons": list(found.reasons),
                "idle_days": found.idle_days,
                "deadline_at": deadline,
                "tier": policy.tier(question.policy, tier_facts(row, question)).name,
                "resting_days": found.resting_days,
                "followers": row.get("followers"),
                "inbound_refs": row.get("inbound_refs"),
            }
        )
    return sorted(told, key=lambda row: row["account_id"])


def tier_facts(row: Row, question: engines.Question) -> dict[str, Any]:
    by_word = {word.pop("word"): word for word in WORDS.to_pylist()} if question.words else {}
    counts = {"followers": row.get("followers"), "inbound_refs": row.get("inbound_refs")}
    name = row["canonical"]
    shape = {
        "length": len(name),
        "letters": sum(char.isalpha() for char in name),
        "digits": sum("0" <= char <= "9" for char in name),
    }
    return shape | by_word.get(row["canonical"], {}) | counts


def agree(rows: Sequence[Row], question: engines.Question, name: str | None = None) -> None:
    """Both say the same about `rows`, with and without those that are kept."""
    everything = expected(rows, question)
    for kept in (True, False):
        known = name and text(name, bool(question.protected), question.words is not None, kept)
        statement = known or engines.sql(question.expression(kept=kept))
        wanted = [row for row in everything if kept or row["verdict"] != "keep"]
        assert run(rows, question, statement) == wanted


PERIODS = (30, 60, 180, 210, 365, 395)
edges = [AS_OF - days * DAY + tick for days in PERIODS for tick in (-TICK, timedelta(), TICK)]
instants = st.one_of(
    st.none(),
    st.sampled_from(edges),
    st.sampled_from([AS_OF + DAY, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]),
    st.integers(0, 60 * 10**6).map(lambda seconds: AS_OF - timedelta(seconds=seconds)),
)
flags = st.sampled_from([False, False, False, False, True, None])
counts = (
    st.none()
    | st.sampled_from([0, 9, 10, 99, 100, 999, 1_000, 9_999, 10_000])
    | st.integers(0, 2**53)
)
handles = st.sampled_from(
    [
        *WORDS["word"].to_pylist(),
        "a",
        "abcd",
        "ab_1",
        "user_1007",
        "été",
        "\u0645\u0639\u0631\u0651\u0641",
    ]
)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    **{name: flags for name, kind in compiling.schema().items() if kind == "boolean"},
    **{name: instants for name, kind in compiling.schema().items() if kind == "timestamp(6)"},
    **{name: counts for name, kind in compiling.schema().items() if kind == "int64"},
    "bot_score": st.none() | st.sampled_from([0.0, 0.5, 0.94999, 0.95, 1.0]),
    "status": st.sampled_from([None, "active", "suspended", "suspended", "deactivated"]),
    "registered_batch": st.sampled_from([None, "b1", "b2"]),
    "locale": st.sampled_from([None, "en", "ar"]),
    "handle": handles,
}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = draw(st.lists(st.fixed_dictionaries(STRATEGIES), min_size=1, max_size=60))
    return [
        {**row, "canonical": row["handle"], "account_id": f"{i:03}"} for i, row in enumerate(rows)
    ]


def rule(code: str, signal: str, op: str, value: str, effect: str, more: str = "") -> str:
    head = f'[[rule]]\ncode = "{code}"\nsignal = "{signal}"\nop = "{op}"\n'
    return f'{head}value = {value}\neffect = "{effect}"\n{more}\n'


def made(*rules: str, assumed: Sequence[str] = (), tiers: str = "") -> policy.Policy:
    head = 'id = "test"\nversion = 1\neffective_from = 2026-01-01\nprofile = "x"\n'
    absent = f"assume_absent = [{', '.join(repr(name) for name in assumed)}]\n"
    return policy.parse(head + absent + "".join(rules) + tiers, "test.toml")


def absent(id_: str) -> policy.Policy:
    """A built-in policy that takes every protection it does not know for absent."""
    listed = ", ".join(f'"{name}"' for name in policy.PROTECTIONS)
    text = policy.text_of(id_).replace("assume_absent = []", f"assume_absent = [{listed}]")
    return policy.parse(text, "absent.toml")


SKIP = 'unknown = "skip"'
EVERY_OP = made(
    rule("few", "followers", "<", "10", "protect"),
    rule("lone", "following", "=", "9", "protect"),
    rule("french", "locale", "!=", '"en"', "protect"),
    rule("gone", "status", "in", '["suspended", "deactivated"]', "suspend"),
    rule("batch", "registered_batch", "=", '"b1"', "squat"),
    rule("bot", "bot_score", ">", "0.95", "squat"),
    rule("post", "last_post_at", "older_than", "60", "idle", SKIP),
    rule("login", "last_login_at", "older_than", "365", "idle", SKIP),
    rule("born", "created_at", "older_than", "30", "idle"),
    rule("silent", "posts", "<=", "999", "idle", SKIP),
    rule("unread", "inbound_refs", "!=", "10", "idle", SKIP),
    rule("site", "site_alive", "is", "false", "idle"),
    assumed=["verified"],
    tiers='[[tier]]\nname = "rare"\nreason = "r"\nall = [{signal="length", op="<", value=3},'
    '{signal="letters", op="!=", value=0}]\n'
    '[[tier]]\nname = "priority"\nreason = "r"\nall = [{signal="first_name", op="is", value=false},'
    '{signal="digits", op="=", value=0}, {signal="followers", op=">=", value=100}]\n',
)
NOBODY_KNOWN = made(
    rule("post", "last_post_at", "older_than", "60", "idle", SKIP),
    rule("api", "last_api_at", "older_than", "36500", "idle", SKIP),
)
LISTS_ONLY = made(
    rule("guarded", "protected_list", "is", "true", "protect"),
    rule("open", "reserved_list", "is", "false", "squat"),
)
POLICIES = {
    **{id_: policy.built_in(id_) for id_ in policy.BUILT_IN},
    **{f"{id_}, nothing protected": absent(id_) for id_ in policy.BUILT_IN},
    "every operation": EVERY_OP,
    "optional clocks only": NOBODY_KNOWN,
    "lists only": LISTS_ONLY,
}
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", POLICIES)
@given(rows=tables(), listed=st.booleans(), words=st.booleans())
@SETTINGS
def test_the_engine_says_what_python_says(
    name: str, rows: list[dict[str, Any]], listed: bool, words: bool
) -> None:
    question = engines.Question(
        policy=POLICIES[name],
        as_of=AS_OF,
        protected=["moon", "été"] if listed else [],
        reserved=["moon", "smith"] if listed else [],
        words=WORDS if words else None,
    )
    agree(rows, question, name)


@pytest.mark.parametrize("id_", policy.BUILT_IN)
def test_both_agree_at_every_boundary_of_every_rule(id_: str) -> None:
    nothing = dict.fromkeys(compiling.schema())
    clear = {
        **nothing,
        **dict.fromkeys(policy.PROTECTIONS, False),
        "last_login_at": AS_OF - 999 * DAY,
    }
    rows: list[dict[str, Any]] = [nothing, clear, {**clear, "last_login_at": None}]
    for column, strategy in (("status", ["suspended"]), ("site_alive", [True, False, None])):
        rows += [{**clear, column: value} for value in strategy]
    for column, kind in compiling.schema().items():
        if kind == "timestamp(6)":
            rows += [{**clear, "last_post_at": AS_OF - 999 * DAY, column: edge} for edge in edges]
            rows += [{**clear, "status": "suspended", column: edge} for edge in edges]
        if kind == "boolean":
            rows += [{**clear, column: value} for value in (True, None)]
    rows += [
        {**clear, "inbound_refs": count} for count in (0, 9, 10, 99, 100, 999, 1000, 9999, 10_000)
    ]
    rows += [{**clear, "bot_score": score} for score in (0.9499, 0.95, 1.0)]
    numbered = [
        {**row, "account_id": f"{i:04}", "handle": "moon", "canonical": "moon"}
        for i, row in enumerate(rows)
    ]
    agree(numbered, engines.Question(policy=POLICIES[id_], as_of=AS_OF))


@pytest.mark.parametrize("as_of", [datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)])
def test_both_agree_at_the_ends_of_the_calendar(as_of: datetime) -> None:
    seen = [None, datetime(1, 1, 1, tzinfo=UTC), as_of, as_of + 90 * DAY]
    rows = [
        {
            **dict.fromkeys(policy.PROTECTIONS, False),
            "last_login_at": instant,
            "account_id": str(i),
            "handle": "moon",
            "canonical": "moon",
        }
        for i, instant in enumerate(seen)
    ]
    agree(rows, engines.Question(policy=absent("onym-default"), as_of=as_of))


def test_an_instant_of_asking_may_have_any_offset() -> None:
    local = AS_OF.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    rows = [
        {
            **dict.fromkeys(policy.PROTECTIONS, False),
            "last_login_at": edge,
            "account_id": f"{i:02}",
            "handle": "moon",
            "canonical": "moon",
        }
        for i, edge in enumerate(edges)
    ]
    agree(rows, engines.Question(policy=POLICIES["x-2023"], as_of=local))
