"""Two flows that meet at a row, for tests: one waits, and what it holds meanwhile is looked at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import OperationalError, connection, transaction
from tests import world as worlds

from onym.core.errors import Refusal


def begin(act: Callable[[], object]) -> Future[str]:
    """`act` on a connection of its own: answers `done`, or the code of its refusal."""

    def run() -> str:
        try:
            act()
        except Refusal as refusal:
            return str(refusal.code)
        finally:
            connection.close()
        return "done"

    with_one = ThreadPoolExecutor(max_workers=1)
    try:
        return with_one.submit(run)
    finally:
        with_one.shutdown(wait=False)


def it_waits() -> None:
    """Until somebody waits for a lock, as PostgreSQL tells."""
    worlds.until(_somebody_waits)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select exists (select from pg_locks where not granted)")
        return bool(cursor.fetchone()[0])


def is_free(rows: Any) -> bool:
    """Whether nobody has locked any of these rows; the caller has them from then on."""
    try:
        with transaction.atomic():
            list(rows.select_for_update(nowait=True))
    except OperationalError:
        return False
    return True
