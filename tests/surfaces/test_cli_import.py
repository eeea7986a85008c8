"""`onym import accounts` from outside: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from tests import make

from onym.flows import contacts, names
from onym.store.models import DirectoryImport
from onym.sweep.directory import Directory

ROOT = Path(__file__).resolve().parents[2]

TABLE = """handle,lapsed_at,paid,email
Handle,2019-03-01,12,h@example.org
moon,2026-05-01T10:00:00Z,,
not-one,2020-01-01,,
farlongerthanfifteen,2020-01-01,,
Moon,2020-01-01,,
sunset,soon,,
"""
MAP = "account_id=handle,last_login_at=lapsed_at"


def onym(
    database: str, data: Path, *arguments: str, namespace: str = "demo", mapping: str = MAP
) -> subprocess.CompletedProcess[str]:
    options = ["--namespace", namespace, "--map", mapping, "--data", str(data)]
    return subprocess.run(
        [
            sys.executable, "-W", "error", "-m", "onym.site.command",
            "import", "accounts", *options, *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.csv"
    path.write_text(TABLE)
    return path


def left(data: Path) -> list[str]:
    """What lies in the namespace's folder of snapshots."""
    folder = data / "namespaces" / "demo" / "directory"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_import_counts_rows_and_rejects_and_is_in_use_afterwards(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    said = onym(database, tmp_path / "data", str(table), "--json")
    assert (said.returncode, said.stderr) == (0, "")
    facts = json.loads(said.stdout)
    assert (facts["namespace"], facts["profile"]) == ("demo", "x")
    assert (facts["rows"], facts["rejects"]) == (2, 4)
    assert facts["reasons"] == {
        "duplicate_handle": 1, "handle_character": 1, "handle_length": 1, "unreadable_instant": 1,
    }  # fmt: skip
    assert facts["ignored"] == ["paid"]
    assert "minor" in facts["missing"]
    assert "email" not in facts["missing"]
    row = DirectoryImport.objects.get()
    assert (row.id, row.rows, row.root, row.sha256, row.path) == (
        facts["import"], 2, facts["root"], facts["sha256"], facts["path"],
    )  # fmt: skip
    assert left(tmp_path / "data") == [".lock", Path(row.path).name]
    found = names.directory("demo")
    assert found is not None
    held = found.by_handle("handle")
    assert held is not None
    assert (held["account_id"], held["display"]) == ("Handle", "Handle")


def test_the_rejects_are_listed_with_file_row_and_reason(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    facts = json.loads(onym(database, tmp_path / "data", str(table), "--json").stdout)
    assert Path(facts["rejects_file"]).read_text().splitlines() == [
        "file,row,account_id,handle,reason,column",
        "accounts.csv,3,not-one,not-one,handle_character,",
        "accounts.csv,4,farlongerthanfifteen,farlongerthanfifteen,handle_length,",
        "accounts.csv,5,Moon,Moon,duplicate_handle,",
        "accounts.csv,6,sunset,sunset,unreadable_instant,last_login_at",
    ]


def test_people_read_sentences(database: str, tmp_path: Path, table: Path) -> None:
    make.namespace()
    said = onym(database, tmp_path / "data", str(table))
    assert said.returncode == 0
    lines = said.stdout.splitlines()
    assert lines[0].startswith("2 accounts are now the directory of demo (profile x, import imp_")
    assert "4 rows rejected" in lines
    assert "ignored columns: paid" in lines
    assert any(line.startswith("missing columns, unknown for every account: ") for line in lines)
    assert said.stderr == ""


def test_addresses_are_sealed_under_the_key_of_the_installation(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    facts = json.loads(onym(database, tmp_path / "data", str(table), "--json").stdout)
    snapshot = Path(facts["path"])
    for path in snapshot.iterdir():
        assert b"h@example.org" not in path.read_bytes()
    key = (tmp_path / "data" / "keys" / "field").read_text().strip()
    program = (
        "import sys, django; django.setup(); from pathlib import Path\n"
        "from onym.flows import contacts; from onym.sweep.directory import Directory\n"
        "print(Directory(Path(sys.argv[1]), open_=contacts.open_).email('Handle'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(snapshot)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "ONYM_FIELD_KEY": key},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert said.stdout == "h@example.org\n", said.stderr


def test_a_sealed_block_opens_again_and_no_other_does(database: str) -> None:
    sealed = contacts.seal(b"\x00block\xff")
    assert b"block" not in sealed
    assert contacts.open_(sealed) == b"\x00block\xff"
    with pytest.raises(InvalidTag):
        contacts.open_(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_the_profile_may_be_another_than_the_namespaces(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    said = onym(database, tmp_path / "data", str(table), "--json", "--profile", "dns")
    facts = json.loads(said.stdout)
    assert (facts["profile"], facts["rows"]) == ("dns", 4)


def test_a_later_import_takes_the_place_of_the_earlier(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    onym(database, tmp_path / "data", str(table), "--json")
    table.write_text("handle,lapsed_at\nstar,2026-01-01\n")
    onym(database, tmp_path / "data", str(table), "--json")
    found = names.directory("demo")
    assert found is not None
    assert found.by_handle("star") is not None
    assert found.by_handle("moon") is None
    assert len(left(tmp_path / "data")) == 3


REFUSED = [
    ({"namespace": "nosuch"}, "not_found"),
    ({"mapping": "account_id=nosuch"}, "malformed"),
    ({"content": ""}, "malformed"),
    ({"content": "handle,lapsed_at\n"}, "malformed"),
    ({"content": "handle,lapsed_at\nno good,2020-01-01\n"}, "malformed"),
    ({"content": "PAR1"}, "malformed"),
]


@pytest.mark.parametrize(("changes", "code"), REFUSED, ids=str)
def test_what_is_refused_leaves_nothing_behind(
    database: str, tmp_path: Path, table: Path, changes: dict[str, str], code: str
) -> None:
    make.namespace()
    options = dict(changes)
    table.write_text(options.pop("content", TABLE))
    said = onym(database, tmp_path / "data", str(table), "--json", **options)
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    problem = json.loads(said.stdout or said.stderr)
    assert problem["code"] == code
    assert left(tmp_path / "data") in ([], [".lock"])
    assert not DirectoryImport.objects.exists()


def test_a_missing_file_is_refused_by_name(database: str, tmp_path: Path) -> None:
    make.namespace()
    said = onym(database, tmp_path / "data", str(tmp_path / "none.csv"))
    assert said.returncode == 1
    assert "none.csv: there is no such file" in said.stderr


@pytest.mark.parametrize("mapping", ["handle", "=x", "nosuch=handle", "bio=a,bio=b"])
def test_a_mapping_of_another_form_is_wrong_usage(
    database: str, tmp_path: Path, table: Path, mapping: str
) -> None:
    make.namespace()
    said = onym(database, tmp_path / "data", str(table), mapping=mapping)
    assert said.returncode == 2
    assert "--map" in said.stderr


def test_two_imports_at_once_are_refused_and_a_killed_one_is_swept_up(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    folder = tmp_path / "data" / "namespaces" / "demo" / "directory"
    (folder / ".import-killed").mkdir(parents=True)
    (folder / ".import-killed" / "stage.duckdb").write_text("addresses in clear")
    (folder / ".20260101T000000Z-abc.part").mkdir()
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = onym(database, tmp_path / "data", str(table))
        assert said.returncode == 1
        assert "in_progress" in said.stderr
        assert ".import-killed" in left(tmp_path / "data")
    assert onym(database, tmp_path / "data", str(table)).returncode == 0
    assert [name for name in left(tmp_path / "data") if name.startswith(".")] == [".lock"]


def test_the_snapshot_that_was_registered_can_be_read(
    database: str, tmp_path: Path, table: Path
) -> None:
    make.namespace()
    facts = json.loads(onym(database, tmp_path / "data", str(table), "--json").stdout)
    path = names.import_path(namespace="demo", handle="moon")
    direct = Directory(Path(facts["path"])).path("moon")
    assert path is not None
    assert direct is not None
    assert path == {
        "import": facts["import"], "index": direct.index, "size": 2,
        "path": [each.hex() for each in direct.hashes],
    }  # fmt: skip
