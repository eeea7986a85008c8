"""The pages of docs/reference that are made from the code say what the code says today."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = runpy.run_path(str(ROOT / "tools" / "reference.py"))


@pytest.mark.parametrize("name", sorted(REFERENCE["PAGES"]))
def test_a_page_of_the_reference_is_not_stale(name: str) -> None:
    written = (ROOT / "docs" / "reference" / f"{name}.md").read_text()
    assert written == REFERENCE["page"](name), "run: .venv/bin/python tools/reference.py"
