"""`onym backup` and `onym restore`: all of it comes back or nothing, also when either is killed,
and a log that has gone further is not signed over."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from tests.surfaces import keeping
from tests.surfaces.keeping import Place, backup, home, other

from onym.flows import log
from onym.site import archive, embedded, restoring
from onym.tlog import integrator

__all__ = ["home", "other"]

PASSPHRASE = "a horse that is called correct"


def test_what_was_backed_up_comes_back_in_another_place_to_the_last_byte(
    home: Place, other: Place
) -> None:
    file = backup(home)
    told = other.done("restore", file)
    assert told["leaves"] == 3
    assert told["restored"]
    assert other.files("log", "keys", "namespaces") == home.files("log", "keys", "namespaces")
    before, after = home.rows(), other.rows()
    moved = {"store_directoryimport"}
    assert {n: r for n, r in before.items() if n not in moved} == {
        n: r for n, r in after.items() if n not in moved
    }
    (row,) = other.asked("select path from store_directoryimport")
    assert row[0] == str(other.data / "namespaces" / "demo" / "directory" / "one")
    assert Path(row[0]).is_dir()


@pytest.mark.faults
def test_a_backup_of_what_was_restored_restores_again(home: Place, other: Place) -> None:
    other.done("restore", backup(home))
    file = other.data.parent / "second.tar"
    other.done("backup", file)
    third = keeping.elsewhere(other.data.parent / "third", "onym_third")
    third.done("restore", file)
    assert third.rows().keys() == home.rows().keys()


@pytest.mark.faults
def test_it_is_for_its_owner_alone_and_is_not_replaced_unasked(home: Place) -> None:
    file = backup(home)
    assert file.stat().st_mode & 0o777 == 0o600
    assert home.refused("backup", file)[0] == "malformed"
    home.done("backup", file, "--force")
    assert not list(file.parent.glob(".backup*"))
    assert not list((home.data / "run").glob("backup-*"))


def damaged(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    if how == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif how == "a bit turned":
        data[len(data) // 3] ^= 1
        file.write_bytes(data)
    elif how == "no backup":
        file.write_bytes(b"something else")
    else:
        with tarfile.open(file, "a") as tar:
            stray = file.with_name("stray")
            stray.write_text("root:x:0")
            tar.add(stray, arcname="../../stray")


MORE_DAMAGE = ("cut", "no backup", "with a path that leads out")


@pytest.mark.parametrize(
    "how",
    ["a bit turned", *(pytest.param(how, marks=pytest.mark.faults) for how in MORE_DAMAGE)],
)
def test_a_damaged_file_is_refused_and_nothing_is_changed(
    home: Place, other: Place, how: str
) -> None:
    file = backup(home)
    damaged(file, how)
    for words in (["--check"], []):
        assert other.refused("restore", file, *words)[0] == "not_a_backup"
    assert other.rows() == {}
    assert other.files("log", "keys", "namespaces") == {}
    assert restoring.under_way(other.data) is None


def test_where_something_is_nothing_is_overwritten_unless_forced_and_then_set_aside(
    home: Place, other: Place
) -> None:
    file = backup(home)
    key = other.data / "keys" / "field"
    key.parent.mkdir(parents=True)
    key.write_text("another key")
    assert other.refused("restore", file)[0] == "not_empty"
    assert other.rows() == {}
    other.done("restore", file, "--force")
    (kept,) = other.data.glob("before-restore-*/keys/field")
    assert kept.read_text() == "another key"
    code, detail = home.refused("restore", file)
    assert (code, "holds a market" in detail) == ("not_empty", True)


@pytest.mark.faults
def test_sealed_keys_need_their_passphrase(home: Place, other: Place, tmp_path: Path) -> None:
    secret, wrong = tmp_path / "passphrase", tmp_path / "wrong"
    secret.write_text(PASSPHRASE + "\n")
    wrong.write_text("something of that length\n")
    file = backup(home, "--passphrase-file", secret)
    clear = (home.data / "keys" / "field").read_bytes()
    assert clear not in file.read_bytes()
    assert other.refused("restore", file)[0] == "passphrase_needed"
    assert other.refused("restore", file, "--passphrase-file", wrong)[0] == "passphrase_needed"
    other.done("restore", file, "--passphrase-file", secret)
    assert other.files("keys") == home.files("keys")


@pytest.mark.faults
def test_without_keys_they_must_be_there_already(home: Place, other: Place) -> None:
    file = backup(home, "--without-keys")
    with tarfile.open(file) as tar:
        assert not [name for name in tar.getnames() if name.startswith("keys")]
    assert other.refused("restore", file)[0] == "cannot_restore"
    shutil.copytree(home.data / "keys", other.data / "keys")
    other.done("restore", file)
    assert other.rows()["store_event"] == home.rows()["store_event"]


@pytest.mark.faults
def test_a_backup_of_a_newer_onym_is_refused(home: Place, other: Place) -> None:
    told = archive.manifest(backup(home))
    newer = archive.Manifest.parse(
        told.encode().replace(b'"store.0001_extensions"', b'"store.9999_future"')
    )
    file = home.data.parent / "newer.tar"
    with archive.writing(file) as into, tarfile.open(home.data.parent / "backup.tar") as tar:
        for name in told.files:
            into.data(name, tar.extractfile(name).read())  # type: ignore[union-attr]  # a file
        into.data(archive.MANIFEST, newer.encode())
    code, detail = other.refused("restore", file)
    assert (code, "9999_future" in detail) == ("cannot_restore", True)


@pytest.mark.faults
def test_nothing_is_restored_under_a_running_market(home: Place, other: Place) -> None:
    import psycopg

    file = backup(home)
    with psycopg.connect(other.url):
        code, detail = other.refused("restore", file)
    assert (code, "stop Onym first" in detail) == ("cannot_restore", True)
    assert other.rows() == {}


@pytest.mark.faults
def test_the_embedded_database_is_carried_the_same_way(home: Place, tmp_path: Path) -> None:
    file = backup(home)
    place = Place(tmp_path / "embedded", "")
    place.done("restore", file)
    with embedded.running(place.data) as url:
        assert Place(place.data, url).rows()["store_event"] == home.rows()["store_event"]
    second = tmp_path / "again.tar"
    place.done("backup", second)
    assert archive.manifest(second).log["size"] == 3


# Killed in the middle


def killed(place: Place, words: list[object], when: Callable[[], bool]) -> bool:
    """Run it and kill -9 it and all that it started once `when` holds; False if it was faster."""
    connections.close_all()
    process = subprocess.Popen(
        place.command(*words),
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while process.poll() is None and not when():
        assert time.monotonic() < until
        time.sleep(0.001)
    was_faster = process.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return not was_faster


AT_BACKUP: dict[str, Callable[[Path], bool]] = {
    "the log is linked": lambda aside: any((aside.parent / "data/run").glob("backup-*/tile")),
    "the database is dumped": lambda aside: (aside / "database.dump").exists(),
    "the file is written": lambda aside: (aside / "file").exists(),
}


@pytest.mark.faults
@pytest.mark.parametrize("point", AT_BACKUP)
def test_a_backup_that_is_killed_leaves_no_file_and_the_next_one_is_whole(
    home: Place, other: Place, point: str
) -> None:
    file = home.data.parent / "backup.tar"
    aside = file.with_name(".backup.tar.part")
    assert killed(home, ["backup", file], lambda: AT_BACKUP[point](aside))
    assert not file.exists()
    home.done("backup", file)
    assert not aside.exists()
    assert not list((home.data / "run").glob("backup-*"))
    other.done("restore", file, "--check")


def is_replaced(place: Place) -> bool:
    return bool(place.asked("select 1 where to_regclass('public.store_event') is not null"))


AT_RESTORE: dict[str, Callable[[Place], bool]] = {
    "it is unpacked": lambda place: (place.data / "restore.part" / "database.dump").exists(),
    "the mark is set": lambda place: (place.data / "restore.json").exists(),
}


@pytest.mark.parametrize(
    "point", [pytest.param("it is unpacked", marks=pytest.mark.faults), "the mark is set"]
)
def test_a_restore_that_is_killed_lets_nothing_start_and_the_same_again_finishes_it(
    home: Place, other: Place, point: str
) -> None:
    file = backup(home)
    other.data.mkdir()
    assert killed(other, ["restore", file], lambda: AT_RESTORE[point](other))
    until = time.monotonic() + 10
    while other.asked(
        "select 1 from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and backend_type = 'client backend'"
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    if restoring.under_way(other.data):
        assert other.refused("audit")[0] == "restore_interrupted"
        code = other.run("up").stderr.split(":")[1].strip()
        assert code == "restore_interrupted"
    else:
        assert not is_replaced(other)
    other.done("restore", file)
    assert restoring.under_way(other.data) is None
    assert other.rows().keys() == home.rows().keys()
    assert other.files("log", "keys", "namespaces") == home.files("log", "keys", "namespaces")


@pytest.mark.faults
def test_killed_between_the_database_and_the_files_it_is_finished_by_the_same_command(
    home: Place, other: Place
) -> None:
    """The state that a kill leaves there, made again: the window is too short to hit."""
    file = backup(home)
    other.done("restore", file)
    restoring.begin(other.data, archive.manifest(file).id)
    shutil.rmtree(other.data / "namespaces")
    shutil.rmtree(other.data / "keys")
    assert other.refused("audit")[0] == "restore_interrupted"
    assert other.refused("restore", "--abandon")[0] == "restore_interrupted"
    other.done("restore", file)
    assert other.files("log", "keys", "namespaces") == home.files("log", "keys", "namespaces")
    assert restoring.under_way(other.data) is None


@pytest.mark.faults
def test_a_restore_that_did_nothing_yet_can_be_abandoned(home: Place, other: Place) -> None:
    told = archive.manifest(backup(home))
    other.data.mkdir()
    restoring.begin(other.data, told.id)
    restoring.hold(other.data / "log", backup=told.made_at, size=3)
    other.done("restore", "--abandon")
    assert restoring.under_way(other.data) is None
    assert integrator.held(other.data / "log") is None
    assert other.refused("restore", "--abandon")[0] == "refused"


# The drill


def test_drill_restored_behind_the_last_checkpoint_it_refuses_to_sign_and_says_what_to_do(
    home: Place, other: Place, settings: Any
) -> None:
    file = backup(home)
    for _ in range(2):
        keeping.happen()
    newest = (home.data / "log" / "checkpoint").read_bytes()
    other.done("restore", file)
    public = (other.data / "log" / "checkpoint").read_bytes()
    assert keeping.signed(other) == integrator.HOLDS
    assert "onym log resume" in integrator.HOLDS
    assert other.refused("log", "resume")[0] == "checkpoint_missing"
    assert (other.data / "log" / "checkpoint").read_bytes() == public
    told = other.done("log", "resume", "--from", home.data / "log")
    assert told == {"known": 3, "brought_back": 2, "size": 6}
    assert keeping.signed(other) == ""
    last = json.loads(bytes(other.asked("select entry from store_event order by seq")[-1][0]))
    assert last["type"] == "LogResumed"
    assert last["body"] == {"count": 2, "previous": 3}
    pinned = ["--key", str(log.signer().verifier)]
    assert other.run("verify", other.data / "log", *pinned).returncode == 0
    for name, data in home.files("log").items():
        if name.startswith("log/tile") and ".p/" not in name:
            assert other.files("log")[name] == data
    assert newest.splitlines()[1] == b"5"


def test_drill_a_backup_older_than_the_first_checkpoint_is_not_signed_over_either(
    database: str, settings: Any, tmp_path: Path
) -> None:
    """The key was there and signed since: from nothing it would sign a second tree of one size."""
    home = keeping.market(settings, tmp_path / "data", leaves=0)
    log.signer()
    file = backup(home)
    for _ in range(2):
        keeping.happen()
    other = keeping.elsewhere(tmp_path / "other")
    assert other.done("restore", file)["leaves"] == 0
    assert keeping.signed(other) == integrator.HOLDS
    assert other.refused("log", "resume")[0] == "checkpoint_missing"
    told = other.done("log", "resume", "--from", home.data / "log")
    assert told == {"known": 0, "brought_back": 2, "size": 3}
    assert keeping.signed(other) == ""


def test_drill_a_database_restored_beside_newer_files_takes_their_leaves(
    home: Place, settings: Any
) -> None:
    """The disk of the database was lost, DATA was not: its files are the newer truth and stay."""
    file = backup(home)
    keeping.happen()
    before = home.files("log")
    lost = keeping.elsewhere(home.data)
    lost.done("restore", file)
    assert home.files("log") == before
    assert keeping.signed(lost) == integrator.HOLDS
    told = lost.done("log", "resume")
    assert told == {"known": 3, "brought_back": 1, "size": 5}
    assert keeping.signed(lost) == ""


@pytest.mark.faults
def test_drill_a_database_that_was_put_back_by_other_means_refuses_too(
    home: Place, settings: Any
) -> None:
    """No mark of ours: the files alone show it, and no waiting row gets a place that is taken."""
    lost = keeping.elsewhere(home.data)
    lost.done("restore", backup(home))
    lost.done("log", "resume", "--nothing-later")
    behind = backup_again(lost)
    keeping_happens(lost)
    lost.done("restore", behind, "--force")
    integrator.free(lost.data / "log")
    said = keeping.signed(lost)
    assert said.startswith("log_behind: 5 leaves are published, but only 4 are known here")
    assert "onym log resume" in said
    lost.done("log", "resume", "--from", lost.data / "log")
    assert keeping.signed(lost) == ""


def backup_again(place: Place) -> Path:
    file = place.data.parent / "again.tar"
    place.done("backup", file)
    return file


def keeping_happens(place: Place) -> None:
    """One more leaf, by a process that speaks to that database."""
    program = "import django; django.setup()\nfrom tests.surfaces import keeping\nkeeping.happen()"
    done = subprocess.run(
        [*place.command()[:1], "-c", program],
        env=place.environment(
            DJANGO_SETTINGS_MODULE="onym.site.settings",
            PYTHONPATH=f"{keeping.ROOT / 'src'}:{keeping.ROOT}",
        ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.faults
def test_drill_a_witness_that_has_seen_more_keeps_it_from_signing(
    home: Place, other: Place, tmp_path: Path
) -> None:
    file = backup(home)
    size = keeping.happen()
    command = home.command("witness", "--name", "near.example/w1", "--state", tmp_path / "state")
    command += ["--log", str(log.signer().verifier)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=home.environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    key = process.stdout.readline().removeprefix("key ").strip()
    named = {"ONYM_WITNESSES": f"{process.stdout.readline().split()[-1]} {key}"}
    try:
        assert cosigned(home, named) == size
        other.done("restore", file)
        code, detail = other.refused("log", "resume", "--nothing-later", **named)
        assert code == "checkpoint_missing"
        assert f"has cosigned {size} leaves" in detail
        told = other.done("log", "resume", "--from", home.data / "log", **named)
        assert told["brought_back"] == 1
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        process.stdout.close()
    away = other.refused("log", "resume", "--nothing-later", **named)
    assert (away[0], "--without-witness" in away[1]) == ("checkpoint_missing", True)


def cosigned(home: Place, named: dict[str, str]) -> int:
    """Have the witness cosign what is published."""
    from onym.jobs.log import Asking
    from onym.ports import witness

    (one,) = witness.parse(named["ONYM_WITNESSES"])
    assert Asking(one).once()
    return log.published_size()


@pytest.mark.faults
def test_a_copy_that_says_something_else_is_a_fork_and_nothing_is_written(
    home: Place, other: Place, tmp_path: Path
) -> None:
    other.done("restore", backup(home))
    integrator.append(tmp_path / "lie", [b"{}"] * 4, log.signer(), first=0)
    assert other.refused("log", "resume", "--from", tmp_path / "lie")[0] == "log_forked"
    assert integrator.held(other.data / "log") is not None
    assert other.asked("select count(*) from store_event") == [(3,)]
