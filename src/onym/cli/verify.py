"""`onym verify`: check a public log from its files alone, over HTTP or in a directory.

docs/concepts/log.md says what each check shows, and what no check can show.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import requests

from onym.cli import verify_succession
from onym.cli.verify_succession import Found
from onym.core import events, record
from onym.core.leaves import Check, Status
from onym.tlog import checkpoint, merkle, proof, tiles

_SECONDS = 20
_STEP = 1024

READABLE = "files can be read"
SIGNED = "checkpoint is signed by the log"
COSIGNED = "checkpoint is cosigned by the witnesses"
TREE = "tiles and entries give the signed root"
RECEIPT = "receipt holds"
EXTENDS = "log extends the receipt's checkpoint"


class Unreadable(Exception):
    """The log's files cannot be read at all."""


@dataclass(slots=True)
class Report:
    """What was found out; `pinned` is false where the log itself said which key to trust."""

    log: str
    pinned: bool
    key: str = ""
    size: int | None = None
    root: str | None = None
    receipt: dict[str, Any] | None = None
    checks: list[Check] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return all(check.status is not Status.VIOLATED for check in self.checks)

    def add(self, name: str, detail: str, *, leaf: int | None = None, bad: bool = False) -> None:
        status = Status.VIOLATED if bad else Status.OK
        self.checks.append(Check(name, status, detail, leaf))


