"""`onym sweep`: what it prints and writes, what it refuses, and that nothing is left half done."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from onym.cli import sweep as surface
from onym.core import policy
from onym.site import command
from onym.sweep import progress

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ",".join(policy.PROTECTIONS)
CLEAR = ",".join(["false"] * len(policy.PROTECTIONS))
TABLE = f"""id,handle,seen,status,suspension_final_at,bot_score,inbound_refs,shoe_size,{FLAGS}
1,Moon,2026-11-01,active,,0.1,5,40,{CLEAR}
2,sunset,2026-10-15,active,,0.1,5,41,{CLEAR}
3,star,2019-01-01,active,,0.1,50000,42,{CLEAR}
4,anna,2019-01-01,active,,0.1,5,43,{CLEAR}
5,crime,2019-01-01,suspended,2026-05-01T00:00:00Z,,5,44,{CLEAR}
6,robot,2026-11-19,active,,0.99,,45,{CLEAR}
7,saint,2019-01-01,active,,0.1,5,46,{CLEAR.replace("false", "true", 1)}
8,doubt,2019-01-01,active,,0.1,5,47,{CLEAR.replace("false", "", 1)}
9,guard,2019-01-01,active,,0.1,5,48,{CLEAR}
10,not-one,2019-01-01,active,,0.1,5,49,{CLEAR}
"""
EXPECTED = {
    "anna": ("reclaim", ["idle_login"], 2880, 30),
    "crime": ("warn", ["suspended"], 2880, 30),
    "doubt": ("protected", ["unknown_memorial"], 2880, None),
    "guard": ("protected", ["protected_list"], 2880, None),
    "robot": ("reclaim", ["bot"], 1, 180),
    "saint": ("protected", ["memorial"], 2880, None),
    "star": ("retire", ["idle_login", "many_references"], 2880, None),
    "sunset": ("warn", ["idle_login"], 36, 30),
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from any DATA, whose lexicon would be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONYM_DATA", raising=False)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.csv"
    path.write_text(TABLE)
    (tmp_path / "guarded.txt").write_text("# ours\nGuard\n\n")
    return path


def arguments(table: Path, out: Path, *more: str) -> list[str]:
    given = ["sweep", str(table), "--policy", "x-2023", "--as-of", "2026-11-20"]
    given += ["--map", "account_id=id,last_login_at=seen", "--out", str(out)]
    return [*given, "--protected", str(table.parent / "guarded.txt"), *more]


def sweep(capsys: pytest.CaptureFixture[str], table: Path, out: Path, *more: str) -> dict[str, Any]:
    assert command.run([*arguments(table, out), "--json", *more]) == 0
    told, err = capsys.readouterr()
    assert err == ""
    return json.loads(told)  # type: ignore[no-any-return]  # an object, by contract


def test_a_sweep_finds_what_the_policy_says(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    told = sweep(capsys, table, out)
    assert json.loads((out / "manifest.json").read_text()) == told
    assert told["policy"] == {"id": "x-2023", "version": 3}
    assert (told["profile"], told["engine"]) == ("x", "duckdb")
    assert (told["as_of"], told["rows"], told["rejects"]) == ("2026-11-20T00:00:00Z", 9, 1)
    assert told["verdicts"] == {"keep": 1, "warn": 2, "reclaim": 2, "protected": 3, "retire": 1}
    assert told["ignored"] == ["shoe_size"]
    assert "last_post_at" in told["missing"]
    assert told["protecting"] == []
    (part,) = told["partitions"]
    rows = pq.read_table(out / part["file"]).to_pylist()
    assert part["rows"] == len(rows) == 8
    assert part["sha256"] == hashlib.sha256((out / part["file"]).read_bytes()).hexdigest()
    found = {
        r["canonical"]: (r["verdict"], r["reasons"], r["idle_days"], r["resting_days"])
        for r in rows
    }
    assert found == EXPECTED
    assert list(found) == sorted(found)
    assert "not-one" in (out / "rejects.csv").read_text()
    assert sorted(path.name for path in out.iterdir()) == [
        "findings-0000.parquet",
        "look_alikes.parquet",
        "manifest.json",
        "rejects.csv",
    ]
    assert told["look_alikes"]["rows"] == 0


def test_the_options_are_those_that_others_rely_on() -> None:
    options = {option for each in surface.command.params for option in each.opts}
    promised = {"--policy", "--as-of", "--out", "--map", "--profile", "--engine", "--dry-run"}
    assert promised | {"--json"} <= options


def test_a_second_run_gives_equal_files_whatever_the_order_of_the_rows(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    first, again = sweep(capsys, table, one), sweep(capsys, table, one)
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *reversed(rows)]))
    assert first == again == sweep(capsys, table, other)
    for name in ("findings-0000.parquet", "look_alikes.parquet", "manifest.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_how_far_it_is_stands_in_a_file_to_the_end(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    file = tmp_path / "far"
    assert progress.read(file) == 0
    sweep(capsys, table, tmp_path / "out", "--progress", str(file))
    assert progress.read(file) == 100
    file.write_text("half")
    assert progress.read(file) == 0


def test_a_dry_run_counts_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = sweep(capsys, table, out, "--dry-run")
    assert told["verdicts"] == {"keep": 1, "warn": 2, "reclaim": 2, "protected": 3, "retire": 1}
    assert told["partitions"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accounts.csv", "guarded.txt"]


def test_a_person_reads_counts_and_missing_columns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("account_id,handle,last_login_at\n1,moon,2019-01-01\n")
    given = ["sweep", str(path), "--policy", "x-2023", "--as-of", "2026-11-20"]
    assert command.run([*given, "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "  protected                1  100.0 %" in out
    assert "protects or keeps every account for: memorial, verified, public_body," in out
    assert "missing columns, unknown for every account: created_at, last_post_at" in out


def test_the_profile_of_the_command_line_wins(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    told = sweep(capsys, table, tmp_path / "out", "--profile", "dns")
    assert (told["profile"], told["rejects"], told["rows"]) == ("dns", 0, 10)


def test_input_may_be_parquet_or_json_lines_with_equal_digests(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    digests = {sweep(capsys, table, tmp_path / "csv")["partitions"][0]["digest"]}
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE t AS FROM read_csv(?, all_varchar = true)", [str(table)]
        ).fetchall()
        for name, form in (("accounts.parquet", "PARQUET"), ("accounts.jsonl", "JSON")):
            con.execute(f"COPY t TO '{tmp_path / name}' (FORMAT {form})").fetchall()
            told = sweep(capsys, tmp_path / name, tmp_path / form)
            digests.add(told["partitions"][0]["digest"])
    assert len(digests) == 1


def refused(capsys: pytest.CaptureFixture[str], given: list[str]) -> tuple[int, str]:
    code = command.run(given)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return code, err


@pytest.mark.parametrize(
    ("change", "code", "what"),
    [
        ({"--policy": "x-2024"}, 1, "not_found"),
        ({"--as-of": "soon"}, 2, "is no date"),
        ({"--as-of": "2026-13-01"}, 2, "is no date"),
        ({"--map": "id"}, 2, "column=source"),
        ({"--map": "account_id=nothing"}, 1, "malformed"),
        ({"--protected": "gone.txt"}, 1, "gone.txt"),
        ({"--out": "/proc/nowhere/out"}, 1, "/proc"),
    ],
)
def test_wrong_options_are_refused_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str],
    table: Path,
    tmp_path: Path,
    change: dict[str, str],
    code: int,
    what: str,
) -> None:
    given = arguments(table, tmp_path / "out")
    for option, value in change.items():
        given[given.index(option) + 1] = value
    found, err = refused(capsys, given)
    assert (found, what in err) == (code, True), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accounts.csv", "guarded.txt"]


def test_files_that_cannot_be_read_are_refused_and_an_earlier_sweep_stays(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = sweep(capsys, table, out)
    with duckdb.connect() as con:
        whole = tmp_path / "whole.parquet"
        con.execute(f"COPY (FROM read_csv('{table}')) TO '{whole}' (FORMAT PARQUET)").fetchall()
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "folder.csv").mkdir()
    for name in ("cut.parquet", "gone.csv", "folder.csv"):
        code, err = refused(capsys, arguments(tmp_path / name, out))
        assert (code, name in err) == (1, True), err
    assert json.loads((out / "manifest.json").read_text()) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_wrong_line_of_a_list_is_named(
    capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    (tmp_path / "guarded.txt").write_text("guard\nnot-one\n")
    code, err = refused(capsys, arguments(table, tmp_path / "out"))
    assert code == 1
    assert "handle_malformed" in err
    assert "guarded.txt:2: a handle is made of" in err


def test_without_out_it_asks_for_one(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    code, err = refused(
        capsys, ["sweep", str(table), "--policy", "x-2023", "--as-of", "2026-11-20"]
    )
    assert (code, "--dry-run" in err) == (2, True)


def test_a_full_disk_leaves_nothing_behind(table: Path, tmp_path: Path) -> None:
    """A process that may not write files beyond 100 kB stands for a disk that is full."""
    head, first, *_ = table.read_text().splitlines()
    rows = (
        first.replace("1,Moon", f"{i},name{i}").replace("2026-11-01", "2019-01-01")
        for i in range(60_000)
    )
    table.write_text("\n".join([head, *rows]))
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "onym.site.command", *arguments(table, out)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (out / "manifest.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["accounts.csv", "guarded.txt"]


def test_the_command_needs_no_database(table: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "onym.site.command", *arguments(table, tmp_path / "out")],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("9 accounts under x-2023 version 3 at 2026-11-20T00:00:00Z\n")
