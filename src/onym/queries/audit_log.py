"""What must be true of the public log: its files beside the rows that they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection

from onym.core import events, people
from onym.queries import names
from onym.store.models import Event, StaffRole
from onym.tlog import checkpoint, merkle, tiles

LATE = "60 seconds"
MOST_NAMED = 1_000
"""Broken rows that are counted one by one; beyond that the rest adds nothing."""

UNRECORDED = """
with first_price as (
    select namespace_id, min(at) as at from store_event where type = 'PriceSet' group by 1
), owed(ref, type) as (
    select id, 'SaleAgreed' from store_sale
    union all select id, 'SaleFunded' from store_sale where funded_at is not null
    union all select id, 'SaleSettled' from store_sale where state = 'settled'
    union all select ref, 'SaleSettled' from store_entry where kind = 'reversed'
    union all select sale_id, 'SaleRefunded' from store_payment
              where kind = 'refund' and state = 'done'
    union all select id, 'SaleClosed' from store_sale where state in ('expired', 'cancelled')
    union all select sale_id, 'SaleClosed' from store_chargeback
              where status = 'lost' and sale_id is not null
    union all select id, 'ListingOpened' from store_listing
    union all select id, 'OfferAccepted' from store_offer where state = 'accepted'
    union all select id, 'InvitationAccepted' from store_invitation where state = 'accepted'
    union all select id, 'CandidatesCommitted' from store_campaign
    union all select t.id, 'TransferReadBack' from store_transfer t
              join store_sale s on s.id = t.sale_id
              where t.state = 'done' and t.read_back_account_id = s.buyer_account_id
                and (t.source is distinct from s.buyer_account_id or t.hands_to_id is not null)
    union all select id, 'DirectoryImported' from store_directoryimport
    union all select id, 'AppealDecided' from store_appeal where state in ('upheld', 'rejected')
    union all select l.id, 'PriceSet' from store_listing l
              join store_member m on m.id = l.seller_id and m.is_house
              join first_price p on p.namespace_id = l.namespace_id and l.opened_at > p.at
    union all select c.id, 'PriceSet' from store_campaign c
              join store_handle h on h.id = c.handle_id
              join first_price p on p.namespace_id = h.namespace_id and c.committed_at > p.at
)
select o.type || ' of ' || o.ref || ' is missing' from owed o
where not exists (select from store_event e where e.ref = o.ref and e.type = o.type)
union all
select type || ' of ' || ref || ' is written ' || count(*) || ' times' from store_event
where type in ('SaleAgreed', 'SaleFunded', 'SaleSettled', 'SaleRefunded', 'SaleClosed',
               'OfferAccepted', 'InvitationAccepted', 'TransferReadBack')
group by type, ref having count(*) > 1
"""

HOLDERS = """
with moves as (
    select e.seq, e.at, e.namespace_id,
           convert_from(e.entry, 'UTF8')::jsonb -> 'body' as body
    from store_event e where e.type = 'TransferReadBack'
), chain as (
    select namespace_id, body ->> 'handle' as handle, body ->> 'holder_after' as after, at, seq,
           row_number() over (partition by namespace_id, body ->> 'handle'
                              order by seq desc) as back
    from moves
)
select c.handle || ' is held by ' || coalesce(h.account_id, 'nobody')
       || ', but was last handed to ' || coalesce(c.after, 'nobody')
from chain c left join store_handle h on h.namespace_id = c.namespace_id and h.handle = c.handle
where c.back = 1 and h.account_id is distinct from c.after
  and not exists (select from store_tenure t where t.handle_id = h.id
                  and greatest(t.held_from, t.held_to) > c.at
                  and (t.cause in ('platform', 'retained', 'restored') or t.held_to is not null))
"""

LATE_EVENTS = f"""
select type || ' of ' || ref || ' was written at ' || written_at || ' and is not published'
from store_event
where (leaf_index is null or leaf_index >= %s) and written_at < %s - interval '{LATE}'
"""  # noqa: S608 - constants of this file


@dataclass(frozen=True, slots=True)
class Published:
    """The log's files as they stood at an instant of the machine's clock: the checkpoint if the
    log's own key has signed it, or what is wrong with it."""

    folder: Path
    at: datetime
    head: checkpoint.Checkpoint | None
    trouble: str = ""


def published(folder: Path) -> Published:
    """What is published now; read before the snapshot of the rows that it is compared with.

    What is not under it although it was written `LATE` before is late, whatever follows.
    """
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        (at,) = cursor.fetchone()
    head, trouble = _head(folder)
    return Published(folder, at, head, trouble)


