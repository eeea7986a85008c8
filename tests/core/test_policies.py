"""Policies as text: what is wrong is told with its line and column, all of it at once."""

from __future__ import annotations

from datetime import UTC

import pytest

from onym.core import errors, policy
from onym.core.policies import lines

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


def faults(text: str) -> list[tuple[int, int, str]]:
    with pytest.raises(errors.Malformed) as refused:
        policy.parse(text, "test.toml")
    told = refused.value.facts["faults"]
    assert refused.value.detail.splitlines() == [
        f"test.toml:{each['line']}:{each['column']}: {each['what']}" for each in told
    ]
    return [(each["line"], each["column"], each["what"]) for each in told]


def test_built_in_policies_carry_their_id_version_and_every_period() -> None:
    for id_ in policy.BUILT_IN:
        under = policy.built_in(id_)
        assert under.id == id_
        assert under.version >= 1
        assert under.periods == policy.Periods()
        assert under.effective_from.tzinfo is UTC
        assert not under.assume_absent
    with pytest.raises(errors.NotFound, match="'x-2024'; there are x-2023, onym-default"):
        policy.built_in("x-2024")


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        (HEAD + IDLE.replace("last_login_at", "last_seen"), 8, 10, "signal: unknown 'last_seen'"),
        (HEAD + IDLE.replace("older_than", "older"), 9, 6, "op: unknown 'older'"),
        (
            HEAD + IDLE.replace("older_than", "is"),
            9,
            6,
            "op: last_login_at (instant) takes older_than",
        ),
        (HEAD + IDLE.replace("30", '"30"'), 10, 9, "value: a whole number from 0 to 36500"),
        (HEAD + IDLE.replace("30", "true"), 10, 9, "value: a whole number"),
        (HEAD + IDLE.replace("value = 30\n", ""), 6, 1, "field 'value' is missing"),
        (HEAD + IDLE.replace('effect = "idle"', 'effect = "free"'), 11, 10, "unknown 'free'"),
        (HEAD + IDLE + 'colour = "red"\n', 12, 1, "unknown field 'colour'"),
        (HEAD + IDLE + IDLE.replace("30", "31"), 13, 8, "code 'idle' is taken by the rule on li"),
        (HEAD + IDLE.replace('"idle"', '"Idle"', 1), 7, 8, "code: a text of letters"),
        (HEAD + IDLE.replace('"idle"', '"not_idle"', 1), 7, 8, "only an evaluation gives"),
        (HEAD + IDLE + 'unknown = "maybe"\n', 12, 11, "unknown: unknown 'maybe'"),
        (HEAD, 1, 1, "there is no [[rule]]"),
        (HEAD.replace("version = 1", "version = 0") + IDLE, 2, 11, "version: a whole number"),
        (HEAD.replace('"test"', '"A Test"') + IDLE, 1, 6, "id: a text of letters"),
        (HEAD.replace("2026-01-01", '"2026-01-01"') + IDLE, 3, 18, "without quotation marks"),
        (HEAD.replace("2026-01-01", "2026-01-01T00:00:00") + IDLE, 3, 18, "needs its offset"),
        (HEAD.replace('"x"', '"y"') + IDLE, 4, 11, "profile: unknown 'y'; there are x, dns"),
        (HEAD.replace("[]", '["minor", "vip"]') + IDLE, 5, 27, "'vip' is no protection"),
        (HEAD + "[periods]\nnotice_days = [3, 14]\n" + IDLE, 7, 15, "days before the deadline"),
        (HEAD + "[periods]\nnotice_days = []\n" + IDLE, 7, 15, "days before the deadline"),
        (HEAD + "[periods]\nappeal_days = -1\n" + IDLE, 7, 15, "appeal_days: a whole number"),
        (HEAD + "[periods]\nresting_days = [[9, 1], [9, 2]]\n" + IDLE, 7, 16, "pairs of"),
        (HEAD + "[periods]\nrelease_percent = [1, 10]\n" + IDLE, 7, 19, "rise to 100"),
        (HEAD + "[periods]\nnap_days = 3\n" + IDLE, 7, 1, "unknown field 'nap_days'"),
        (HEAD + '[periods]\nupheld = "shrug"\n' + IDLE, 7, 10, "unknown 'shrug'"),
        (HEAD + IDLE + '[[tier]]\nname = "rare"\nreason = "r"\n', 12, 1, "'all' is missing"),
        (
            HEAD + IDLE + '[[tier]]\nname = "rare"\nreason = "{age}"\nall = []\n',
            14,
            10,
            "only {length} and {words}",
        ),
        (
            HEAD
            + IDLE
            + '[[tier]]\nname = "rare"\nreason = "r"\nall = [\n'
            + ' { signal = "length", op = "<", value = 4 },\n'
            + ' { signal = "size", op = "<", value = 4 },\n]\n',
            17,
            2,
            "signal: unknown 'size'",
        ),
        (HEAD + "[[rule]\n", 6, 7, "Expected"),
        (HEAD + 'id = "again"\n', 6, 13, "Cannot overwrite a value"),
        (HEAD + "rule = 3\n", 6, 8, "write each one as a [[rule]] table"),
        ("\x00", 1, 1, "not a text file"),
        ('id = "a', 1, 8, "Unterminated"),
    ],
)
def test_a_fault_is_told_with_its_line_and_column(
    text: str, line: int, column: int, what: str
) -> None:
    told = faults(text)
    assert any((a, b) == (line, column) and what in c for a, b, c in told), told


