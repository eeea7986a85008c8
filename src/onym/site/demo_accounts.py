"""The platform's accounts as the demo's first start needs them: imported, chosen from, swept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from onym import ports
from onym.flows import contacts, names
from onym.site.demo import NAMESPACE
from onym.site.demo_time import now
from onym.sweep import snapshot

Row = Mapping[str, Any]
CHOSEN = 64
NICE = re.compile(r"[a-z]{4,15}", re.IGNORECASE)
LANGUAGES = ("en", "fr", "ar")
FIRST = ("handle", "sunset")
"""Story handles: in the plan's first stage."""

GUARDS = (
    "memorial",
    "verified",
    "public_body",
    "legal_hold",
    "minor",
    "dispute_open",
    "appeal_open",
    "subscriber",
)


def begin(data: Path) -> dict[str, list[Any]]:
    """The first directory; answers whom a pilot may ask, the best handles first, and who lives."""
    quiet: list[Row] = []
    lively: list[Row] = []
    import_platform(data, quiet=quiet, lively=lively)
    quiet.sort(key=lambda row: (len(row["handle"]), row["handle"]))
    lively.sort(key=lambda row: int(row["account_id"]))
    told = {"quiet": quiet[:CHOSEN], "lively": lively[:CHOSEN]}
    found: dict[str, list[Any]] = json.loads(json.dumps(told, default=_plain))
    return found


def import_platform(
    data: Path,
    *,
    profile: str = "x",
    quiet: list[Row] | None = None,
    lively: list[Row] | None = None,
    all_rows: list[Row] | None = None,
) -> str:
    """All accounts of the platform, page by page, as the directory; some into the lists."""
    file = data / "demo" / f"accounts-{time.time_ns()}.jsonl"
    began = now()
    with file.open("w") as out:
        for row in _accounts():
            out.write(json.dumps(row, default=_plain) + "\n")
            if all_rows is not None:
                all_rows.append(row)
            if quiet is not None and _is_quiet(row, began):
                quiet.append(row)
            elif lively is not None and _is_lively(row, began):
                lively.append(row)
    folder = data / "namespaces" / NAMESPACE / "directory" / f"{now():%Y%m%dT%H%M%S}"
    try:
        made = snapshot.import_accounts(
            [file], folder, mapping={}, profile=profile, seal=contacts.seal
        )
    finally:
        file.unlink()
    names.import_directory(namespace=NAMESPACE, snapshot=made.snapshot)
    return str(folder)


def _accounts() -> Iterator[Row]:
    cursor: str | None = None
    while True:
        rows, cursor = ports.platform(NAMESPACE).accounts(cursor=cursor)
        yield from rows
        if cursor is None:
            return


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _is_quiet(row: Row, began: datetime) -> bool:
    """Nobody refers to it, nothing protects it, and its handle is one that people want."""
    seen = row.get("last_login_at")
    return (
        row.get("status") == "active"
        and isinstance(seen, datetime)
        and began - seen > timedelta(days=200)
        and (row.get("inbound_refs") or 99) < 10
        and (row.get("followers") or 0) < 2_000
        and all(row.get(guard) is False for guard in GUARDS)
        and NICE.fullmatch(str(row["handle"])) is not None
        and str(row["handle"]).lower() not in FIRST
    )


def _is_lively(row: Row, began: datetime) -> bool:
    """Active, reachable, speaks a language of ours, and is nobody of demo.json."""
    seen = row.get("last_login_at")
    return (
        row.get("status") == "active"
        and isinstance(seen, datetime)
        and began - seen < timedelta(days=20)
        and bool(row.get("email"))
        and row.get("locale") in LANGUAGES
        and int(str(row["account_id"])) > 1004
    )


def sweep(data: Path, source: Path, name: str, *, policy: str = "x-2023") -> Path:
    """`onym sweep` under a policy, its id or its file, as of now; its findings as a stock."""
    out = data / "namespaces" / NAMESPACE / "sweeps" / name
    command = [sys.executable, "-m", "onym.site.command", "sweep", str(source), "--json"]
    command += ["--policy", policy, "--as-of", now().isoformat(), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    import duckdb

    folder = data / "namespaces" / NAMESPACE / "stock" / name
    with duckdb.connect() as con:
        snapshot.write_stock(con, out, folder, first=FIRST)
    return folder
