"""When a sweep may be asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests import make

from onym.core import sweep
from onym.core.errors import Malformed


@pytest.mark.parametrize(
    ("days", "dry_run", "may"),
    [
        (0, False, True),
        (-30, False, True),
        (1, False, False),
        (1, True, True),
        (3_661, True, False),
        (-3_661, False, False),
    ],
)
def test_a_sweep_looks_back_and_only_a_dry_run_ahead(days: int, dry_run: bool, may: bool) -> None:
    as_of = make.NOW + timedelta(days=days)
    if may:
        sweep.expect_as_of(as_of, dry_run=dry_run, now=make.NOW)
    else:
        with pytest.raises(Malformed):
            sweep.expect_as_of(as_of, dry_run=dry_run, now=make.NOW)
