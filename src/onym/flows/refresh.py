"""The directory afresh from the platform's own list: all of it, or only what changed since.

docs/guides/import.md tells when to use which. No transaction is open while the platform is asked.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from django.conf import settings
from django.db import transaction

from onym import ports
from onym.core.errors import InProgress, NotFound, PlatformUnavailable, Refusal
from onym.flows import contacts, moves, record
from onym.ports.platform import AccountRow, Page, Platform, TellsChanges
from onym.store import clock, rowlocks
from onym.store.models import DirectoryImport, Namespace
from onym.sweep import refresh, snapshot
from onym.sweep.snapshot import Imported

NOTE = "platform.json"
SCRATCH = ".refresh-"
OVERLAP = timedelta(minutes=1)
"""So much before the last reading is read again: the platform may have been late to commit."""
AHEAD = timedelta(hours=1)
"""So far the platform's clock may be ahead of ours."""
MOST_ASKED_AGAIN = 1_000


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of it. `since` is None where everything was read; `told` counts rows listed;
    `reused` are accounts whose id the platform has given to somebody else, which are left out."""

    import_id: str
    made: Imported
    since: datetime | None
    told: int
    reused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Before:
    """The directory in use, when the platform was read for it, and the ids left out since."""

    folder: Path | None = None
    as_of: datetime | None = None
    reused: Mapping[str, str] | None = None


def directory(
    *,
    namespace: str,
    folder: Path,
    whole: bool = False,
    accept: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Refreshed:
    """Read the list and take the directory made of it into use, as the new snapshot `folder`.

    Only what changed since the last reading is asked for where the platform offers it, unless
    `whole`. Accounts named in `accept` may have an id that was somebody else's. `progress` is told
    rows read. Refuses `platform_unavailable`, `malformed`, `in_progress`, `not_found`.
    """
    place = Namespace.objects.filter(pk=namespace).first()
    if place is None:
        raise NotFound(f"there is no namespace {namespace!r}")
    with _alone(namespace, folder.parent):  # also while it is taken into use: the next one reads it
        return _taken_in(place, folder, whole=whole, accept=accept, progress=progress)


def _taken_in(
    place: Namespace,
    folder: Path,
    *,
    whole: bool,
    accept: Sequence[str],
    progress: Callable[[int], None] | None,
) -> Refreshed:
    platform, before = ports.platform(place.id), _before(place.id)
    since = before.as_of if platform.capabilities().since and not whole else None
    with TemporaryDirectory(prefix=SCRATCH, dir=folder.parent) as scratch:
        rows = Path(scratch) / "told.jsonl"
        count, as_of = _read(platform, rows, since=since, progress=progress)
        reused = _reused(rows, before, accept)
        refresh.without(rows, list(reused))
        inputs = [rows]
        if since is not None and before.folder is not None:
            kept, opened = Path(scratch) / "kept.parquet", contacts.open_
            refresh.unchanged(rows, before.folder, kept, open_=opened, left_out=list(reused))
            inputs = [rows, kept] if rows.stat().st_size else [kept]  # nothing may have changed
        made = snapshot.import_accounts(
            inputs, folder, mapping={}, profile=place.profile, seal=contacts.seal
        )
    _note(folder, as_of, reused)
    try:
        import_id = moves.import_directory(namespace=place.id, snapshot=made.snapshot)
    except Refusal:
        shutil.rmtree(folder)
        raise
    return Refreshed(import_id, made, since, count, tuple(reused))


def order(*, namespace: str) -> bool:
    """Order a reading of what changed if one is due by `ONYM_IMPORT_HOURS`. True if ordered."""
    if not is_due(namespace=namespace):
        return False
    with transaction.atomic():
        record.defer("refresh.run", lock=f"refresh:{namespace}", namespace=namespace)
    return True


def is_due(*, namespace: str) -> bool:
    """Whether readings are scheduled and the last one is older than their interval."""
    if not settings.IMPORT_HOURS:
        return False
    rows = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id")
    last = rows.values_list("at", flat=True).first()
    return last is None or clock.now() - last >= timedelta(hours=settings.IMPORT_HOURS)


def new_folder(namespace: str) -> Path:
    """Where the next snapshot of a namespace's directory is written."""
    name = f"{clock.machine():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    return Path(settings.DATA) / "namespaces" / namespace / "directory" / name


@contextmanager
def _alone(namespace: str, parent: Path) -> Iterator[None]:
    """One reading at a time, over all hosts; what a killed one left holds addresses in clear, and
    goes.
    """
    with rowlocks.platform_turn([f"refresh/{namespace}"], seconds=0) as is_ours:
        if not is_ours:
            raise InProgress(f"the platform of {namespace} is being read already")
        with _alone_here(parent):
            yield


