"""`onym log end`: a log that lost leaves for good ends in public, and a successor goes on; the old
key never signs another tree, and whoever trusted it is told where it went."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.surfaces import keeping
from tests.surfaces.keeping import Place

from onym.core import succession
from onym.queries import log as queries
from onym.tlog import checkpoint, proof, tiles

END = ("log", "end", "--successor", "t/log-2")
CONFIRMED = (*END, "--confirm", "t/log")


@pytest.fixture
def home(database: str, settings: Any, tmp_path: Path) -> Place:
    return keeping.market(settings, tmp_path / "data")


@pytest.fixture
def lost(home: Place, tmp_path: Path) -> Place:
    """Restored from a backup of three leaves; two more were published, and only home has them."""
    file = tmp_path / "backup.tar"
    home.done("backup", file)
    keeping.happen()
    keeping.happen()
    place = keeping.elsewhere(tmp_path / "other")
    place.done("restore", file)
    return place


def last_seen(home: Place, folder: Path) -> Path:
    """Nothing of a mirror but the last checkpoint."""
    folder.mkdir()
    shutil.copy(home.data / "log" / "checkpoint", folder)
    return folder


def key(place: Place) -> checkpoint.Verifier:
    return checkpoint.Signer.parse((place.data / "keys" / "log").read_text().strip()).verifier


def verified(place: Place, *words: object) -> dict[str, Any]:
    """What `onym verify` says, with its exit code beside."""
    said = place.run("verify", *words, "--json")
    told: dict[str, Any] = json.loads(said.stdout)
    return {**{check["name"]: check for check in told["checks"]}, "exit": said.returncode}


NAMED = "logs that ended are named, with what they lost"


def test_a_log_whose_leaves_are_lost_ends_in_public_and_its_successor_signs(
    home: Place, lost: Place, tmp_path: Path
) -> None:
    seen, old = last_seen(home, tmp_path / "seen"), key(lost)
    told = lost.done(*CONFIRMED, "--from", seen)
    assert (told["leaf"], told["missing"], told["size"]) == (3, 2, 4)
    new = key(lost)
    assert (str(new), new.name) == (told["key"], "t/log-2")

    after = verified(lost, lost.data / "log", "--key", new)
    assert after["exit"] == 0
    assert after[NAMED]["detail"] == (
        "t/log ended with 3 leaves, of 5 that had been published; what it said after them is lost; "
        "t/log-2 goes on from leaf 3"
    )
    aside = lost.data / "log" / "ended" / old.id.hex()
    before = verified(lost, aside, "--key", old)
    assert before["exit"] == 0
    assert before[NAMED]["detail"].startswith("this log has ended; t/log ended with 3 leaves")
    assert str(new) in before[NAMED]["detail"]

    pinned = verified(lost, lost.data / "log", "--key", old)
    assert pinned["exit"] == 1
    assert f"then pin {new}" in pinned["checkpoint is signed by the log"]["detail"]
    audited = lost.run("audit").stdout.splitlines()
    assert {line[:5] for line in audited if line[0] == "T"} == {
        *("T1 ok", "T3 ok", "T4 ok", "T5 ok", "T6 ok"),
        "T2 VI",  # the import of this market was never recorded
    }


def test_nothing_is_done_until_the_name_of_the_log_is_typed_out(
    home: Place, lost: Place, tmp_path: Path
) -> None:
    seen, before = last_seen(home, tmp_path / "seen"), lost.files("log", "keys")
    code, detail = lost.refused(*END, "--from", seen)
    assert code == "not_confirmed"
    assert "of 5 leaves that were published" in detail
    assert lost.refused(*END, "--from", seen, "--confirm", "t/log-2")[0] == "not_confirmed"
    assert lost.files("log", "keys") == before
    assert lost.asked("select count(*) from store_event") == [(3,)]


def test_a_log_that_has_everything_does_not_end(home: Place, lost: Place, tmp_path: Path) -> None:
    assert home.refused(*CONFIRMED)[0] == "log_can_sign"
    code, detail = lost.refused(*CONFIRMED, "--from", home.data / "log")
    assert (code, "onym log resume --from" in detail) == ("checkpoint_missing", True)
    assert lost.refused("log", "end", "--successor", "t/log", "--confirm", "t/log") == (
        "malformed",
        "a log has signed as t/log already: a successor needs another origin",
    )
    spaced = lost.refused("log", "end", "--successor", "a log", "--confirm", "t/log")
    assert spaced[0] == "malformed"
    assert key(lost).name == "t/log"


def test_the_old_key_never_signs_another_tree(lost: Place, settings: Any, tmp_path: Path) -> None:
    old = (lost.data / "keys" / "log").read_text()
    lost.done(*CONFIRMED)
    published = lost.files("log")
    (lost.data / "keys" / "log").write_text(old)
    assert lost.refused("log", "resume", "--nothing-later")[0] == "checkpoint_missing"
    shutil.copy(next((lost.data / "log" / "ended").glob("*/checkpoint")), lost.data / "log")
    code, detail = lost.refused("log", "resume", "--nothing-later")
    assert (code, "t/log-2 goes on in its place" in detail) == ("log_ended", True)
    assert keeping.signed(lost).startswith("log_ended: ")
    (lost.data / "log" / "checkpoint").write_bytes(published["log/checkpoint"])
    assert lost.files("log") == published


def receipt(place: Place, leaf: int, file: Path) -> Path:
    folder = place.data / "log"
    note = (folder / "checkpoint").read_bytes()
    shown = proof.build(index=leaf, note=note, read=tiles.directory(folder))
    file.write_bytes(shown.encode())
    return file


def test_receipts_of_the_old_log_hold_and_show_what_was_lost(
    home: Place, lost: Place, tmp_path: Path
) -> None:
    carried = receipt(home, 1, tmp_path / "carried.tlog-proof")
    gone = receipt(home, 4, tmp_path / "gone.tlog-proof")
    early = receipt(lost, 0, tmp_path / "early.tlog-proof")
    old = key(lost)
    lost.done(*CONFIRMED)
    name = "log extends the receipt's checkpoint"
    for file, status, words in (
        (early, "ok", "from size 3 to 4"),
        (carried, "ok", "t/log had 5 leaves, 3 of them are carried on, and leaf 1 is among them"),
        (gone, "violated", "leaf 4 is lost, and the receipt is what is left of it"),
    ):
        told = verified(lost, lost.data / "log", "--key", key(lost), "--receipt", file)
        assert told["receipt holds"]["status"] == "ok"
        assert (told[name]["status"], words in told[name]["detail"]) == (status, True)
        assert lost.run("verify", "--key", old, "--receipt", file).returncode == 0


def test_what_is_left_of_the_old_log_is_served(lost: Place, settings: Any) -> None:
    old = key(lost)
    lost.done(*CONFIRMED)
    settings.DATA = lost.data
    prefix = succession.place(old)
    for name in ("checkpoint", "key", "succession", "tile/entries/000.p/3"):
        assert queries.file(f"{prefix}/{name}") == (lost.data / "log" / prefix / name).read_bytes()
    page = Client().get("/en/log").content.decode()
    assert "goes on in the place of t/log, which lost entries and ended" in page
    told, entry = succession.read(queries.file("succession"))
    assert (told.old, told.new, json.loads(entry)["type"]) == (old, key(lost), succession.TYPE)


STEPS = 40
"""More than the renames and links that it makes; a run that is faster has met no crash."""

CRASHING = """
import os, sys
left = int(sys.argv.pop(1))
def counted(real):
    def call(*words, **more):
        global left
        left -= 1
        if left == 0:
            os._exit(9)
        return real(*words, **more)
    return call
