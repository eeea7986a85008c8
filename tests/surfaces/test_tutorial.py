"""docs/tutorial.md is true: its commands, typed one after the other, say what it says they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.surfaces import outside

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


def commands() -> str:
    """Every command of the page; each one whose answer the page tells is checked against it."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```", TUTORIAL.read_text())
    return "".join(map(checked, "".join(blocks).splitlines(keepends=True)))


def checked(line: str) -> str:
    """`command   # word: more` must print `word`; what has no such remark stays as it is."""
    told = re.match(r"(?P<run>\S.*\S)\s+#\s(?P<word>\w+|\[.*\])(:.*)?$", line)
    if not told:
        return line
    return f'told {told["word"]!r} "$({told["run"]})"\n'


TOLD = 'told() { [ "$1" = "$2" ] && echo "$2" || { echo "not $1 but $2"; exit 1; }; }\n'


def test_the_commands_of_the_tutorial_say_what_it_tells(tmp_path: Path) -> None:
    with outside.running(tmp_path / "data"):
        (tmp_path / ".venv").mkdir()
        (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
        script = "set -eu\n" + TOLD + commands()
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=outside.environment(),
            capture_output=True,
            text=True,
            timeout=400,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert script.count("\ntold '") + script.count('\ntold "') >= 9
    assert "violation" not in done.stdout
