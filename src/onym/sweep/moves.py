"""What changed hands on the platform itself between two snapshots of its accounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from onym.sweep.directory import TABLE

FETCHED = 10_000
_MOVED = """
select later.canonical, later.account_id, later.handle
from read_parquet(?) as later
left join read_parquet(?) as earlier on earlier.canonical = later.canonical
where earlier.account_id is distinct from later.account_id
  and (earlier.account_id is not null
       or later.account_id in (select account_id from read_parquet(?)))
order by 1
"""


def moved(earlier: Path, later: Path) -> Iterator[tuple[str, str, str]]:
    """(canonical, account id, display) of each handle that another account holds in the folder
    `later` than in `earlier`, in order; one that came with a new account has not moved.
    """
    before, after = str(earlier / TABLE), str(later / TABLE)
    with duckdb.connect() as con:
        found = con.execute(_MOVED, [after, before, before])
        while rows := found.fetchmany(FETCHED):
            yield from rows
