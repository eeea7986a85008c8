"""Platforms held against the contract: the demo's and both starters keep it, broken ones are caught
at exactly the clauses they break.
"""

from __future__ import annotations

import re

import pytest
from tests.demo import plaza as plazas
from tests.ports import starters

from onym.ports import conformance
from onym.ports.conformance import Verdict

GUIDE = (starters.EXAMPLES.parent / "docs" / "guides" / "platform.md").read_text()
NOT_OFFERED = {
    "since.none",
    "since.moved",
    "hand_over.once",
    "hand_over.told",
    "hand_over.bar",
    "hand_over.handle",
    "notices.batch",
}
SIGNATURES = {"unsigned", "stranger", "read", "created", "body", "target", "covers"}
FAILS = {
    "checks no signature": {"idempotency.missing", *(f"signatures.{n}" for n in SIGNATURES)},
    "forgets what it answered": {
        f"idempotency.{name}" for name in ("same", "refusal", "mismatch", "twins")
    },
    "ignores the fence": {
        f"fences.{name}" for name in ("stale", "bar", "bar_nobody", "race", "kept")
    },
    "ignores the expected holder": {"holder.other", "holder.nobody", "holder.bar"},
    "says moved and is not": {
        *(f"move.{name}" for name in ("done", "answer", "old", "retained", "detached")),
    },
    "gives a taken placeholder": {"move.placeholder_taken"},
    "orders its list by handle": {"list.stable"},
    "refuses in plain text": {"refusals.form"},
    "frees what it should keep": {"move.retained"},
    "says done where it reserves and frees nothing": {
        f"reserve.{name}" for name in ("free", "back", "held")
    },
    "tells accounts that there are none of": {"notices.unknown"},
}


def of(found, verdict):
    return {name for name, (said, _) in found.items() if said is verdict}


def whys(found):
    return {name: why for name, (said, why) in found.items() if said is Verdict.FAIL}


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


def judged(kind, folder, text=None):
    """A starter's verdicts on fresh accounts among others, and what was left astray."""
    starter = starters.start(kind, folder, text)
    try:
        made = starter.accounts(9)
        return starters.verdicts(starter.base, starter.key, (made[2][0], made[6][0]), "nobody_yet")
    finally:
        starter.stop()


def test_the_demos_platform_keeps_every_clause_and_gets_back_what_was_changed(plaza):
    (one, handle), (two, other) = plaza.sign_up(), plaza.sign_up()
    found, astray = starters.verdicts(plaza.program.base, plaza.key, (one, two), "nobody_yet")
    assert whys(found) == {}
    assert of(found, Verdict.NOT_CHECKED) == {
        f"hand_over.{name}" for name in ("once", "told", "bar", "handle")
    }
    port = plaza.port()
    assert (astray, port.holder(handle="nobody_yet").account_id) == ([], None)
    assert [port.account(account_id=name)["handle"] for name in (one, two)] == [handle, other]


def test_the_demos_platform_keeps_the_clauses_of_a_hand_over_on_an_account_named_for_it(plaza):
    accounts = tuple(plaza.sign_up()[0] for _ in range(2))
    found, _ = starters.verdicts(
        plaza.program.base, plaza.key, accounts, mail="trial@check.example"
    )
    kept = {name for name in of(found, Verdict.PASS) if name.startswith("hand_over.")}
    assert (whys(found), len(kept)) == ({}, 4)


def test_without_named_accounts_nothing_is_written(plaza):
    before = plaza.program.get("/accounts").json()["items"]
    found, _ = starters.verdicts(plaza.program.base, plaza.key)
    assert whys(found) == {}
    changing = {c.id for c in conformance.CLAUSES if {"accounts", "handle"} & set(c.needs)}
    assert of(found, Verdict.NOT_CHECKED) == changing
    handles = [(row["account_id"], row["handle"]) for row in before]
    after = plaza.program.get("/accounts").json()["items"]
    assert [(row["account_id"], row["handle"]) for row in after] == handles


@pytest.mark.parametrize("kind", ["flask", "django"])
def test_each_starter_keeps_the_contract_in_at_most_150_lines(tmp_path, kind):
    text = (starters.EXAMPLES / f"platform_{kind}" / "app.py").read_text()
    assert len(text.splitlines()) <= 150
    found, astray = judged(kind, tmp_path)
    assert (whys(found), astray) == ({}, [])
    assert of(found, Verdict.NOT_CHECKED) == NOT_OFFERED


@pytest.mark.parametrize("wrong", FAILS)
def test_a_broken_platform_fails_at_exactly_the_clauses_that_it_breaks(tmp_path, wrong):
    found, _ = judged("flask", tmp_path, starters.broken(wrong))
    assert of(found, Verdict.FAIL) == FAILS[wrong], whys(found)


def test_every_clause_stands_in_the_guide_with_its_sentence_and_section():
    headings = set(re.findall(r"^#+ (.+)$", GUIDE, re.M)) | set(
        re.findall(r"^\*\*(\w+)\.\*\*", GUIDE, re.M)
    )
    for clause in conformance.CLAUSES:
        assert f"| `{clause.id}` | {clause.sentence} |" in GUIDE
        assert clause.section in headings
    assert len({clause.id for clause in conformance.CLAUSES}) == len(conformance.CLAUSES)
