"""`onym policy`: what it says of policies, of one account and of two policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onym.cli import policy as surface
from onym.core import errors, policy
from onym.site import command

TABLE = """account_id,handle,last_login_at,inbound_refs,{flags}
7,Moon,2026-01-01,5,{clear}
8,sunset,2026-11-19T23:00:00+01:00,5,{clear}
9,star,2026-09-01,,{clear}
""".format(flags=",".join(policy.PROTECTIONS), clear=",".join(["no"] * len(policy.PROTECTIONS)))


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "accounts.csv"
    path.write_text(TABLE)
    return str(path)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.toml"
    path.write_text(policy.text_of("x-2023").replace('signal = "memorial"', 'signal = "dead"'))
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = command.run(["policy", *arguments])
    return code, *capsys.readouterr()


def test_good_policies_are_said_to_be_good(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", *policy.BUILT_IN)
    assert code == 0
    assert out.splitlines()[0] == "x-2023: x-2023 version 3, 13 rules, 11 tiers: nothing wrong"
    assert len(out.splitlines()) == 3


def test_a_fault_is_shown_where_it_stands(capsys: pytest.CaptureFixture[str], broken: str) -> None:
    lines = Path(broken).read_text().splitlines()
    line = lines.index('signal = "dead"') + 1
    code, out, err = run(capsys, "check", "x-2023", broken)
    assert code == 1
    assert out.startswith("x-2023: ")
    assert err.startswith(f"{broken}:{line}:10: signal: unknown 'dead'; there are memorial")
    code, out, _ = run(capsys, "check", broken, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["code"]) == (1, False, "malformed")
    assert (told["faults"][0]["line"], told["faults"][0]["column"]) == (line, 10)


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "no policy"), (b"\xff\xfe", "not a text in UTF-8"), (b"", "field 'id' is missing")],
)
def test_what_is_no_policy_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None, what: str
) -> None:
    path = tmp_path / "p.toml"
    if content is not None:
        path.write_bytes(content)
    code, _, err = run(capsys, "check", str(path))
    assert (code, what in err) == (1, True)
    assert "Traceback" not in err


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, _ = run(capsys, "explain", *arguments, "--json")
    assert code == 0
    return json.loads(out)  # type: ignore[no-any-return]  # an object, by contract


def test_an_account_is_explained_from_a_table(
    capsys: pytest.CaptureFixture[str], table: str
) -> None:
    told = explained(capsys, "x-2023", table, "--handle", "MOON", "--as-of", "2026-11-20")
    assert (told["verdict"], told["reasons"], told["idle_days"]) == ("reclaim", ["idle_login"], 323)
    assert told["deadline_at"] == "2026-12-20T00:00:00Z"
    assert told["earliest_at"] == "2027-01-19T00:00:00Z"
    decided = [rule for rule in told["rules"] if rule["decided"]]
    assert [rule["condition"] for rule in decided] == ["last_login_at older_than 30"]
    assert decided[0]["signal"] == "2026-01-01T00:00:00Z"


def test_an_account_is_explained_from_what_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    clear = [f"--set={name}=false" for name in policy.PROTECTIONS]
    at = ["--as-of", "2026-11-20T12:00:00+02:00"]
    idle = explained(capsys, "onym-default", *clear, "--set", "last_login_at=2025-11-20", *at)
    assert (idle["verdict"], idle["as_of"]) == ("warn", "2026-11-20T10:00:00Z")
    bot = explained(capsys, "x-2023", *clear, "--set", "bot_score=0.97", *at)
    assert (bot["verdict"], bot["reasons"]) == ("reclaim", ["bot"])
    unknown = explained(capsys, "x-2023", "--set", "minor=", *at)
    assert unknown["reasons"][0] == "unknown_memorial"


def test_a_person_reads_which_rules_decided(capsys: pytest.CaptureFixture[str], table: str) -> None:
    code, out, _ = run(
        capsys, "explain", "x-2023", table, "--handle", "sunset", "--as-of", "2026-11-20"
    )
    assert code == 0
    assert out.splitlines()[0] == "keep: not_idle_login  (as of 2026-11-20T00:00:00Z)"
    assert "→ idle     last_login_at older_than 30        does not hold" in out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("explain", "x-2023", "TABLE"), 2, "--handle"),
        (("explain", "x-2023", "TABLE", "--handle", "nobody"), 1, "no account in the table holds"),
        (("explain", "x-2023", "TABLE", "--handle", "no-one"), 1, "handle_malformed"),
        (("explain", "x-2023", "--set", "posts"), 2, "a column and its value"),
        (("explain", "x-2023", "--set", "fame=3"), 2, "no rule reads 'fame'"),
        (("explain", "x-2023", "--set", "posts=many"), 2, "'many' is not a number"),
        (("explain", "x-2023", "--set", "minor=maybe"), 2, "'maybe' is not a flag"),
        (("explain", "x-2023", "--as-of", "yesterday"), 2, "is no date"),
        (("explain", "x-2023", "--as-of", "2026-11-20T12:00:00"), 2, "needs its offset"),
        (("explain", "x-2023", "--as-of", "0001-01-01T00:00:00+02:00"), 2, "is no date"),
        (("explain", "x-2023", "TABLE", "--handle", "moon", "--map", "posts"), 2, "column=source"),
        (("explain", "x-2023", "gone.csv", "--handle", "moon"), 1, "gone.csv"),
        (("diff", "x-2023"), 2, "NEW"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
    table: str,
    arguments: tuple[str, ...],
    code: int,
    what: str,
) -> None:
    found, _, err = run(capsys, *(table if part == "TABLE" else part for part in arguments))
    assert (found, what in err, "Traceback" in err) == (code, True, False), err


def test_a_diff_of_policies_names_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", "x-2023", "onym-default")
    assert code == 0
    assert "version: 3 → 1" in out.splitlines()
    assert any(
        line.startswith("rule idle_login: last_login_at older_than 30") for line in out.splitlines()
    )
    assert run(capsys, "diff", "x-2023", "x-2023")[1] == "no difference\n"


def test_a_diff_over_accounts_names_who_changes_verdict(
    capsys: pytest.CaptureFixture[str], table: str
) -> None:
    arguments = ("diff", "x-2023", "onym-default", table, "--as-of", "2026-11-20")
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert out.splitlines() == [
        "moon  reclaim (idle_login) → keep (not_idle_login)",
        "star  reclaim (idle_login) → keep (not_idle_login)",
        "2 accounts change verdict or reasons",
    ]
    _, out, _ = run(capsys, *arguments, "--json")
    assert [json.loads(line)["canonical"] for line in out.splitlines()] == ["moon", "star"]


def test_a_policy_is_read_by_its_id_or_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(policy.text_of("x-2023").replace('id = "x-2023"', 'id = "mine"'))
    assert surface.load("x-2023") is policy.built_in("x-2023")
    assert surface.load(str(path)).id == "mine"
    with pytest.raises(errors.NotFound, match="no policy 'theirs'"):
        surface.load("theirs")