def checks(seen: Published) -> Iterator[tuple[str, str, Iterable[str]]]:
    """(id, promise, broken rows in words) for T1 to T6."""
    yield "T1", "the published tree is the rows' own, in their order", _tree(seen)
    yield "T2", "every decision has its event, once", [*_rows(UNRECORDED), *_staff()]
    yield "T3", "import and hand-overs give the holders", [*_rows(HOLDERS), *_strangers()]
    yield "T4", "no leaf holds an unknown field or a mail address", islice(_misfits(), MOST_NAMED)
    yield "T5", "one root per size", _roots(seen.head)
    size = seen.head.size if seen.head else 0
    yield "T6", f"an event is in the log within {LATE}", _rows(LATE_EVENTS, size, seen.at)


def _rows(sql: str, *values: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return [what for (what,) in cursor.fetchmany(MOST_NAMED)]


def _head(folder: Path) -> tuple[checkpoint.Checkpoint | None, str]:
    """The published checkpoint if the log's own key has signed it, or what is wrong with it."""
    try:
        key = checkpoint.Verifier.parse((folder / "key").read_text().strip())
        return checkpoint.verify((folder / tiles.CHECKPOINT).read_bytes(), log=key), ""
    except FileNotFoundError:
        return None, ""
    except (checkpoint.Unverified, ValueError) as fault:
        return None, f"the checkpoint does not verify: {fault}"


def _entries(size: int) -> Iterator[bytes]:
    rows = Event.objects.filter(leaf_index__lt=size).order_by("leaf_index")
    return (bytes(entry) for entry in rows.values_list("entry", flat=True).iterator(5_000))


def _tree(seen: Published) -> list[str]:
    """The files' entries are the rows' entries, and all files agree with the signed root."""
    head = seen.head
    if head is None:
        return [seen.trouble] if seen.trouble else []
    read = tiles.Tiles(tiles.directory(seen.folder), head.size)
    known = _entries(head.size)
    try:
        for index, entry in tiles.checked_entries(read, head.root):
            if next(known, None) != entry:
                return [f"leaf {index} is not the event that has its place"]
    except (tiles.TileFault, OSError) as fault:
        return [f"{fault}"]
    return []


def _roots(head: checkpoint.Checkpoint | None) -> list[str]:
    """The rows' places run from 0 without a gap, and give the root that was signed."""
    broken = _rows(
        """
        select 'place ' || place || ' is taken by ' || leaf_index from (
            select leaf_index, row_number() over (order by leaf_index) - 1 as place
            from store_event where leaf_index is not null) as placed
        where place <> leaf_index
        """
    )
    if head is not None:
        leaves = (merkle.leaf_hash(entry) for entry in _entries(head.size))
        if merkle.root(leaves) != head.root:
            broken.append(f"the rows give another root at {head.size} than was signed")
    return broken


def _misfits() -> Iterator[str]:
    rows = Event.objects.order_by("seq").values_list("type", "ref", "entry")
    for type_, ref, entry in rows.iterator(5_000):
        why = _misfit(type_, ref, bytes(entry))
        if why:
            yield f"{type_} of {ref}: {why}"


def _misfit(type_: str, ref: str, entry: bytes) -> str | None:
    try:
        leaf = events.read(entry)
    except ValueError as fault:
        return str(fault)
    if (leaf.type, leaf.ref) != (type_, ref):
        return "the leaf is about something else than its row"
    return events.misfit(leaf)


def _staff() -> Iterator[str]:
    """Namespaces whose last committed staff is not the staff; none was committed in old ones."""
    rows = Event.objects.filter(type="StaffSetCommitted").order_by("namespace_id", "-seq")
    for row in rows.distinct("namespace_id"):
        roles = StaffRole.objects.filter(member__namespace_id=row.namespace_id)
        root = people.staff_root(roles.values_list("member_id", flat=True)).hex()
        if events.read(bytes(row.entry)).body["root"] != root:
            yield f"the staff of {row.namespace_id} is not the one committed last"


def _strangers() -> Iterator[str]:
    """Touched handles that nothing happened to since the last import, held by somebody else."""
    for namespace, handle, account_id in _rows_of_handles():
        known = names.directory(namespace)
        row: Any = known.by_handle(handle) if known else None
        if row is not None and row["account_id"] != account_id:
            yield f"{handle} is held by {account_id}, imported as {row['account_id']}"


def _rows_of_handles() -> list[tuple[str, str, str | None]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select h.namespace_id, h.handle, h.account_id from store_handle h
            where h.touched_at > (select max(i.at) from store_directoryimport i
                                  where i.namespace_id = h.namespace_id)
              and h.changed_hands_at is null
            """
        )
        return list(cursor.fetchall())
