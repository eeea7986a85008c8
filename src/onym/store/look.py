"""Everything that one look at a handle reads, in one statement that the server prepares once.

What seldom changes comes as versions only (`ground`, `sold`): whoever keeps what was read under a
version need not read it again. A version is made of the rows' own transaction ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import tuple_row

from onym.store import clock
from onym.store.models import Handle, SaleSlot

_COLUMNS = [field.attname for field in Handle._meta.concrete_fields]
_HANDLE = ", ".join(f"h.{name}" for name in _COLUMNS)
_SQL = f"""
with clock as materialized (select {clock.INSTANT} as instant, {clock.OFFSET} as ahead)
select c.instant, c.ahead,
  concat_ws('/', n.xmin,
    (select i.id from store_directoryimport i where i.namespace_id = n.id
      order by i.at desc, i.id desc limit 1),
    (select string_agg(s.xmin::text, '.' order by s.id) from store_stopperiod s
      where s.namespace_id = n.id),
    (select string_agg(d.xmin::text, '.' order by d.id) from store_document d
      where d.namespace_id = n.id and d.kind = 'policy' and d.effective_from <= c.instant),
    (select string_agg(p.xmin::text || '-' || (select coalesce(
        string_agg(a.xmin::text, '.' order by a.id), '') from store_planpart a
        where a.plan_id = p.id), '.' order by p.id)
      from store_plan p where p.namespace_id = n.id)),
  (select s.id || '/' || s.xmin from store_sale s
    where s.namespace_id = n.id and s.state = 'settled' and s.closed_at is not null
    order by s.closed_at desc, s.id desc limit 1),
  (select array_agg(e.list::text) from store_listentry e
    where e.namespace_id = n.id and e.handle = %(handle)s),
  exists (select from store_reclaim r where r.handle_id = h.id),
  t.kind, t.ref, t.filled_at, l.price_minor, l.currency, l.term, b.mechanism,
  (select json_agg(json_build_object('account_id', u.account_id, 'held_from', u.held_from,
      'held_to', u.held_to, 'cause', u.cause) order by u.held_from)
    from store_tenure u where u.handle_id = h.id),
  (select count(*) from store_offer o where o.handle_id = h.id),
  {_HANDLE}
from store_namespace n cross join clock c
left join store_handle h on h.namespace_id = n.id and h.handle = %(handle)s
left join store_saleslot t on t.handle_id = h.id
left join store_listing l on l.id = t.ref
left join store_sale b on b.id = t.ref
where n.id = %(namespace)s
"""  # noqa: S608 - put together from this program's own names


@dataclass(frozen=True, slots=True)
class Look:
    """`row` is as `queries.standing.touched` gives it; `on` are the lists that have the handle."""

    now: datetime
    ground: str
    sold: str | None
    on: frozenset[str]
    has_processes: bool
    row: Handle | None


def look(*, namespace: str, handle: str) -> Look | None:
    """The canonical `handle` as it stands; None: there is no such namespace."""
    connection.ensure_connection()
    link = connection.connection
    if link.prepare_threshold is None:
        link.prepare_threshold = 0  # Django prepares nothing by itself
    with psycopg.Cursor(link, row_factory=tuple_row) as cursor:
        asked = {"namespace": namespace, "handle": handle}
        found = cursor.execute(_SQL, asked, prepare=True).fetchone()
    if found is None:
        return None
    instant, ahead, ground, sold, on, has_processes, *rest = found
    now = clock.read(instant, ahead)
    return Look(now, ground, sold, frozenset(on or ()), has_processes, _row(*rest))


def _row(kind: str, ref: str, filled_at: datetime, *rest: Any) -> Handle | None:
    price_minor, price_currency, term, mechanism, tenures, demand, *columns = rest
    if columns[0] is None:
        return None
    row: Any = Handle.from_db("default", _COLUMNS, columns)
    slot = SaleSlot(handle_id=row.pk, kind=kind, ref=ref, filled_at=filled_at) if kind else None
    row._state.fields_cache["saleslot"] = slot
    row.price_minor, row.price_currency, row.mechanism = price_minor, price_currency, mechanism
    row.listing_term = term
    row.tenures, row.demand = tenures or [], demand or None
    found: Handle = row
    return found