@click.command("verify")
@click.argument("url_or_dir", required=False)
@click.option("--key", metavar="VKEY", help="The log's verifier key, got from somewhere else.")
@click.option(
    "--witness",
    "witnesses",
    metavar="VKEY",
    multiple=True,
    help="A witness that must have cosigned; may be given again.",
)
@click.option(
    "--receipt",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A .tlog-proof file; with --key and no log it is checked offline.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def command(
    context: click.Context,
    url_or_dir: str | None,
    key: str | None,
    witnesses: tuple[str, ...],
    receipt: Path | None,
    as_json: bool,
) -> None:
    """Check a public log: signatures, tree, entries, and what they say about the market.

    URL_OR_DIR is the prefix that checkpoint and tiles are under. Without --key the key that the
    log serves is used, and the answer says "unpinned": it then shows that the log agrees with
    itself, not whose it is. Exit code 0: nothing is wrong; 1: something is; 2: usage.

    \b
    Example:
      onym verify https://market.example/log --key 'market.example/log+1a2b3c4d+Ac4z…'
    """
    pinned = _key(key, "--key") if key else None
    cosigners = [_key(vkey, "--witness") for vkey in witnesses]
    report = Report(log=url_or_dir or "", pinned=pinned is not None, key=key or "")
    try:
        if url_or_dir is not None:
            _verify(report, pinned, cosigners, receipt)
        elif receipt and pinned:
            _receipt(report, receipt, [pinned], cosigners)
        else:
            raise click.UsageError("name a log, or give --receipt and --key to check one offline")
    except Unreadable as fault:
        report.add(READABLE, str(fault), bad=True)
    click.echo(_json(report) if as_json else _text(report))
    if not report.is_clean:
        context.exit(1)


def _key(vkey: str, option: str) -> checkpoint.Verifier:
    try:
        return checkpoint.Verifier.parse(vkey.strip())
    except checkpoint.Unverified as fault:
        raise click.BadParameter(str(fault), param_hint=option) from fault


def _verify(
    report: Report,
    pinned: checkpoint.Verifier | None,
    witnesses: list[checkpoint.Verifier],
    receipt: Path | None,
) -> None:
    read = reader(report.log)
    head = _signed(report, read, pinned)
    if head is None:
        return
    if witnesses:
        _cosigned(report, head, witnesses)
    else:
        _cosigned_unpinned(report, head, read)
    source = tiles.Tiles(read, head.size)
    key = checkpoint.Verifier.parse(report.key)
    chain: list[Found] = []
    try:
        found = record.check(_entries(source, head, chain))
    except tiles.TileFault as fault:
        report.add(TREE, _where(fault), leaf=fault.leaf, bad=True)
    else:
        report.add(TREE, f"{head.size} leaves")
        report.checks += found
        told = verify_succession.check(chain, key=key, head=head, source=source, read=read)
        report.checks.append(told)
    if receipt:
        older = [one.told.old for one in chain]
        shown = _receipt(report, receipt, [key, *older], witnesses)
        if shown:
            is_told = _outlived(report, chain, *shown, source)
            if not is_told:
                _extended(report, shown[0], head, source)


def _outlived(
    report: Report,
    chain: list[Found],
    old: checkpoint.Checkpoint,
    leaf: int,
    entry: bytes,
    source: tiles.Tiles,
) -> bool:
    """Whether the receipt is of a log that ended before it; then the report says what it shows."""
    told = verify_succession.outlived(chain, shown=old, leaf=leaf, entry=entry, source=source)
    if told is not None:
        report.add(EXTENDS, told[0], leaf=leaf if told[1] else None, bad=told[1])
    return told is not None


def _entries(
    source: tiles.Tiles, head: checkpoint.Checkpoint, chain: list[Found]
) -> Iterator[bytes]:
    """Every entry, checked; the logs that this one goes on from are put into `chain`."""
    for leaf, entry in _watched(source, head):
        if one := verify_succession.found(leaf, entry):
            chain.append(one)
        yield entry


def _where(fault: tiles.TileFault) -> str:
    return f"leaf {fault.leaf}: {fault.path}: {fault.why}"


def _watched(source: tiles.Tiles, head: checkpoint.Checkpoint) -> Iterator[tuple[int, bytes]]:
    """Every entry, checked, with progress and time left where somebody watches."""
    checked = tiles.checked_entries(source, head.root)
    with click.progressbar(
        length=head.size,
        label="checking",
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        update_min_steps=_STEP,
    ) as bar:
        for leaf, entry in checked:
            bar.update(1)
            yield leaf, entry


# The head.


def _signed(
    report: Report, read: tiles.Read, pinned: checkpoint.Verifier | None
) -> checkpoint.Checkpoint | None:
    """The checkpoint if the log signed it; what is wrong stands in the report otherwise."""
    try:
        key = pinned or checkpoint.Verifier.parse(read("key").decode("ascii").strip())
        report.key = str(key)
        head = checkpoint.verify(read(tiles.CHECKPOINT), log=key)
    except FileNotFoundError as fault:
        report.add(SIGNED, f"{fault.args[0]}: missing", bad=True)
        return None
    except (checkpoint.Unverified, UnicodeDecodeError) as fault:
        report.add(SIGNED, f"{fault}{_heir(read, pinned)}", bad=True)
        return None
    report.size, report.root = head.size, head.root.hex()
    report.add(SIGNED, f"{head.origin}, size {head.size}")
    return head


def _heir(read: tiles.Read, pinned: checkpoint.Verifier | None) -> str:
    """What whoever pinned the key of a log that has ended should know."""
    told = verify_succession.heir(read, pinned) if pinned else None
    if told is None:
        return ""
    return (
        f"; the log of your key has ended and says so itself: {verify_succession.said(told)}. "
        f"Make sure of that with the operator, then pin {told.new}"
    )


def _cosigned(
    report: Report, head: checkpoint.Checkpoint, witnesses: list[checkpoint.Verifier]
) -> None:
    try:
        have = checkpoint.cosignatures(head.note, witnesses)
    except checkpoint.Unverified as fault:
        report.add(COSIGNED, str(fault), bad=True)
        return
    missing = sorted({witness.name for witness in witnesses} - set(have))
    report.add(COSIGNED, f"missing: {', '.join(missing)}" if missing else "all", bad=bool(missing))


def _cosigned_unpinned(report: Report, head: checkpoint.Checkpoint, read: tiles.Read) -> None:
    """Who of the log's own list has cosigned: a wrong cosignature is wrong, a missing one is late.

    The list shows nothing by itself: whoever wants a witness names it with --witness.
    """
    try:
        keys = [checkpoint.Verifier.parse(line) for line in read("witnesses").decode().split()]
        have = checkpoint.cosignatures(head.note, keys)
    except FileNotFoundError:
        keys, have = [], []
    except (checkpoint.Unverified, UnicodeDecodeError) as fault:
        report.add(COSIGNED, str(fault), bad=True)
        return
    missing = [key.name for key in keys if key.name not in have]
    said = [f"by {', '.join(have)}"] if have else []
    said += [f"not yet by {', '.join(missing)}"] if missing else []
    detail = f"{', '.join(said)}; unpinned: name one with --witness" if said else ""
    status = Status.OK if have else Status.NO_SUBJECT
    report.checks.append(Check(COSIGNED, status, detail or "no witness was named"))


# The receipt.


def _receipt(
    report: Report,
    path: Path,
    logs: list[checkpoint.Verifier],
    witnesses: list[checkpoint.Verifier],
) -> tuple[checkpoint.Checkpoint, int, bytes] | None:
    """(checkpoint, leaf, entry) of the receipt, if it shows its entry by itself, under the key of
    this log or of one that it goes on from."""
    try:
        data = path.read_bytes()
        origin = checkpoint.Checkpoint.parse(proof.Proof.parse(data).note).origin
        log = next((one for one in logs if one.name == origin), logs[0])
        shown, head, entry = proof.verify(data, log=log, witnesses=witnesses)
        said = events.read(entry)
    except (checkpoint.Unverified, ValueError) as fault:
        report.add(RECEIPT, str(fault), bad=True)
        return None
    except OSError as fault:
        raise Unreadable(f"{path}: {fault.strerror}") from fault
    report.receipt = {"leaf": shown.index, "type": said.type, "ref": said.ref, "at": said.at}
    detail = f"leaf {shown.index} is {said.type} {said.ref} of {said.at}"
    report.add(RECEIPT, f"{detail}, under the checkpoint of size {head.size}")
    return head, shown.index, entry


def _extended(
    report: Report,
    old: checkpoint.Checkpoint,
    head: checkpoint.Checkpoint,
    source: tiles.Tiles,
) -> None:
    """Whether the log still extends the tree that the receipt was given under."""
    if old.size > head.size:
        why = f"the receipt knew {old.size} leaves, the log shows {head.size}"
        report.add(EXTENDS, why, leaf=head.size, bad=True)
        return
    try:
        path = merkle.consistency_proof(old.size, head.size, source)
    except tiles.TileFault as fault:
        report.add(EXTENDS, _where(fault), leaf=fault.leaf, bad=True)
        return
    same = merkle.extends(
        old=old.size, size=head.size, proof=path, old_root=old.root, root=head.root
    )
    report.add(EXTENDS, f"from size {old.size} to {head.size}", bad=not same)


# Reading.


def reader(place: str) -> tiles.Read:
    """Reads a log's files from a URL or a directory; what is in the way raises Unreadable."""
    if place.startswith(("http://", "https://")):
        return _web(place.rstrip("/"))
    folder = Path(place)
    if not folder.is_dir():
        raise click.UsageError(f"{place} is neither a URL nor a directory")
    inside = tiles.directory(folder)

    def read(path: str) -> bytes:
        try:
            return inside(path)
        except FileNotFoundError as fault:
            raise FileNotFoundError(path) from fault
        except OSError as fault:
            raise Unreadable(f"{folder / path}: {fault.strerror}") from fault

    return read


def _web(prefix: str) -> tiles.Read:
    session = requests.Session()

    def read(path: str) -> bytes:
        try:
            answer = session.get(f"{prefix}/{path}", timeout=_SECONDS)
        except requests.RequestException as fault:
            raise Unreadable(f"{prefix}/{path} does not answer: {_short(fault)}") from fault
        if answer.status_code in (404, 410):
            raise FileNotFoundError(path)
        if answer.status_code != 200:
            raise Unreadable(f"{prefix}/{path} answers {answer.status_code}")
        return answer.content

    return read


def _short(fault: Exception) -> str:
    return type(fault).__name__


# What is said.


def _json(report: Report) -> str:
    body = asdict(report)
    body["ok"] = report.is_clean
    return json.dumps(body, ensure_ascii=False)


def _text(report: Report) -> str:
    lines = [f"{check.status:<10}  {check.name}: {check.detail}" for check in report.checks]
    if report.size is not None:
        lines.append(f"size {report.size}, root {report.root}")
    if report.key:
        lines.append(f"key {report.key}")
    if not report.pinned:
        lines.append("unpinned: the key is the log's own word; pin it with --key")
    bad = sum(check.status is Status.VIOLATED for check in report.checks)
    lines.append(f"VIOLATED: {bad} of {len(report.checks)} checks" if bad else "nothing is wrong")
    return "\n".join(lines)
