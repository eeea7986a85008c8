"""What the tests of the sweep floor share: an engine with little memory in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "512MB"})
    connection.execute("SET temp_directory = ?", [str(tmp_path)])
    yield connection
    connection.close()