@contextmanager
def _alone_here(parent: Path) -> Iterator[None]:
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / ".refresh.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InProgress(f"{parent}: the platform is being read already") from error
        for stale in parent.glob(f"{SCRATCH}*"):
            shutil.rmtree(stale)
        yield


def _before(namespace: str) -> _Before:
    row = DirectoryImport.objects.filter(namespace_id=namespace).order_by("-at", "-id").first()
    if row is None:
        return _Before()
    try:
        told = json.loads((Path(row.path) / NOTE).read_text())
    except OSError:  # imported from files: nothing is known of the platform's own instants
        return _Before(Path(row.path))
    as_of = datetime.fromisoformat(told["as_of"]) if told["as_of"] else None
    return _Before(Path(row.path), as_of, told["reused"])


def _note(folder: Path, as_of: datetime | None, reused: Mapping[str, str]) -> None:
    """Beside the snapshot, for the next time; without an instant the next reading is whole."""
    told = {"as_of": (as_of - OVERLAP).isoformat() if as_of else None, "reused": dict(reused)}
    (folder / NOTE).write_text(json.dumps(told) + "\n")


def _read(
    platform: Platform,
    rows: Path,
    *,
    since: datetime | None,
    progress: Callable[[int], None] | None,
) -> tuple[int, datetime | None]:
    """Write the list to the file; (rows, instant of its first page).

    What changed while a whole list was being read is read once more, where that is offered, and
    whoever is told twice is asked about one by one: of two rows, the later answer stands.
    """
    found: dict[str, Any] = {"as_of": None, "count": 0}
    tells = platform.capabilities().since
    _write(rows, _listed(platform, since, tells, found), progress)
    if since is None and found["as_of"] is not None and tells:
        late = rows.with_suffix(".late")
        _write(late, _listed(platform, found["as_of"] - OVERLAP, tells, dict(found)), None)
        _overlay(rows, late)
    doubled = refresh.told_twice(rows)[:MOST_ASKED_AGAIN]
    if doubled:
        fresh = rows.with_suffix(".again")
        asked = (platform.account(account_id=name) for name in doubled)
        _write(fresh, (row for row in asked if row is not None), None)
        refresh.without(rows, doubled)
        _overlay(rows, fresh)
    return found["count"], found["as_of"]


def _overlay(rows: Path, newer: Path) -> None:
    """The newer rows in the place of the older ones of the same accounts."""
    with newer.open() as read:
        refresh.without(rows, [json.loads(line)["account_id"] for line in read])
    with rows.open("a") as out, newer.open() as read:
        out.writelines(read)


def _write(file: Path, rows: Iterator[AccountRow], progress: Callable[[int], None] | None) -> None:
    with file.open("w") as out:
        for number, row in enumerate(rows, start=1):
            out.write(json.dumps(row, default=datetime.isoformat, ensure_ascii=False) + "\n")
            if progress is not None and number % 1_000 == 0:
                progress(number)


def _listed(
    platform: Platform, since: datetime | None, tells: bool, found: dict[str, Any]
) -> Iterator[AccountRow]:
    """Every row, each account once; `found` learns the first page's instant and the count.

    Refuses `platform_unavailable` a list that goes in circles.
    """
    cursor: str | None = None
    cursors: set[str | None] = set()
    while cursor not in cursors:
        cursors.add(cursor)
        page = _page(platform, cursor, since, tells)
        found["as_of"] = found["as_of"] or _sane(page.as_of)
        found["count"] += len(page.rows)
        yield from page.rows
        cursor = page.next
        if cursor is None:
            return
    raise PlatformUnavailable("the platform's list of accounts goes in circles")


def _sane(as_of: datetime | None) -> datetime | None:
    """An instant that has not come yet is none: whatever changed until then would never be told."""
    return as_of if as_of is not None and as_of < clock.now() + AHEAD else None


def _page(platform: Platform, cursor: str | None, since: datetime | None, tells: bool) -> Page:
    if tells:
        return cast(TellsChanges, platform).page(cursor=cursor, since=since)
    rows, following = platform.accounts(cursor=cursor)
    return Page(rows, following, None)


def _reused(rows: Path, before: _Before, accept: Sequence[str]) -> dict[str, str]:
    """Ids given away anew, now or before, but for those that somebody has looked at."""
    fresh = refresh.reused(rows, before.folder) if before.folder else {}
    return {k: v for k, v in {**(before.reused or {}), **fresh}.items() if k not in accept}