os.rename, os.replace, os.link = map(counted, (os.rename, os.replace, os.link))
from onym.site import command
command.main(sys.argv[1:])
"""


def crashes(place: Place, step: int) -> bool:
    """Whether it ended as by kill -9 just before the change number `step` of the disk."""
    words = [*place.command()[:1], "-c", CRASHING, str(step), *CONFIRMED]
    done = subprocess.run(words, env=place.environment(), capture_output=True, text=True)
    assert done.returncode in (0, 9), done.stdout + done.stderr
    return done.returncode == 9


@pytest.mark.parametrize(
    "step", [7, *(pytest.param(n, marks=pytest.mark.faults) for n in range(1, STEPS) if n != 7)]
)
def test_killed_at_any_change_of_the_disk_the_same_command_finishes_it(
    lost: Place, step: int
) -> None:
    old = key(lost)
    if crashes(lost, step) and key(lost) == old:
        assert keeping.signed(lost), "the old key signed after the end was begun"
        lost.done(*CONFIRMED)
    assert keeping.signed(lost) == ""
    assert verified(lost, lost.data / "log", "--key", key(lost))["exit"] == 0
    aside = lost.data / "log" / "ended" / old.id.hex()
    assert verified(lost, aside, "--key", old)["exit"] == 0
    facts = "select count(*) from store_event where type = 'LogSucceeded'"
    assert lost.asked(facts) == [(1,)]
    assert not (lost.data / "keys" / "log.next").exists()


@pytest.mark.faults
def test_a_successor_may_end_too_and_the_whole_chain_is_named(lost: Place, tmp_path: Path) -> None:
    lost.done(*CONFIRMED)
    file = tmp_path / "second.tar"
    lost.done("backup", file)
    third = keeping.elsewhere(tmp_path / "third", "onym_third")
    third.done("restore", file)
    again = ("log", "end", "--confirm", "t/log-2", "--successor")
    assert third.refused(*again, "t/log")[0] == "malformed"
    third.done(*again, "t/log-3")
    told = verified(third, third.data / "log", "--key", key(third))
    assert told["exit"] == 0
    assert told[NAMED]["detail"].count(" goes on from leaf ") == 2
    assert os.listdir(third.data / "log" / "ended") != []
