"""Policies: what the rules say about one account, and what is wrong with a policy's text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import policy

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
UNPROTECTED: Mapping[str, Any] = dict.fromkeys(policy.PROTECTIONS, False)

X = policy.built_in("x-2023")
DEFAULT = policy.built_in("onym-default")
ATPROTO = policy.built_in("onym-atproto")


def days(count: float) -> datetime:
    """The instant so many days before NOW."""
    return NOW - timedelta(days=count)


def judge(under: policy.Policy, **account: Any) -> policy.Verdict:
    return policy.verdict(under, {**UNPROTECTED, **account}, NOW)


def said(under: policy.Policy, **account: Any) -> tuple[str, ...]:
    found = judge(under, **account)
    return (found.verdict.value, *found.reasons)


HEAD = """id = "test"
version = 1
effective_from = 2026-01-01
profile = "x"
assume_absent = []
"""
IDLE = '[[rule]]\ncode = "idle"\nsignal = "last_login_at"\nop = "older_than"\nvalue = 30\n'
IDLE += 'effect = "idle"\n'


def rule(code: str, signal: str, op: str, value: str, effect: str, more: str = "") -> str:
    head = f'[[rule]]\ncode = "{code}"\nsignal = "{signal}"\nop = "{op}"\n'
    return f'{head}value = {value}\neffect = "{effect}"\n{more}\n'


def made(*rules: str, head: str = HEAD) -> policy.Policy:
    return policy.parse(head + "".join(rules), "test.toml")


# Idleness


@pytest.mark.parametrize(
    ("under", "account", "expected"),
    [
        (X, {"last_login_at": days(30) + MICROSECOND}, ("keep", "not_idle_login")),
        (X, {"last_login_at": days(30)}, ("warn", "idle_login")),
        (X, {"last_login_at": days(60) + MICROSECOND}, ("warn", "idle_login")),
        (X, {"last_login_at": days(60)}, ("reclaim", "idle_login")),
        (X, {"last_login_at": days(60), "last_post_at": NOW}, ("reclaim", "idle_login")),
        (X, {}, ("keep", "unknown_last_login_at")),
        (DEFAULT, {"last_login_at": days(365) + MICROSECOND}, ("keep", "not_idle_login")),
        (DEFAULT, {"last_login_at": days(365)}, ("warn", "idle_login")),
        (DEFAULT, {"last_login_at": days(395)}, ("reclaim", "idle_login")),
        (DEFAULT, {"last_post_at": days(999)}, ("keep", "unknown_last_login_at")),
        (
            DEFAULT,
            {"last_login_at": days(500), "last_post_at": days(364)},
            ("keep", "not_idle_post"),
        ),
        (
            DEFAULT,
            {"last_login_at": days(500), "last_post_at": days(380), "last_api_at": days(400)},
            ("warn", "idle_login", "idle_post", "idle_api"),
        ),
        (
            DEFAULT,
            {"last_login_at": days(500), "last_payment_at": days(400), "site_alive": False},
            ("reclaim", "idle_login", "idle_payment", "site_dead"),
        ),
        (DEFAULT, {"last_login_at": days(500), "site_alive": True}, ("keep", "not_site_dead")),
        (ATPROTO, {"last_login_at": days(999)}, ("keep", "unknown_last_post_at")),
        (ATPROTO, {"last_post_at": days(365), "last_login_at": NOW}, ("warn", "idle_write")),
    ],
)
def test_idleness_by_the_built_in_policies(
    under: policy.Policy, account: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert said(under, **account) == expected


def test_idle_days_are_whole_days_since_the_last_activity_that_counts() -> None:
    account = {"last_login_at": days(500), "last_post_at": days(399.999), "created_at": NOW}
    assert judge(DEFAULT, **account).idle_days == 399
    assert judge(X, **account).idle_days == 500
    assert judge(X).idle_days is None
    assert judge(X, last_login_at=NOW + SECOND).idle_days == 0


def test_the_deadline_is_a_notice_period_away_and_rest_follows() -> None:
    found = judge(X, last_login_at=days(200), inbound_refs=99)
    assert found.deadline_at == NOW + timedelta(days=30)
    assert found.resting_days == 60
    assert found.earliest_at == NOW + timedelta(days=90)


def test_a_kept_account_has_an_earliest_date_but_no_deadline() -> None:
    found = judge(X, last_login_at=days(10), inbound_refs=0)
    assert (found.deadline_at, found.resting_days) == (None, None)
    assert found.earliest_at == NOW + timedelta(days=20 + 30 + 30)
    assert judge(X).earliest_at is None
    assert judge(DEFAULT, last_login_at=days(999), site_alive=True).earliest_at is None


@pytest.mark.parametrize(
    ("references", "outcome", "resting"),
    [
        (None, "reclaim", 180),
        (0, "reclaim", 30),
        (9, "reclaim", 30),
        (10, "reclaim", 60),
        (99, "reclaim", 60),
        (100, "reclaim", 90),
        (999, "reclaim", 90),
        (1_000, "reclaim", 180),
        (9_999, "reclaim", 180),
        (10_000, "retire", None),
    ],
)
def test_the_more_refers_to_a_handle_the_longer_it_rests(
    references: int | None, outcome: str, resting: int | None
) -> None:
    found = judge(X, last_login_at=days(60), inbound_refs=references)
    assert (found.verdict, found.resting_days) == (outcome, resting)


def test_a_retired_handle_says_why() -> None:
    assert said(X, last_login_at=days(60), inbound_refs=10**6) == (
        "retire",
        "idle_login",
        "many_references",
    )
    assert said(X, last_login_at=days(59), inbound_refs=10**6) == ("warn", "idle_login")


# Suspension and squatting


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ({"suspension_final_at": days(180) + SECOND}, ("keep", "suspension_recent")),
        ({"suspension_final_at": days(180)}, ("warn", "suspended")),
        ({"suspension_final_at": days(210) + SECOND}, ("warn", "suspended")),
        ({"suspension_final_at": days(210)}, ("reclaim", "suspended")),
        ({}, ("keep", "suspension_not_final")),
        ({"suspension_final_at": days(999), "appeal_open": True}, ("protected", "appeal_open")),
        (
            {"suspension_final_at": days(999), "appeal_open": None},
            ("protected", "unknown_appeal_open"),
        ),
        ({"suspension_final_at": days(999), "bot_score": 1.0}, ("reclaim", "suspended")),
    ],
)
def test_a_suspended_account_is_judged_by_its_suspension_alone(
    account: dict[str, Any], expected: tuple[str, ...]
) -> None:
    suspended = {"status": "suspended", "last_login_at": days(5_000), **account}
    assert said(X, **suspended) == expected


def test_no_suspension_runs_while_an_appeal_is_open_or_might_be() -> None:
    bare = rule("suspended", "status", "=", '"suspended"', "suspend")
    account = {"status": "suspended", "suspension_final_at": days(999)}
    assert said(made(bare), **account, appeal_open=True) == ("keep", "suspension_appealed")
    assert said(made(bare), **account, appeal_open=None) == ("keep", "unknown_appeal_open")
    absent = made(bare, head=HEAD.replace("[]", '["appeal_open"]'))
    assert said(absent, **account, appeal_open=None) == ("reclaim", "suspended")


def test_a_squatter_is_reclaimed_without_a_clock() -> None:
    assert said(X, bot_score=0.95, last_login_at=NOW) == ("reclaim", "bot")
    assert said(X, bot_score=0.94, last_login_at=NOW) == ("keep", "not_idle_login")
    found = judge(X, bot_score=1.0)
    assert (found.idle_days, found.deadline_at) == (None, NOW + timedelta(days=30))


def test_every_sign_of_squatting_is_named() -> None:
    under = made(
        rule("batch", "registered_batch", "in", '["b1", "b2"]', "squat"),
        rule("silent", "posts", "=", "0", "squat"),
        rule("bot", "bot_score", ">", "0.5", "squat"),
    )
    assert said(under, registered_batch="b2", posts=0) == ("reclaim", "batch", "silent")


# Protection


@pytest.mark.parametrize("under", [X, DEFAULT, ATPROTO], ids=lambda under: under.id)
@pytest.mark.parametrize("signal", [*policy.PROTECTIONS, *policy.LISTS])
def test_each_protection_protects(under: policy.Policy, signal: str) -> None:
    old = {"last_login_at": days(9_999), "last_post_at": days(9_999), "bot_score": 1.0}
    assert said(under, **{**old, signal: True}) == ("protected", signal)


@pytest.mark.parametrize("signal", policy.PROTECTIONS)
def test_an_unknown_protection_protects_unless_it_is_declared_absent(signal: str) -> None:
    account = {"last_login_at": days(60), signal: None}
    assert said(X, **account) == ("protected", f"unknown_{signal}")
    text = policy.text_of("x-2023").replace("absent = []", f'absent = ["{signal}"]')
    absent = policy.parse(text, "absent.toml")
    assert said(absent, **account) == ("reclaim", "idle_login")
    assert said(absent, **{**account, signal: True}) == ("protected", signal)


def test_every_unknown_protection_is_named_but_a_known_one_comes_first() -> None:
    found = policy.verdict(X, {}, NOW)
    assert found.reasons == tuple(f"unknown_{signal}" for signal in policy.PROTECTIONS)
    assert policy.verdict(X, {"subscriber": True}, NOW).reasons == ("subscriber",)
    assert (found.deadline_at, found.resting_days, found.earliest_at) == (None, None, None)


def test_lists_are_never_unknown() -> None:
    assert said(X, last_login_at=days(60), protected_list=None) == ("reclaim", "idle_login")


instants = st.none() | st.integers(-1, 800).map(days)
flags = st.none() | st.booleans()
accounts = st.fixed_dictionaries(
    {
        **dict.fromkeys(policy.PROTECTIONS, flags),
        **dict.fromkeys(("last_login_at", "last_post_at", "last_api_at"), instants),
        "site_alive": flags,
        "inbound_refs": st.none() | st.integers(0, 20_000),
        "status": st.sampled_from([None, "active", "suspended"]),
        "suspension_final_at": instants,
    }
)
FREEING = (policy.Outcome.WARN, policy.Outcome.RECLAIM, policy.Outcome.RETIRE)


@given(accounts, st.sampled_from([X, DEFAULT, ATPROTO]), st.sampled_from(policy.PROTECTIONS))
def test_forgetting_a_protection_never_frees_a_handle(
    account: dict[str, Any], under: policy.Policy, forgotten: str
) -> None:
    after = policy.verdict(under, {**account, forgotten: None}, NOW)
    assert after.verdict is policy.Outcome.PROTECTED


@given(accounts, st.sampled_from([X, ATPROTO]))
def test_forgetting_the_last_activity_never_frees_a_handle(
    account: dict[str, Any], under: policy.Policy
) -> None:
    forgotten = {**account, "last_login_at": None, "last_post_at": None}
    found = policy.verdict(under, forgotten, NOW)
    assert found.verdict not in FREEING or found.ground is policy.Effect.SUSPEND


@given(accounts, st.sampled_from([X, DEFAULT, ATPROTO]), st.integers(0, 400))
def test_the_earliest_date_is_never_moved_forward_by_time(
    account: dict[str, Any], under: policy.Policy, later: int
) -> None:
    now = policy.verdict(under, account, NOW)
    then = policy.verdict(under, account, NOW + timedelta(days=later))
    if now.earliest_at and then.earliest_at:
        assert now.earliest_at <= then.earliest_at


# Tiers


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"length": 6, "dictionary_word": True}, ("rare", "dictionary word of six letters")),
        ({"length": 13, "dictionary_word": True}, ("rare", "dictionary word of 13 letters")),
        ({"length": 3, "dictionary_word": True}, ("rare", "short: three characters")),
        ({"length": 4, "letters": 4}, ("rare", "short: four letters")),
        ({"length": 4, "letters": 3}, ("standard", "no mark of a rarer tier")),
        ({"length": 5, "brand": True}, ("rare", "name of a brand")),
        ({"length": 10, "full_name": True}, ("priority", "full name")),
        ({"length": 9, "phrase": True, "words": 2}, ("priority", "phrase of two words")),
        ({"length": 7, "readable": True}, ("priority", "word with digits that reads")),
        ({"length": 9, "dictionary_word": False}, ("standard", "no mark of a rarer tier")),
        ({}, ("standard", "no mark of a rarer tier")),
    ],
)
def test_the_first_tier_that_fits_gives_its_reason(
    facts: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert policy.tier(X, facts) == expected


# Explain and diff


def test_an_explanation_shows_each_rule_and_which_decided() -> None:
    found, seen = policy.explain(X, {**UNPROTECTED, "last_login_at": days(60)}, NOW)
    assert found.verdict == "reclaim"
    assert [each.rule.code for each in seen if each.decided] == ["idle_login"]
    assert {each.rule.code: each.holds for each in seen}["bot"] is None
    assert len(seen) == len(X.rules)


def test_a_diff_names_exactly_those_whose_verdict_or_reasons_change() -> None:
    people = [
        {**UNPROTECTED, "account_id": "1", "last_login_at": days(10)},
        {**UNPROTECTED, "account_id": "2", "last_login_at": days(100)},
        {**UNPROTECTED, "account_id": "3", "last_login_at": days(100), "minor": True},
    ]
    changes = list(policy.diff(X, DEFAULT, people, NOW))
    assert [(c.account["account_id"], c.old.verdict, c.new.verdict) for c in changes] == [
        ("2", "reclaim", "keep")
    ]


def test_an_account_without_any_running_clock_is_kept() -> None:
    skipping = IDLE + 'unknown = "skip"\n'
    under = made(skipping, rule("silent", "posts", "=", "0", "idle"))
    assert said(under, posts=0) == ("keep", "no_ground")
    assert said(under, posts=0, last_login_at=days(60)) == ("reclaim", "idle", "silent")
    assert said(under, posts=1, last_login_at=days(60)) == ("keep", "not_silent")
