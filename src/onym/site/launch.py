"""Become a child process that dies with its parent, under the identity PostgreSQL accepts.

Run as a script, isolated and without site-packages, so that nothing happens between fork and exec
in a process with threads:  launch.py IDENTITY SIGNAL PARENT -- PROGRAM ARGUMENT…

Identities: `self` changes nothing; `namespace` enters a user namespace in which the caller is
`nobody`; `nobody` drops to that user for good and keeps the one capability (pass through
directories of root's) without which it could not reach its own data.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
NOBODY = 65534

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespace() -> None:
    """user_namespaces(7): one line maps our own user, and that needs no privilege."""
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWUSER), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")


def drop_to_nobody() -> None:
    """capabilities(7): permitted survives the change of user, ambient survives exec."""
    check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities")
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable
    check(libc.capset(header, sets), "capset")
    raised = libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
    check(raised, "ambient capability")


def die_with(parent: int, signal_number: int) -> None:
    """After the change of identity, which clears the setting (prctl(2))."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "parent-death signal")
    if parent and os.getppid() != parent:
        sys.exit("the parent is already gone")


IDENTITIES: dict[str, Callable[[], None]] = {
    "self": lambda: None,
    "namespace": enter_namespace,
    "nobody": drop_to_nobody,
}


def main(arguments: list[str]) -> None:
    identity, signal_number, parent, dashes, *command = arguments
    if dashes != "--" or not command:
        sys.exit("usage: launch.py IDENTITY SIGNAL PARENT -- PROGRAM ARGUMENT…")
    try:
        IDENTITIES[identity]()
        die_with(int(parent), int(signal_number))
        os.execv(command[0], command)  # noqa: S606 - that is what it is for
    except OSError as fault:
        sys.exit(f"cannot run {command[0]} as {identity}: {fault}")


if __name__ == "__main__":
    main(sys.argv[1:])
