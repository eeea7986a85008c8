"""`onym log resume`: after a restore, find the last checkpoint that was published, then sign again.

It looks in DATA/log and in every copy that it is shown, and asks the witnesses how far they have
cosigned; what nobody can show it, it does not sign over. docs/guides/backup.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import click

from onym import ports
from onym.cli import verify
from onym.core.errors import Refusal
from onym.flows import log, resume
from onym.ports.witness import Witness
from onym.queries import log as queries
from onym.tlog import checkpoint, integrator, tiles

NEEDS_DATABASE = True


class NotShown(Refusal):
    status, code, title = 409, "checkpoint_missing", "A later checkpoint may be out"


@click.group("log")
def command() -> None:
    """The public log's writer."""


@command.command("resume")
@click.option(
    "--from",
    "copies",
    metavar="URL_OR_DIR",
    multiple=True,
    help="A copy of the log's public files; may be given again.",
)
@click.option(
    "--nothing-later",
    is_flag=True,
    help="You know that nothing was published after the backup: Onym had been stopped before.",
)
@click.option(
    "--without-witness",
    "absent",
    metavar="NAME",
    multiple=True,
    help="Go on although this witness does not answer.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def again(
    copies: tuple[str, ...], nothing_later: bool, absent: tuple[str, ...], as_json: bool
) -> None:
    """Bring back the leaves that were published since the backup, and let the log sign again."""
    own = log.signer().verifier
    found = [_Copy(str(log.directory()), tiles.directory(log.directory()), own)]
    found += [_Copy(place, verify.reader(place), own) for place in copies]
    newest = max(found, key=lambda copy: copy.size)
    if not (copies or nothing_later or _was_further(newest)):
        raise NotShown(
            "show a copy of the log's files as last published (--from URL_OR_DIR), or say that "
            "nothing was published after the backup (--nothing-later)"
        )
    _expect_witnessed(newest, ports.witnesses(), absent)
    try:
        done = resume.resume(published=newest.entries(), size=newest.size)
    except tiles.TileFault as fault:
        raise NotShown(f"{newest.place} cannot be read: {fault}") from fault
    facts = {"known": done.known, "brought_back": done.brought_back, "size": done.size}
    click.echo(json.dumps(facts) if as_json else _told(done, newest))


class _Copy:
    """A copy of our log: its checkpoint must be signed by our own key."""

    def __init__(self, place: str, read: tiles.Read, own: checkpoint.Verifier) -> None:
        self.place, self._read = place, read
        self.head: checkpoint.Checkpoint | None = None
        try:
            self.head = checkpoint.verify(read(tiles.CHECKPOINT), log=own)
        except FileNotFoundError:
            return
        except checkpoint.Unverified as fault:
            raise NotShown(f"{place}: {fault}") from fault
        except verify.Unreadable as fault:
            raise NotShown(str(fault)) from fault

    @property
    def size(self) -> int:
        return self.head.size if self.head else 0

    def entries(self) -> Iterator[bytes]:
        """Every entry, checked on the way against the signed root."""
        if self.head is None:
            return
        source = tiles.Tiles(self._read, self.head.size)
        for _, entry in tiles.checked_entries(source, self.head.root):
            yield entry


def _was_further(copy: _Copy) -> bool:
    """Do the files in DATA themselves show that they went on after the backup?"""
    told = integrator.held(log.directory())
    return told is not None and copy.size > int(json.loads(told)["size"])


def _expect_witnessed(newest: _Copy, witnesses: Iterable[Witness], absent: tuple[str, ...]) -> None:
    """No witness may have cosigned more leaves than the newest copy has."""
    if newest.head is None:
        return
    for witness in witnesses:
        name = witness.key.name
        if name in absent:
            continue
        said = witness.add_checkpoint(queries.submission_of(newest.head))
        if said.status not in (200, 409):
            raise NotShown(
                f"the witness {name} does not say how far it has cosigned ({said.status}); "
                f"ask it again, or go on with --without-witness {name}"
            )
        if said.status == 409 and int(said.text) >= newest.size:
            raise NotShown(
                f"the witness {name} has cosigned {int(said.text)} leaves that {newest.place} "
                "does not show: find a later copy of the log's files and name it with --from"
            )


def _told(done: resume.Resumed, newest: _Copy) -> str:
    if not done.brought_back:
        return f"the log signs again, at {done.size} leaves; nothing later was found"
    return (
        f"{done.brought_back} leaves were brought back from {newest.place}; the log signs again, "
        f"at {done.size} leaves. What they did to sales and holders the database does not know: "
        "run `onym audit`."
    )
