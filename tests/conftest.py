"""One throw-away PostgreSQL a run, started by the first test that asks, a clean copy per test.

`database` gives a test real commits from any number of connections, threads and processes;
pytest-django's `db` (all in one transaction, rolled back) works on the same server.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings
from tests import words

from onym.site import embedded

# What they say is not so is told with its values, as in a test.
pytest.register_assert_rewrite("tests.world", "tests.faults.handing")

# A property is no measurement: a busy machine may take its time over an example.
hypothesis_settings.register_profile("onym", deadline=None)
hypothesis_settings.load_profile("onym")

DATA = Path(tempfile.mkdtemp(prefix="onym-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)
words.bring(DATA / "lexicon")
atexit.register(words.keep, DATA / "lexicon")  # before the folder goes
os.environ["ONYM_DATA"] = str(DATA)
os.environ["DATABASE_URL"] = embedded.address(DATA)
os.environ["DJANGO_SETTINGS_MODULE"] = "onym.site.settings"

os.environ["ONYM_HOSTS"] = "testserver"

TEMPLATE = "onym_template"
WITHOUT_DJANGO = {"core", "tlog", "sweep", "demo", "docs", "story"}


def pytest_configure(config: pytest.Config) -> None:
    """Each process of a run in parallel has a server and DATA of its own: it must not read the
    settings, as one that inherits their name does at once, before this file has named its own."""
    if getattr(config.option, "numprocesses", None):
        os.environ.pop("DJANGO_SETTINGS_MODULE")


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Django is set up by the first test module that may use it; pure floors never load it."""
    if module_path.parent.name not in WITHOUT_DJANGO:
        import django

        django.setup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-django would empty every table, rows that migrations wrote included."""
    for item in items:
        for mark in item.iter_markers("django_db"):
            if mark.kwargs.get("transaction"):
                raise pytest.UsageError(f"{item.nodeid}: use the fixture `database` for commits")


def _command(statement: str) -> None:
    with psycopg.connect(embedded.address(DATA, database="postgres"), autocommit=True) as link:
        link.execute(statement)  # type: ignore[call-overload]  # a constant of this file


def _fresh() -> None:
    """Copying the template takes some 20 ms with fsync off, whatever was written."""
    _command(f"DROP DATABASE IF EXISTS {embedded.NAME} WITH (FORCE)")
    _command(f"CREATE DATABASE {embedded.NAME} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    shutil.rmtree(DATA / "log", ignore_errors=True)  # another database's leaves


@pytest.fixture(autouse=True, scope="session")
def django_test_environment(django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """As pytest-django's, but mail goes where the settings say: tests talk to a real server."""
    from django.apps import apps

    if not apps.ready:
        yield
        return
    from django.conf import settings
    from django.test.utils import setup_test_environment, teardown_test_environment

    backend = settings.EMAIL_BACKEND
    setup_test_environment(debug=False)
    settings.EMAIL_BACKEND = backend
    with django_db_blocker.block():  # type: ignore[attr-defined]  # its type is private
        yield
    teardown_test_environment()


@pytest.fixture(scope="session")
def postgres() -> Iterator[embedded.EmbeddedPostgres]:
    """The run's server; its database is empty of everything but what migrations make."""
    embedded.FAST.update(wal_level="replica", max_wal_senders="2")  # a standby may follow it
    with embedded.EmbeddedPostgres(DATA, fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def django_db_setup(
    postgres: embedded.EmbeddedPostgres, django_db_blocker: pytest.FixtureRequest
) -> None:
    """Migrate once, keep the result as the template; takes the place of pytest-django's own."""
    from django.core.management import call_command
    from django.db import connections

    with django_db_blocker.unblock():  # type: ignore[attr-defined]  # its type is private
        call_command("migrate", verbosity=0)
        connections.close_all()
    _command(f"ALTER DATABASE {embedded.NAME} RENAME TO {TEMPLATE}")
    _fresh()


@pytest.fixture
def database(
    django_db_setup: None, django_db_blocker: pytest.FixtureRequest, postgres: object
) -> Iterator[str]:
    """The URL of a fresh, migrated database with real commits; Django is connected to it, too."""
    from django.db import connections

    with django_db_blocker.unblock():  # type: ignore[attr-defined]  # its type is private
        yield embedded.address(DATA)
        connections.close_all()
    _fresh()
