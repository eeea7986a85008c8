"""Writes tests/upgrade/NAME.dump: the database of a release, with a market that was lived in.

Run it once a release, with that release's own code:  python tools/upgrade_fixture.py NAME OUT
(its checkout on PYTHONPATH). The test of upgrades brings each of these to the newest tables.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main(name: str, out: Path) -> None:
    """Start a server of its own, migrate, live, dump."""
    data = Path(tempfile.mkdtemp(prefix="onym-fixture-"))
    os.environ |= {"ONYM_DATA": str(data), "DJANGO_SETTINGS_MODULE": "onym.site.settings"}
    from onym.site import embedded

    with embedded.EmbeddedPostgres(data, fast=True) as server:
        os.environ["DATABASE_URL"] = server.url
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections
        from tests import lived_in

        call_command("migrate", verbosity=0)
        lived_in.market()
        connections.close_all()
        program = embedded.binaries() / "pg_dump"
        options = ["--format=custom", "--no-owner", "--no-privileges", "--compress=9"]
        command = [str(program), *options, f"--file={out / f'{name}.dump'}", server.url]
        subprocess.run(command, check=True)  # noqa: S603 - PostgreSQL's own


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
