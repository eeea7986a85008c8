"""A sweep with a lexicon: tiers and appraisals are those that the same handle gets alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests import words

from onym.core import appraisal, policy, reading
from onym.core.money import Money
from onym.sweep import engines, sweeping
from onym.sweep.accounts import open_accounts

AS_OF = datetime(2026, 11, 20, tzinfo=UTC)
HANDLES = sorted(
    {*(w for w in words.WORDS if w.isascii() and w.isalnum()), "zqxkv", "moon77", "a1"}
)


def policy_text() -> str:
    listed = ", ".join(f'"{name}"' for name in policy.PROTECTIONS)
    famous = '[[tier]]\nname = "rare"\nreason = "famous"\nall = [\n'
    famous += '  { signal = "followers", op = ">", value = 5 },\n'
    famous += '  { signal = "inbound_refs", op = "<", value = 3 },\n]\n\n'
    text = policy.text_of("x-2023").replace("assume_absent = []", f"assume_absent = [{listed}]")
    return text.replace("[[tier]]", famous + "[[tier]]", 1)


POLICY = policy.parse(policy_text(), "test.toml")


def swept(
    folder: Path, *, out: str | None = "out", **more: Any
) -> tuple[dict[str, Any], list[Any]]:
    table = folder / "accounts.csv"
    rows = (
        f"{i},{name},2019-01-01,{i % 9},{i % 5}"
        for i, name in enumerate(n for n in HANDLES if len(n) < 16)
    )
    table.write_text("account_id,handle,last_login_at,followers,inbound_refs\n" + "\n".join(rows))
    asked = sweeping.Sweep(policy=POLICY, as_of=AS_OF, **more)
    with (
        engines.connected(folder) as con,
        open_accounts(con, [table], mapping={}, profile="x", scratch=folder) as accounts,
    ):
        told = sweeping.run(accounts, asked, folder / out if out else None, scratch=folder)
    if not out:
        return told, []
    return told, pq.read_table(folder / out / "findings-0000.parquet").to_pylist()


def test_a_finding_is_tiered_and_appraised_as_its_handle_alone(tmp_path: Path) -> None:
    base = Money(20_000, "EUR")
    told, rows = swept(tmp_path, lexicon=words.small(), base=base)
    assert told["appraisal_base"] == {"minor": 20_000, "currency": "EUR"}
    assert told["versions"]["lexicon"] == words.small().digest
    assert {row["tier"] for row in rows} == {"rare", "priority", "standard"}
    for row in rows:
        number = int(row["account_id"])
        facts = reading.facts(row["canonical"], words.small())
        counts = {"followers": number % 9, "inbound_refs": number % 5}
        assert row["tier"] == policy.tier(POLICY, {**facts, **counts}).name
        worth = appraisal.appraise(
            row["canonical"],
            lexicon=words.small(),
            model=appraisal.built_in(),
            base=base,
            refs=number % 5,
        )
        assert row["appraisal_mid_minor"] == worth.mid.minor


def test_without_appraisal_tiers_know_words_but_no_phrases(tmp_path: Path) -> None:
    told, rows = swept(tmp_path, lexicon=words.small(), appraised=False)
    assert told["appraisal_base"] is None
    assert {row["appraisal_mid_minor"] for row in rows} == {None}
    for row in rows:
        number = int(row["account_id"])
        facts = reading.facts(row["canonical"], words.small())
        counts = {"followers": number % 9, "inbound_refs": number % 5}
        joined = {"full_name": None, "phrase": None, "readable": None}
        assert row["tier"] == policy.tier(POLICY, {**facts, **joined, **counts}).name


def test_without_a_lexicon_tiers_know_the_shape(tmp_path: Path) -> None:
    told, rows = swept(tmp_path)
    assert told["versions"]["lexicon"] is None
    for row in rows:
        name, number = row["canonical"], int(row["account_id"])
        famous = number % 9 > 5 and number % 5 < 3
        short = len(name) <= 3 or (len(name) == 4 and name.isalpha())
        assert row["tier"] == ("rare" if famous or short else "standard")


def test_a_dry_run_counts_what_a_real_one_finds(tmp_path: Path) -> None:
    dry, _ = swept(tmp_path, out=None)
    real, rows = swept(tmp_path)
    assert dry["verdicts"] == real["verdicts"]
    assert real["verdicts"]["reclaim"] == len(rows)
    assert (dry["partitions"], dry["look_alikes"]) == ([], None)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((), []),
        (("followers", "bio"), []),
        (("memorial", "last_login_at"), ["memorial", "last_login_at"]),
        (("last_post_at",), []),
    ],
)
def test_the_columns_whose_absence_protects_are_named(
    missing: tuple[str, ...], expected: list[str]
) -> None:
    assert sweeping.protecting(policy.built_in("onym-default"), missing) == expected
    assert "memorial" not in sweeping.protecting(POLICY, missing)
