"""A sweep's findings in counts, read by the engine from their files."""

from __future__ import annotations

from pathlib import Path

import duckdb

REASONS = """
SELECT reason, count(*) FROM (SELECT unnest(reasons) AS reason FROM read_parquet(?))
GROUP BY reason ORDER BY count(*) DESC, reason
"""


def reasons(con: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, int]:
    """How many findings give each reason, the most frequent first; a finding may give several."""
    files = [str(path) for path in sorted(folder.glob("findings-*.parquet"))]
    return dict(con.execute(REASONS, [files]).fetchall()) if files else {}
