"""`onym log resume` and `onym log end`: after a restore the log signs again, or a successor does.

Both look in DATA/log and in every copy that they are shown, and ask the witnesses how far they have
cosigned; what nobody can show, no log signs over. docs/guides/backup.md.
"""

from __future__ import annotations

import json

import click

from onym import ports
from onym.cli import copies
from onym.cli.copies import Copy, NotShown
from onym.core.errors import Malformed, Refusal
from onym.flows import log, resume, succession
from onym.tlog import checkpoint, integrator, tiles

NEEDS_DATABASE = True


class NotConfirmed(Refusal):
    status, code, title = 409, "not_confirmed", "This cannot be taken back"


@click.group("log")
def command() -> None:
    """The public log's writer."""


_from = click.option(
    "--from",
    "shown",
    metavar="URL_OR_DIR",
    multiple=True,
    help="A copy of the log's public files; may be given again.",
)
_absent = click.option(
    "--without-witness",
    "absent",
    metavar="NAME",
    multiple=True,
    help="Go on although this witness does not answer.",
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@command.command("resume")
@_from
@click.option(
    "--nothing-later",
    is_flag=True,
    help="You know that nothing was published after the backup: Onym had been stopped before.",
)
@_absent
@_json
def again(
    shown: tuple[str, ...], nothing_later: bool, absent: tuple[str, ...], as_json: bool
) -> None:
    """Bring back the leaves that were published since the backup, and let the log sign again.

    \b
    Example:
      onym log resume --from https://mirror.example/log
    """
    newest = max([copies.own(), *copies.named(shown)], key=lambda copy: copy.size)
    if not (shown or nothing_later or _was_further(newest)):
        raise NotShown(
            "show a copy of the log's files as last published (--from URL_OR_DIR), or say that "
            "nothing was published after the backup (--nothing-later); if neither can be had, "
            "see `onym log end --help`"
        )
    _expect_witnessed(newest, absent)
    try:
        done = resume.resume(published=newest.entries(), size=newest.size)
    except tiles.TileFault as fault:
        raise NotShown(f"{newest.place} cannot be read: {fault}") from fault
    facts = {"known": done.known, "brought_back": done.brought_back, "size": done.size}
    click.echo(json.dumps(facts) if as_json else _told(done, newest))


def _was_further(copy: Copy) -> bool:
    """Do the files in DATA themselves show that they went on after the backup?"""
    told = integrator.held(log.directory())
    return told is not None and copy.size > int(json.loads(told).get("size", copy.size))


def _expect_witnessed(newest: Copy, absent: tuple[str, ...]) -> None:
    """No witness may have cosigned more leaves than the newest copy has."""
    if newest.head is None:
        return
    for name, size in copies.cosigned(newest.head, ports.witnesses(), absent):
        raise NotShown(
            f"the witness {name} has cosigned {size} leaves that {newest.place} "
            "does not show: find a later copy of the log's files and name it with --from; "
            "if nobody has one, see `onym log end --help`"
        )


def _told(done: resume.Resumed, newest: Copy) -> str:
    if not done.brought_back:
        return f"the log signs again, at {done.size} leaves; nothing later was found"
    return (
        f"{done.brought_back} leaves were brought back from {newest.place}; the log signs again, "
        f"at {done.size} leaves. What they did to sales and holders the database does not know: "
        "run `onym audit`."
    )


@command.command("end")
@click.option(
    "--successor",
    "origin",
    metavar="ORIGIN",
    required=True,
    help="The name that the next log signs under; no log may have had it before.",
)
@_from
@_absent
@click.option("--confirm", metavar="ORIGIN", help="The name of the log that ends, typed out.")
@_json
def finish(
    origin: str,
    shown: tuple[str, ...],
    absent: tuple[str, ...],
    confirm: str | None,
    as_json: bool,
) -> None:
    """End the log for good, because leaves of it are lost, and begin its successor.

    Only for when nobody has a copy of what was published after the backup. Everybody who trusted
    the old key will see that it ended and what is missing. The successor has the leaves that are
    known, in their places, then one that names the old log, its last checkpoint and the loss; it
    signs with a new key. Name with --from what shows that there was more, if only a checkpoint.
    Without --confirm nothing is done.

    \b
    Example:
      onym log end --successor market.example/log-2 --confirm market.example/log
    """
    _expect_name(origin)
    if succession.is_under_way():  # interrupted: it was confirmed then
        done = succession.end(origin=origin, seen=None, published=())
    else:
        ours = copies.own()
        seen = _furthest(ours, copies.named(shown), absent)
        if confirm != log.signer().name:
            raise NotConfirmed(_warning(log.signer().name, ours, seen))
        done = succession.end(origin=origin, seen=seen, published=ours.entries())
    facts = {
        "key": done.key,
        "previous_key": done.previous_key,
        "leaf": done.leaf,
        "missing": done.missing,
        "size": done.size,
    }
    click.echo(json.dumps(facts) if as_json else _ended(done, origin))


def _expect_name(origin: str) -> None:
    try:
        checkpoint.Verifier(origin, bytes(32))
    except checkpoint.Unverified as fault:
        raise Malformed(f"--successor: {fault}") from fault


def _furthest(
    ours: Copy, others: list[Copy], absent: tuple[str, ...]
) -> checkpoint.Checkpoint | None:
    """The furthest checkpoint that our files do not have; None if nobody shows one.

    Refuses when our own files have a gap, or another copy has everything: then nothing is lost.
    """
    if not ours.is_whole():
        raise NotShown(
            f"{ours.place} is not whole: put the files of the backup, or of the best copy, there"
        )
    found = []
    for copy in others:
        if copy.head is None or ours.extends(copy.head):
            continue
        if copy.size > ours.size and copy.is_whole():
            raise NotShown(
                f"nothing is lost: {copy.place} has all {copy.size} leaves; "
                f"run `onym log resume --from {copy.place}`"
            )
        found.append(copy.head)
    if ours.head is not None:
        cosigned = copies.cosigned(ours.head, ports.witnesses(), absent)
        origin = ours.head.origin
        found += [checkpoint.Checkpoint(origin, size, b"") for _, size in cosigned]
    return max(found, key=lambda head: (head.size, head.root), default=None)


def _warning(name: str, ours: Copy, seen: checkpoint.Checkpoint | None) -> str:
    lost = f"of {seen.size} leaves that were published" if seen else "nobody showed how many more"
    return (
        f"{name} would end with {ours.size} leaves ({lost}), and nothing can bring it back. "
        f"If nobody anywhere has a later copy, say so with --confirm {name}"
    )


def _ended(done: succession.Ended, origin: str) -> str:
    lost = f"at least {done.missing} leaves are lost" if done.missing else "nobody knows how many"
    return (
        f"the log has ended ({lost}) and {origin} goes on from leaf {done.leaf}; "
        f"{done.size} leaves are signed by\n{done.key}\n"
        f"Now: set ONYM_LOG_ORIGIN={origin}; send everybody who trusted {done.previous_key} the "
        "new key, the witnesses first; empty caches of /log; run `onym backup`, then `onym audit`."
    )
