"""Who runs the embedded server, and whose its files are: PostgreSQL refuses to run as root.

No system user is made and no permission outside DATA is changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from onym.core.errors import DatabaseUnavailable

NOBODY = 65534
LAUNCH = Path(__file__).with_name("launch.py")


def identity() -> str:
    """`self` for an ordinary user; for root a user namespace, or `nobody` where none is allowed."""
    if os.geteuid() != 0:
        return "self"
    probe = launched("namespace", signal.SIGKILL, [shutil.which("true") or "/bin/true"])
    allowed = subprocess.run(probe, capture_output=True, check=False)  # noqa: S603
    return "namespace" if allowed.returncode == 0 else "nobody"


def launched(who: str, parent_death: signal.Signals, command: list[str]) -> list[str]:
    """This command, run by launch.py as a child that gets `parent_death` when we are gone."""
    python = [sys.executable, "-I", "-S", str(LAUNCH)]
    return [*python, who, str(int(parent_death)), str(os.getpid()), "--", *command]


def owner(who: str) -> int:
    """The user, as seen from outside, to whom the files of a server of this identity belong."""
    return NOBODY if who == "nobody" else os.geteuid()


def private(directory: Path, uid: int) -> None:
    """A directory of our own: made with mode 0700, refused when it is somebody else's."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat().st_uid
    if directory.is_symlink() or (found != uid and (os.geteuid() or found not in (0, NOBODY))):
        raise DatabaseUnavailable(f"{directory} belongs to another user")
    if found != uid:
        os.chown(directory, uid, -1, follow_symlinks=False)


def give(path: Path, uid: int) -> None:
    """Make the whole tree the server's; only inside DATA, and only when it is not yet."""
    if path.stat().st_uid == uid:
        return
    if os.geteuid() != 0:
        raise DatabaseUnavailable(f"{path} belongs to another user; start Onym as that user")
    for folder, _, files in os.walk(path):
        os.chown(folder, uid, -1)
        for name in files:
            os.chown(os.path.join(folder, name), uid, -1, follow_symlinks=False)
