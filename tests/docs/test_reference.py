"""The pages of docs/reference that are made from the code say what the code says today."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from onym.site import environment

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = runpy.run_path(str(ROOT / "tools" / "reference.py"))


@pytest.mark.parametrize("name", sorted(REFERENCE["PAGES"]))
def test_a_page_of_the_reference_is_not_stale(name: str) -> None:
    written = (ROOT / "docs" / "reference" / f"{name}.md").read_text()
    assert written == REFERENCE["page"](name), "run: .venv/bin/python tools/reference.py"


def test_every_setting_that_is_read_is_in_the_reference_and_no_other() -> None:
    files = [ROOT / "src" / "onym" / "site" / f"{name}.py" for name in ("settings", "branding")]
    read = set(re.findall(r'"(ONYM_[A-Z_]+|DATABASE_URL)"', "".join(f.read_text() for f in files)))
    told = {one.name for group in environment.GROUPS.values() for one in group}
    by_language = {f"{name}_{code}" for name in read for code in ("EN", "FR", "AR")}
    assert read - told == set()
    elsewhere = {"ONYM_DATA", "ONYM_PROFILE", "ONYM_PG_BIN", "ONYM_SPARK_MASTER"}
    assert told - read - by_language == elsewhere
