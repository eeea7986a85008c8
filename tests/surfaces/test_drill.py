"""A drill beside the running market, and two backups at once: what is restored elsewhere reaches
nothing of the market that was backed up, and no backup is whole that lacks a part."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.surfaces import keeping
from tests.surfaces.keeping import Place, backup, home, other

from onym.site import archive, embedded, settings_file
from onym.site import backup as making

__all__ = ["home", "other"]


def without_a_word_about_the_database(place: Place, *words: object) -> dict[str, Any]:
    """What a command says that is given DATA and nothing else."""
    bare = {name: value for name, value in place.environment().items() if name != "DATABASE_URL"}
    said = subprocess.run(
        place.command(*words, "--json"), env=bare, capture_output=True, text=True, timeout=120
    )
    assert said.returncode == 0, said.stdout + said.stderr
    told: dict[str, Any] = json.loads(said.stdout)
    return told


def test_commands_after_a_drill_use_what_was_restored_and_not_the_market(
    home: Place, other: Place
) -> None:
    mine = f'# by hand\nDATABASE_URL="{home.url}"\nONYM_DATA={home.data}\nONYM_PRESS=p@x.example\n'
    settings_file.write(settings_file.path(home.data), mine)
    file = backup(home)
    keeping.happen()
    before = home.rows(), home.files("log")
    told = other.done("restore", file)
    assert told["database"].endswith("commands with this --data use it")
    kept = settings_file.path(other.data)
    assert settings_file.read(kept) == {"ONYM_PRESS": "p@x.example", "DATABASE_URL": other.url}
    assert (kept.stat().st_mode & 0o777, kept.read_text()[:9]) == (0o600, "# by hand")
    resumed = without_a_word_about_the_database(other, "log", "resume", "--nothing-later")
    assert resumed["known"] == 3
    assert (home.rows(), home.files("log")) == before


def test_settings_that_lead_to_the_place_already_come_back_to_the_last_byte(home: Place) -> None:
    file = settings_file.path(home.data)
    settings_file.write(file, f"DATABASE_URL={home.url}\nONYM_PRESS=p@x.example\n")
    before = file.read_bytes()
    made = backup(home)
    file.unlink()
    home.done("restore", made, "--force")
    assert file.read_bytes() == before


def test_where_the_settings_do_not_name_the_database_it_is_said(home: Place, other: Place) -> None:
    said = other.run("restore", backup(home))
    assert said.returncode == 0, said.stderr
    assert "onym.env does not name it: give DATABASE_URL to each command" in said.stdout


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ('# c\nA="1"\n', "", "# c\n"),
        ("# c\n  A=1\nB=2\n", "3", '# c\nB=2\nA="3"\n'),
        ("AA=1\n", 'x"y', 'AA=1\nA="x\\"y"\n'),
    ],
)
def test_one_setting_is_changed_and_the_rest_stays(before: str, value: str, after: str) -> None:
    assert settings_file.changed(before, "A", value) == after


def test_of_two_backups_at_once_the_second_is_refused_and_the_first_keeps_its_log(
    home: Place, tmp_path: Path
) -> None:
    with making._near(home.data) as links:
        making._link_log(home.data, links)
        code, detail = home.refused("backup", tmp_path / "second.tar")
        assert (code, str(home.data) in detail) == ("in_progress", True)
        assert (links / "checkpoint").exists()
    home.done("backup", tmp_path / "second.tar")
    assert not list(tmp_path.glob(".second*"))


def test_a_backup_that_tells_of_a_log_and_lacks_it_is_neither_written_nor_read(home: Place) -> None:
    told = archive.manifest(backup(home))
    kept = {name: one for name, one in told.files.items() if not name.startswith("log/")}
    with pytest.raises(archive.NotABackup, match="tells of 3 leaves and lacks"):
        dataclasses.replace(told, files=kept)
    plain = json.loads(told.encode())
    with pytest.raises(archive.NotABackup, match="tells of 3 leaves and lacks"):
        archive.Manifest.parse(json.dumps(plain | {"files": kept}).encode())


def test_keys_that_were_kept_apart_must_be_the_ones_that_sealed_the_backup(
    home: Place, other: Place
) -> None:
    """The doctor ran first on the new machine, and a fresh key is there."""
    file = backup(home, "--without-keys")
    right = (home.data / "keys" / "field").read_text()
    embedded.kept_secret(other.data / "keys" / "field")
    for words in (["--check"], ["--force"]):
        code, detail = other.refused("restore", file, *words)
        assert (code, "not the one that sealed this backup" in detail) == ("cannot_restore", True)
    assert other.rows() == {}
    other.done("restore", file, "--check", ONYM_FIELD_KEY=right)
    (other.data / "keys" / "field").unlink()
    assert other.refused("restore", file)[0] == "cannot_restore"
    other.done("restore", file, ONYM_FIELD_KEY=right)


def test_a_backup_that_lacks_the_key_in_use_is_not_restored_without_it(
    home: Place, other: Place
) -> None:
    """It lay in the environment alone; the file in DATA/keys sealed nothing."""
    file = home.data.parent / "backup.tar"
    home.done("backup", file, ONYM_FIELD_KEY="a key of the environment")
    assert other.refused("restore", file)[0] == "cannot_restore"
    other.done("restore", file, ONYM_FIELD_KEY="a key of the environment")


def test_a_backup_of_an_older_release_knows_no_key_again_and_is_restored(home: Place) -> None:
    told = archive.manifest(backup(home))
    plain = json.loads(told.encode())
    del plain["sealed_under"]
    assert archive.Manifest.parse(json.dumps(plain).encode()).sealed_under == ""
