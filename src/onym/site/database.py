"""Reaching the database: which one, is it new enough, does it have all tables.

DATABASE_URL wins; without it the embedded server of DATA is joined, or started for the while.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psycopg

from onym.core.errors import DatabaseUnavailable, Malformed, Refusal
from onym.site import embedded

Migrations = Literal["apply", "demand", "ignore"]
LOCK_SECONDS, TRIES = 3.0, 5
LOCK_NOT_AVAILABLE = "55P03"
MIGRATION_LOCK = 0x6F6E796D  # "onym", an advisory lock of ours


def environment_file(data_dir: Path) -> Path:
    return data_dir / "keys" / "environment.json"


def keep_environment(data_dir: Path, shared: Mapping[str, str]) -> None:
    """So that a command on this DATA sees the site as `onym up` last ran it: addresses, demo."""
    kept = {name: value for name, value in shared.items() if name.startswith("ONYM_")}
    kept.pop("ONYM_SUPERVISED", None)
    path = environment_file(data_dir)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(kept))
    fresh.replace(path)


def set_up() -> None:
    """Django with Onym's settings; connects to nothing."""
    path = environment_file(embedded.data_directory())
    if path.exists():
        for name, value in json.loads(path.read_text()).items():
            os.environ.setdefault(name, value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "onym.site.settings")
    import django

    django.setup()


@contextmanager
def connected(*, migrations: Migrations | None = None) -> Iterator[str]:
    """Django's database within reach, by URL.

    `migrations`: "apply" runs what is missing, "demand" refuses when something is, "ignore" looks
    the other way; the default applies to the embedded server and demands of any other.
    Refuses (`database_unavailable`).
    """
    usual: Migrations = "demand" if os.environ.get("DATABASE_URL") else "apply"
    with reached() as url, _django(url, migrations or usual):
        yield url


@contextmanager
def _django(url: str, migrations: Migrations) -> Iterator[None]:
    check_version(url)
    set_up()
    from django.db import connections

    try:
        if migrations == "apply":
            migrate()
        elif migrations == "demand":
            demand_migrations()
        yield
    finally:
        connections.close_all()


@contextmanager
def reached() -> Iterator[str]:
    """The database's URL, whatever is in it: DATABASE_URL, else the embedded server of DATA."""
    external = os.environ.get("DATABASE_URL")
    if external:
        yield external
        return
    with embedded.running(embedded.data_directory()) as url:
        yield url


def check_version(url: str) -> None:
    """Refuses when nothing answers, or when the server is older than we can use."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise Malformed("DATABASE_URL must begin with postgresql://")
    try:
        with psycopg.connect(url, connect_timeout=10) as link:
            version = link.info.server_version // 10_000
    except psycopg.Error as fault:
        raise DatabaseUnavailable(f"the database does not answer: {first_line(fault)}") from None
    if version < embedded.OLDEST_VERSION:
        raise DatabaseUnavailable(
            f"PostgreSQL {version} is too old; {embedded.OLDEST_VERSION} or newer is needed"
        )


def missing_migrations() -> list[str]:
    """The migrations that this database lacks, in order."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


class Locked(Refusal):
    """A table is in use; each migration is one transaction, so the one that waited did nothing."""

    status, code, title = 503, "locked", "A table is in use"


def migrate(*, lock_seconds: float = LOCK_SECONDS, tries: int = TRIES) -> list[str]:
    """Apply what is missing, one process at a time; returns what was applied.

    No migration waits longer than `lock_seconds` for a table, because everybody else would wait
    behind it; then it is tried again, `tries` times in all. Refuses `locked`.
    """
    if not missing_migrations():
        return []
    from django.conf import settings

    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as alone:
        _be_first(alone)
        missing = missing_migrations()
        for attempt in range(1, tries + 1):
            if _applied(lock_seconds):
                return missing
            if attempt < tries:
                time.sleep(attempt)
        raise Locked(
            f"{missing_migrations()[0]} waited for a table that is in use, {tries} times; it "
            "changed nothing: run `onym migrate` again when less goes on"
        )


def _be_first(link: psycopg.Connection[Any]) -> None:
    """Take the lock once nobody else migrates. Asked for again and again: a statement that waits
    for a lock holds a snapshot, and an index that is built concurrently waits for all of these.
    """
    asked = "SELECT pg_try_advisory_lock(%s)"
    while True:
        row = link.execute(asked, [MIGRATION_LOCK]).fetchone()
        if row and row[0]:
            return
        time.sleep(0.2)


def _applied(lock_seconds: float) -> bool:
    """Apply what is missing; False if a table was in use for too long."""
    from django.core.management import call_command
    from django.db import OperationalError, connections

    try:
        with connections["default"].cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(lock_seconds * 1000)}")
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as fault:
        if getattr(fault.__cause__, "sqlstate", "") != LOCK_NOT_AVAILABLE:
            raise
        link = connections["default"].connection
        if link is not None:
            link.close()
        del connections["default"]  # a migration that fails at its end leaves it in a transaction
        return False
    with connections["default"].cursor() as cursor:
        cursor.execute("SET lock_timeout = 0")
    return True


def demand_migrations() -> None:
    missing = missing_migrations()
    if missing:
        raise DatabaseUnavailable(
            f"the database lacks {len(missing)} migrations, {missing[0]} first: run `onym migrate`"
        )


def first_line(fault: BaseException) -> str:
    """A driver's message without its hints and addresses that follow."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]
