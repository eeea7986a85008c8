"""`onym import accounts`: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.exceptions import InvalidTag
from django.conf import settings
from tests import make

from onym.cli import import_
from onym.core import errors
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
_numbers = itertools.count(1)


@pytest.fixture
def place(database: str) -> str:
    """A namespace whose folder in DATA no other test has touched."""
    return str(make.namespace(id=f"import{next(_numbers)}").id)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.csv"
    path.write_text(TABLE)
    return path


def run(place: str, *arguments: object, mapping: str = MAP) -> Result:
    given = ["accounts", "--namespace", place, "--map", mapping, *map(str, arguments)]
    return CliRunner().invoke(import_.command, given)


def facts(place: str, *arguments: object) -> dict[str, Any]:
    result = run(place, "--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def folder(place: str) -> Path:
    found: Path = settings.DATA / "namespaces" / place / "directory"
    return found


def left(place: str) -> list[str]:
    """What lies in the namespace's folder of snapshots."""
    return sorted(path.name for path in folder(place).iterdir()) if folder(place).exists() else []


def onym(database: str, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-W", "error", "-m", "onym.site.command",
            "import", "accounts", "--data", str(data), *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": database},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip


def test_an_import_counts_rows_and_rejects_and_is_in_use_afterwards(
    place: str, table: Path
) -> None:
    told = facts(place, table)
    assert (told["namespace"], told["profile"]) == (place, "x")
    assert (told["rows"], told["rejects"]) == (2, 4)
    assert told["reasons"] == {
        "duplicate_handle": 1, "handle_character": 1, "handle_length": 1, "unreadable_instant": 1,
    }  # fmt: skip
    assert told["ignored"] == ["paid"]
    assert "minor" in told["missing"]
    assert "email" not in told["missing"]
    row = DirectoryImport.objects.get()
    assert (row.id, row.rows, row.root, row.sha256, row.path) == (
        told["import"], 2, told["root"], told["sha256"], told["path"],
    )  # fmt: skip
    assert left(place) == [".lock", Path(row.path).name]
    found = names.directory(place)
    assert found is not None
    held = found.by_handle("handle")
    assert held is not None
    assert (held["account_id"], held["display"]) == ("Handle", "Handle")


def test_the_rejects_are_listed_with_file_row_and_reason(place: str, table: Path) -> None:
    assert Path(facts(place, table)["rejects_file"]).read_text().splitlines() == [
        "file,row,account_id,handle,reason,column",
        "accounts.csv,3,not-one,not-one,handle_character,",
        "accounts.csv,4,farlongerthanfifteen,farlongerthanfifteen,handle_length,",
        "accounts.csv,5,Moon,Moon,duplicate_handle,",
        "accounts.csv,6,sunset,sunset,unreadable_instant,last_login_at",
    ]


def test_people_read_sentences(place: str, table: Path) -> None:
    result = run(place, table)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"2 accounts are now the directory of {place} (profile x, import ")
    assert "4 rows rejected" in lines
    assert "ignored columns: paid" in lines
    assert any(line.startswith("missing columns, unknown for every account: ") for line in lines)


def test_addresses_are_sealed_under_the_key_of_the_installation(place: str, table: Path) -> None:
    snapshot = Path(facts(place, table)["path"])
    for path in snapshot.iterdir():
        assert b"h@example.org" not in path.read_bytes()
    found = Directory(snapshot, open_=contacts.open_)
    assert (found.email("Handle"), found.email("moon")) == ("h@example.org", None)


