"""The examination of what lies with us: database, market, log, jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg

from onym.site import database, embedded
from onym.site.findings import Finding, fail, ok, warn

CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 2.0, 30.0
LATE_SECONDS = 60
ALIVE_SECONDS = 15


def areas(url: str) -> dict[str, Callable[[], Iterator[Finding]]]:
    """Area → what looks at it."""
    return {
        "database": lambda: _database(url),
        "market": lambda: _with_tables(_market),
        "log": lambda: _with_tables(_log),
        "jobs": lambda: _with_tables(_jobs),
    }


def _with_tables(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Nothing, while migrations are missing: that is a finding of the database's already."""
    return iter(()) if database.missing_migrations() else look()


def _database(url: str) -> Iterator[Finding]:
    with psycopg.connect(url, connect_timeout=10) as link:
        version = link.info.server_version
        yield from _clock(link)
    major = version // 10_000
    if major < embedded.OLDEST_VERSION:
        yield fail("database", f"PostgreSQL {major}", f"{embedded.OLDEST_VERSION} or newer")
    else:
        yield ok("database", f"PostgreSQL {major}.{version % 10_000} answers")
    missing = database.missing_migrations()
    if missing:
        told = f"{len(missing)} migrations are missing, {missing[0]} first"
        yield fail("database", told, "run onym migrate")
    else:
        yield ok("database", "all migrations are applied")


def _clock(link: psycopg.Connection[tuple[object, ...]]) -> Iterator[Finding]:
    """The database's clock decides; ours says when signatures and codes are made."""
    before = time.time()
    row = link.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    after = time.time()
    apart = abs(float(str(row[0])) - (before + after) / 2) if row else 0.0
    apart = max(0.0, apart - (after - before) / 2)
    told = f"its clock and this machine's are {apart:.1f} s apart"
    todo = "let both follow NTP: signed requests and sign-in codes are refused when they differ"
    if apart >= CLOCK_FAIL_SECONDS:
        yield fail("database", told, todo)
    elif apart >= CLOCK_WARN_SECONDS:
        yield warn("database", told, todo)
    else:
        yield ok("database", told)


def _market() -> Iterator[Finding]:
    from django.conf import settings

    from onym.queries import health

    found = health.market(settings.NAMESPACE)
    if found is None:
        told = f"there is no namespace {settings.NAMESPACE}"
        yield fail("market", told, "run onym init --force, or correct ONYM_NAMESPACE")
        return
    yield ok("market", f"namespace {settings.NAMESPACE} in {found.currency}, phase {found.phase}")
    if not health.opens_addresses():
        told = "the field key does not open the addresses that are kept"
        yield fail("market", told, "put back keys/field or ONYM_FIELD_KEY; docs/guides/backup.md")
    for kind in found.missing_documents:
        yield fail("market", f"no {kind} is in force", "run onym init --force: it adds it")
    if found.approvers < 2:
        told = f"{found.approvers} people of the desk may approve"
        yield warn("market", told, "onym desk add MAIL --role curator: what matters needs two")


def _log() -> Iterator[Finding]:
    from django.conf import settings

    from onym.flows import log as flow
    from onym.queries import health, log
    from onym.tlog import integrator

    if integrator.held(log.directory()) is not None:
        yield fail("log", integrator.HOLDS, "run onym log resume; docs/guides/backup.md")
        return
    if not (settings.DATA / "keys" / "log").exists():
        yield warn("log", "it has no key yet", "it is made with the first leaf: start the jobs")
        return
    verifier = flow.signer().verifier
    try:
        head = integrator.head(log.directory(), verifier)
    except integrator.CannotSign as fault:
        yield fail("log", str(fault), "put back keys/log as it was")
        return
    if verifier.name != settings.LOG_ORIGIN:
        told = f"it signs as {verifier.name}, ONYM_LOG_ORIGIN says {settings.LOG_ORIGIN}"
        yield warn("log", told, "the key's name counts; correct the setting")
    size, known = head.size if head else 0, health.leaves()
    if known < size:
        told = f"log_behind: {size} leaves are published, the database knows {known}"
        yield fail("log", told, "run onym log resume; docs/guides/backup.md")
        return
    yield from _agrees(size)
    late = health.late(LATE_SECONDS)
    if late:
        yield fail("log", f"{late} events wait for more than a minute", "start the jobs process")
    else:
        yield ok("log", f"{size} leaves are published and signed by {verifier.name}")


def _agrees(size: int) -> Iterator[Finding]:
    """The last published leaf is the database's."""
    from onym.queries import health, log
    from onym.tlog import tiles

    if not size:
        return
    source = tiles.Tiles(tiles.directory(log.directory()), size)
    try:
        published = tiles.entry(source, size - 1)
    except tiles.TileFault as fault:
        yield fail("log", str(fault), "run onym verify DATA/log; restore the files from a copy")
        return
    if health.entry(size - 1) != published:
        told = f"leaf {size - 1} is published with another content than the database's"
        yield fail("log", told, "stop the jobs and look which of the two was put back")


def _jobs() -> Iterator[Finding]:
    from onym.queries import health

    found = health.jobs()
    if found.heartbeat_seconds is None or found.heartbeat_seconds > ALIVE_SECONDS:
        seen = found.heartbeat_seconds
        told = "never" if seen is None else f"{seen:.0f} s ago"
        yield fail("jobs", f"a worker was last seen {told}", "start it: systemctl start onym-jobs")
    else:
        yield ok("jobs", f"a worker was seen {found.heartbeat_seconds:.0f} s ago")
    if found.oldest_seconds > 300:
        told = f"{found.waiting} jobs wait, the oldest for {found.oldest_seconds:.0f} s"
        yield warn("jobs", told, "see whether an outside is down, or start a second jobs process")
    if found.failed:
        told = f"{found.failed} jobs gave up, {found.failed_task} last"
        yield warn("jobs", told, "see the log of the jobs process for the reason")
