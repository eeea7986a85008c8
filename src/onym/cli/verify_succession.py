"""What `onym verify` says of logs that ended: which one goes on in the place of which, and whether
both keys say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from onym.core import succession
from onym.core.leaves import Check, Status
from onym.core.succession import Succession
from onym.tlog import checkpoint, merkle, tiles

NAME = "logs that ended are named, with what they lost"
_MARK = f'"type":"{succession.TYPE}"'.encode()


class Found(NamedTuple):
    """A succession that stands in `leaf` of the log that is read."""

    leaf: int
    told: Succession


def found(leaf: int, entry: bytes) -> Found | None:
    """The succession in this entry, if it is one; one that makes no sense is told elsewhere."""
    if _MARK not in entry:
        return None
    try:
        return Found(leaf, succession.parse(entry))
    except ValueError:
        return None


def heir(read: tiles.Read, key: checkpoint.Verifier) -> Succession | None:
    """Who goes on in the place of the log of `key`, if that log says so itself, signed by `key`."""
    try:
        told, _ = succession.read(read(succession.FILE))
    except (FileNotFoundError, checkpoint.Unverified):
        return None
    return told if told.old == key else None


def said(told: Succession) -> str:
    """One line: what ended where, how much had been published, and who goes on."""
    more = f", of {told.seen} that had been published" if told.seen > told.count else ""
    other = f", and had signed another tree of {told.seen}" if _is_forked(told) else ""
    return (
        f"{told.old.name} ended with {told.count} leaves{more or other}; what it said after them "
        f"is lost; {told.new.name} goes on"
    )


def _is_forked(told: Succession) -> bool:
    return told.seen_root is not None and told.seen_root != told.root and told.seen <= told.count


def check(
    all_found: Sequence[Found],
    *,
    key: checkpoint.Verifier,
    head: checkpoint.Checkpoint,
    source: tiles.Tiles,
    read: tiles.Read,
) -> Check:
    """The chain of logs up to this one: each names the one before, has its tree, and both sign."""
    if not all_found:
        ended = heir(read, key)
        if ended is None:
            return Check(NAME, Status.NO_SUBJECT, "this log takes no other's place")
        detail = f"this log has ended; {said(ended)}: {ended.new}"
        return Check(NAME, Status.OK, detail)
    keys = [one.told.old for one in all_found[1:]] + [key]
    for one, follower in zip(all_found, keys, strict=True):
        why = _wrong(one, follower, head=head, source=source, read=read)
        if why:
            return Check(NAME, Status.VIOLATED, f"leaf {one.leaf}: {why}", one.leaf)
    return Check(
        NAME, Status.OK, "; ".join(f"{said(one.told)} from leaf {one.leaf}" for one in all_found)
    )


def outlived(
    all_found: Sequence[Found],
    *,
    shown: checkpoint.Checkpoint,
    leaf: int,
    entry: bytes,
    source: tiles.Tiles,
) -> tuple[str, bool] | None:
    """(in words, whether its leaf is lost), for a receipt under a checkpoint that its log had
    signed beyond the leaves which were carried on; None for any other."""
    ended = [one.told for one in all_found if one.told.old.name == shown.origin]
    if not ended or shown.size <= ended[0].count:
        return None
    told = f"{shown.origin} had {shown.size} leaves, {ended[0].count} of them are carried on"
    if leaf < source.size and source([(0, leaf)]) == [merkle.leaf_hash(entry)]:
        return f"{told}, and leaf {leaf} is among them", False
    return f"{told}: leaf {leaf} is lost, and the receipt is what is left of it", True


def _wrong(
    one: Found,
    follower: checkpoint.Verifier,
    *,
    head: checkpoint.Checkpoint,
    source: tiles.Tiles,
    read: tiles.Read,
) -> str | None:
    told = one.told
    if told.new != follower:
        return f"it names {told.new}, but {follower} went on"
    if not 0 < told.count <= one.leaf or told.seen < 1:
        return "it carries on more than stands before it"
    path = merkle.consistency_proof(told.count, head.size, source)
    if not merkle.extends(
        old=told.count, size=head.size, proof=path, old_root=told.root, root=head.root
    ):
        return f"this log does not begin with the {told.count} leaves of {told.old.name}"
    return _unsaid(told, read)


def _unsaid(told: Succession, read: tiles.Read) -> str | None:
    """Whether what is left of the older log says the same, signed by its key."""
    prefix = succession.place(told.old)
    try:
        theirs, _ = succession.read(read(f"{prefix}/{succession.FILE}"))
        last = checkpoint.verify(read(f"{prefix}/{tiles.CHECKPOINT}"), log=told.old)
    except FileNotFoundError as fault:
        return f"{fault.args[0]} is missing: {told.old.name} does not say so itself"
    except checkpoint.Unverified as fault:
        return f"{prefix}: {fault}"
    if theirs != told or (last.size, last.root) != (told.count, told.root):
        return f"{told.old.name} says something else about its end"
    return None