def test_a_sealed_block_opens_again_and_a_changed_one_does_not(database: str) -> None:
    sealed = contacts.seal(b"\x00block\xff")
    assert b"block" not in sealed
    assert contacts.open_(sealed) == b"\x00block\xff"
    with pytest.raises(InvalidTag):
        contacts.open_(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_the_profile_may_be_another_than_the_namespaces(place: str, table: Path) -> None:
    told = facts(place, table, "--profile", "dns")
    assert (told["profile"], told["rows"]) == ("dns", 4)


def test_a_later_import_takes_the_place_of_the_earlier(place: str, table: Path) -> None:
    facts(place, table)
    table.write_text("handle,lapsed_at\nstar,2026-01-01\n")
    facts(place, table)
    found = names.directory(place)
    assert found is not None
    assert found.by_handle("star") is not None
    assert found.by_handle("moon") is None
    assert len(left(place)) == 3


def test_the_snapshot_in_use_proves_its_rows(place: str, table: Path) -> None:
    told = facts(place, table)
    path = names.import_path(namespace=place, handle="moon")
    direct = Directory(Path(told["path"])).path("moon")
    assert path is not None
    assert direct is not None
    assert path == {
        "import": told["import"], "index": direct.index, "size": 2,
        "path": [each.hex() for each in direct.hashes],
    }  # fmt: skip


REFUSED = [
    "",
    "handle,lapsed_at\n",
    "handle,lapsed_at\nno good,2020-01-01\n",
    "PAR1",
    "account,lapsed_at\nada,2020-01-01\n",
]


@pytest.mark.parametrize("content", REFUSED)
def test_a_refused_file_leaves_nothing_behind(place: str, table: Path, content: str) -> None:
    table.write_text(content)
    result = run(place, table)
    assert isinstance(result.exception, errors.Malformed)
    assert left(place) == [".lock"]
    assert not DirectoryImport.objects.exists()


def test_a_namespace_that_is_not_there_is_refused_before_anything_is_read(
    place: str, tmp_path: Path
) -> None:
    result = run("nosuch", tmp_path / "none.csv")
    assert isinstance(result.exception, errors.NotFound)
    assert left("nosuch") == []


def test_a_missing_file_is_refused_by_name(place: str, tmp_path: Path) -> None:
    result = run(place, tmp_path / "none.csv")
    assert isinstance(result.exception, errors.Malformed)
    assert result.exception.detail.endswith("none.csv: there is no such file")


@pytest.mark.parametrize("mapping", ["handle", "=x", "nosuch=handle", "bio=a,bio=b"])
def test_a_mapping_of_another_form_is_wrong_usage(place: str, table: Path, mapping: str) -> None:
    result = run(place, table, mapping=mapping)
    assert result.exit_code == 2
    assert "--map" in result.stderr


def test_two_imports_at_once_are_refused_and_a_killed_one_is_swept_up(
    place: str, table: Path
) -> None:
    (folder(place) / ".import-killed").mkdir(parents=True)
    (folder(place) / ".import-killed" / "stage.duckdb").write_text("addresses in clear")
    (folder(place) / ".20260101T000000Z-abc.part").mkdir()
    with (folder(place) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert isinstance(run(place, table).exception, errors.InProgress)
        assert ".import-killed" in left(place)
    facts(place, table)
    assert [name for name in left(place) if name.startswith(".")] == [".lock"]


def test_the_command_keeps_to_data_and_to_the_exit_codes(
    place: str, database: str, tmp_path: Path, table: Path
) -> None:
    options = ("--namespace", place, "--map", MAP, "--json")
    said = onym(database, tmp_path / "data", *options, str(table))
    assert (said.returncode, said.stderr) == (0, "")
    told = json.loads(said.stdout)
    assert told["rows"] == 2
    assert Path(told["path"]).is_relative_to(tmp_path / "data" / "namespaces" / place)
    table.write_bytes(b"PAR1 and no more")
    said = onym(database, tmp_path / "data", *options, str(table))
    assert said.returncode == 1
    assert "Traceback" not in said.stdout + said.stderr
    assert json.loads(said.stdout or said.stderr)["code"] == "malformed"
    said = onym(database, tmp_path / "data", "--map", "handle", "--namespace", place, str(table))
    assert said.returncode == 2
