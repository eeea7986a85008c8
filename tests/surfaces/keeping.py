"""A market with a DATA of its own, and `onym` run on it and on another place to restore to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from tests import make

from onym.core.events import Event
from onym.flows import log, record
from onym.site import embedded
from onym.store import clock
from onym.store.models import DirectoryImport

MIGRATED = "onym_template"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """A DATA and a database."""

    data: Path
    url: str

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ONYM_")}
        mine = {"ONYM_DATA": str(self.data), "DATABASE_URL": self.url, "ONYM_LOG_ORIGIN": "t/log"}
        return kept | mine | {"ONYM_NAMESPACE": "demo", "PYTHONPATH": str(ROOT / "src")} | more

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "onym.site.command", *map(str, words)]

    def run(self, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
        connections.close_all()
        return subprocess.run(
            self.command(*words),
            env=self.environment(**more),
            capture_output=True,
            text=True,
            timeout=120,
        )

    def done(self, *words: object, **more: str) -> dict[str, Any]:
        """What it says in JSON, once it has succeeded."""
        said = self.run(*words, "--json", **more)
        assert said.returncode == 0, said.stdout + said.stderr
        told: dict[str, Any] = json.loads(said.stdout)
        return told

    def refused(self, *words: object, **more: str) -> tuple[str, str]:
        """Code and detail of its refusal."""
        said = self.run(*words, "--json", **more)
        assert said.returncode == 1, said.stdout + said.stderr
        told = json.loads(said.stdout)
        return told["code"], told["detail"]

    def asked(self, question: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as link:
            return link.execute(question).fetchall()  # type: ignore[call-overload]  # a constant

    def rows(self) -> dict[str, tuple[int, str]]:
        """Table → how many rows, and a digest over all of them."""
        found = {}
        tables = self.asked("select tablename from pg_tables where schemaname = 'public'")
        for (table,) in sorted(tables):
            lines = sorted(str(row[0]) for row in self.asked(f"select t::text from {table} t"))
            found[table] = len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return found

    def files(self, *folders: str) -> dict[str, bytes]:
        """What lies in these folders of DATA, hidden files apart."""
        paths = [path for folder in folders for path in (self.data / folder).rglob("*")]
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in paths
            if path.is_file() and not path.name.startswith(".")
        }


def market(settings: Any, data: Path, *, leaves: int = 3) -> Place:
    """The namespace `demo` with an import and some leaves; Django speaks to it."""
    settings.DATA, settings.LOG_ORIGIN, settings.NAMESPACE = data, "t/log", "demo"
    place = make.namespace()
    snapshot = data / "namespaces" / "demo" / "directory" / "one"
    snapshot.mkdir(parents=True)
    (snapshot / "accounts.parquet").write_bytes(b"sorted rows" * 1000)
    DirectoryImport.objects.create(
        id="imp_1",
        namespace=place,
        path=str(snapshot),
        at=make.NOW,
        sha256="0" * 64,
        root="0" * 64,
        rows=1,
    )
    for name in ("secret", "platform"):
        embedded.kept_secret(data / "keys" / name)
    (data / "keys" / "field").write_text(settings.FIELD_KEY)
    (data / "keys" / "field").chmod(0o600)
    for _ in range(leaves):
        happen()
    return Place(data, os.environ["DATABASE_URL"])


def happen() -> int:
    """One more leaf in the log; the size then published."""
    event = Event("ReleaseStopSet", "demo", {"on": True})
    record.log(event, namespace="demo", at=clock.now())
    return log.integrate()


def elsewhere(folder: Path, name: str = "onym_other", *, like: str = "template1") -> Place:
    """An empty place: a database of its own on the run's server, and a folder."""
    server = embedded.address(Path(os.environ["ONYM_DATA"]), database="postgres")
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[call-overload]  # a constant
        link.execute(f"CREATE DATABASE {name} TEMPLATE {like}")  # type: ignore[call-overload]  # a constant
    url = embedded.address(Path(os.environ["ONYM_DATA"]), database=name)
    return Place(folder, url)


def signed(place: Place) -> str:
    """Why the log does not sign with this database's rows; empty when it does."""
    program = (
        "import django; django.setup()\n"
        "from onym.flows import log\nfrom onym.tlog.integrator import CannotSign\n"
        "try: log.integrate()\nexcept CannotSign as fault: print(fault)"
    )
    done = subprocess.run(
        [*place.command()[:1], "-c", program],
        env=place.environment(DJANGO_SETTINGS_MODULE="onym.site.settings"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def home(database: str, settings: Any, tmp_path: Path) -> Place:
    return market(settings, tmp_path / "data")


@pytest.fixture
def other(home: Place, tmp_path: Path) -> Place:
    return elsewhere(tmp_path / "other")


def backup(home: Place, *options: object) -> Path:
    file = home.data.parent / "backup.tar"
    home.done("backup", file, *options)
    return file