def test_all_faults_are_told_at_once_in_order() -> None:
    text = HEAD.replace('"x"', "7") + IDLE.replace("30", "x".join("30")).replace("3x0", '"3"')
    text += rule("vip", "fame", "is", "true", "protect")
    assert [line for line, _, _ in faults(text)] == [4, 10, 14]


VERIFIED = rule("verified", "verified", "is", "true", "protect")


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ((VERIFIED, rule("blue", "verified", "is", "true", "idle"), IDLE), "one condition, two"),
        ((VERIFIED, rule("blue", "verified", "is", "true", "protect")), "condition is the same"),
        ((VERIFIED, rule("plain", "verified", "is", "false", "protect")), "protect every account"),
        (
            (
                IDLE,
                rule("alive", "site_alive", "is", "true", "idle"),
                rule("dead", "site_alive", "is", "false", "idle"),
            ),
            "they never do",
        ),
        (
            (IDLE, rule("few", "posts", "<", "3", "idle"), rule("many", "posts", ">", "3", "idle")),
            "they never do",
        ),
        ((IDLE, IDLE.replace('"idle"', '"longer"', 1).replace("30", "60")), "two periods"),
        (
            (
                rule("known", "followers", ">=", "1000", "protect"),
                rule("famous", "followers", ">=", "5000", "squat"),
            ),
            "whatever meets 'famous' is protected by 'known'",
        ),
        (
            (
                rule("gone", "status", "in", '["suspended"]', "suspend"),
                rule("safe", "status", "!=", '"active"', "protect"),
            ),
            "whatever meets 'gone' is protected by 'safe'",
        ),
    ],
)
def test_contradictory_rules_are_refused(rules: tuple[str, ...], what: str) -> None:
    assert any(what in told for _, _, told in faults(HEAD + "".join(rules)))


@pytest.mark.parametrize(
    "rules",
    [
        (IDLE, rule("few", "posts", "<", "3", "idle"), rule("some", "posts", ">=", "2", "idle")),
        (
            rule("known", "followers", ">=", "1000", "protect"),
            rule("nobody", "followers", "<", "2", "squat"),
        ),
        (
            rule("gone", "status", "=", '"suspended"', "suspend"),
            rule("off", "status", "=", '"deactivated"', "squat"),
        ),
    ],
)
def test_rules_on_one_signal_that_can_live_together_are_taken(rules: tuple[str, ...]) -> None:
    assert len(made(*rules).rules) == len(rules)


def test_a_policy_without_a_profile_leaves_it_to_the_namespace() -> None:
    assert made(IDLE, head=HEAD.replace('profile = "x"\n', "")).profile is None
    assert made(IDLE).profile == "x"


def test_idle_rules_need_a_clock() -> None:
    text = HEAD + rule("silent", "posts", "=", "0", "idle")
    assert [told for _, _, told in faults(text)] == ["no idle rule says since when: older_than"]


def test_comments_strings_and_nested_values_do_not_shift_positions() -> None:
    text = '# [[rule]]\nid = """a = 1\n[[rule]]\n"""\n' + HEAD.partition("\n")[2] + IDLE
    assert (2, 6) in [(line, column) for line, column, _ in faults(text)]
    text = HEAD.replace("[]", "[ # ]\n 'minor', # ,\n 'x' ]") + IDLE.replace("30", "-1")
    assert [(line, column) for line, column, _ in faults(text)] == [(7, 2), (12, 9)]


def test_a_place_counts_lines_and_columns_from_one() -> None:
    text = "a = 1\n  b = [ 2,\n 3 ]\n[[t]]\nc = 4\n[[t]]\nc = { d = 5 }\n"
    places = lines.Places(text)
    assert places.key(("a",)) == (1, 1)
    assert places.value(("b",)) == (2, 7)
    assert places.value(("b", 1)) == (3, 2)
    assert places.key(("t", 1)) == (6, 1)
    assert places.value(("t", 1, "c")) == (7, 5)
    assert places.value(("t", 1, "missing")) == (6, 1)
