"""What lies under deploy: units that systemd understands and that leave no door open, and an image
that is made from the locked requirements and runs as nobody in particular."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from onym.site import up

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
LONG = [unit for unit in SERVICES if "Type=exec" in unit.read_text()]
IMAGE = (ROOT / "deploy" / "Containerfile").read_text()


def setting(unit: Path, name: str) -> list[str]:
    """Every value that a unit gives to a name."""
    return re.findall(rf"(?m)^{name}=(.*)$", unit.read_text())


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    """With the programs where they would be: what is not installed here is no fault of a unit."""
    for unit in UNITS:
        text = unit.read_text()
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text)
        text = re.sub(r"(?m)^(User|Group)=.*\n", "", text)
        text = re.sub(r"(?m)^Documentation=.*\n", "", text)
        (tmp_path / unit.name).write_text(text)
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    said = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    about_ours = [line for line in said.stderr.splitlines() if "onym" in line]
    assert (said.returncode, about_ours) == (0, []), said.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_locked_in(unit: Path) -> None:
    """systemd's own measure, asked without installing anything: 0 is locked in, 10 is open."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout[-400:] + said.stderr
    assert setting(unit, "NoNewPrivileges") == ["yes"]
    assert setting(unit, "ProtectSystem") == ["strict"]
    assert setting(unit, "CapabilityBoundingSet") == [""]
    assert setting(unit, "UMask") == ["0077"]


@pytest.mark.parametrize("unit", LONG, ids=lambda unit: unit.name)
def test_a_service_that_ends_is_started_again(unit: Path) -> None:
    assert setting(unit, "Restart") == ["always"]


def test_units_and_image_start_what_the_supervisor_starts() -> None:
    """One list of options, in `onym up`; the rest may not drift from it."""
    own = up.ourselves({}, port=8000, host="127.0.0.1", workers=2)
    wanted = {child.name: child.command[1:] for child in own}
    assert set(wanted) == {"web", "streams", "jobs"}
    for name, words in wanted.items():
        (unit,) = [unit for unit in LONG if unit.stem == f"onym-{name}"]
        (line,) = setting(unit, "ExecStart")
        assert sorted(line.split()[1:]) == sorted(words), name
    (image,) = re.findall(r"(?m)^CMD (.+)$", IMAGE)
    env, pool, _, *words = json.loads(image)
    assert (env, pool) == ("env", f"ONYM_POOL={up.POOL}")
    assert (
        pool in setting(ROOT / "deploy" / "systemd" / "onym-web.service", "Environment")[-1].split()
    )
    everywhere = [
        "0.0.0.0" if word == "127.0.0.1" else word for word in wanted["web"]
    ]  # the container's own
    assert sorted(words) == sorted(everywhere)
    assert not re.search(r"(?m)^HEALTHCHECK", IMAGE), "it would hold for jobs and streams, too"


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    assert "--require-hashes -r requirements/base.txt" in IMAGE
    assert re.findall(r"(?m)^USER (\d+)$", IMAGE)[-1] != "0"
    assert IMAGE.index("USER ") < IMAGE.index("CMD [")
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", IMAGE)
    for word in " ".join(copied).split():
        assert (ROOT / word).exists(), word


def test_the_backup_runs_every_day() -> None:
    timer = configparser.ConfigParser()
    timer.read(ROOT / "deploy" / "systemd" / "onym-backup.timer")
    assert timer["Timer"]["OnCalendar"].startswith("*-*-*")
    assert timer["Timer"]["Persistent"] == "yes"
