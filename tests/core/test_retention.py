"""The retention table: what may stand in it, and from when a class has had its time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onym.core import retention
from onym.core.errors import Malformed
from onym.core.events import TYPES

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_every_class_has_its_days_as_shipped() -> None:
    assert set(retention.built_in()) == set(retention.KINDS)


def test_the_page_on_privacy_says_what_is_shipped() -> None:
    page = (Path(__file__).parents[2] / "docs/concepts/privacy.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (.+?) \| (\d+) \| (.+?) \|$", page, re.MULTILINE)
    shipped = retention.built_in()
    kinds = retention.KINDS.items()
    assert told == [(name, one.what, str(shipped[name]), one.since) for name, one in kinds]


def test_an_operator_changes_one_class_and_keeps_the_others() -> None:
    kept = retention.read("notices = 30")
    assert kept["notices"] == 30
    assert kept["appeals"] == retention.built_in()["appeals"]
    assert retention.before(kept, "notices", now=NOW) == NOW - timedelta(days=30)


@pytest.mark.parametrize(
    "text",
    ["letters = 3", "notices = 0", "notices = 36501", "notices = 1.5", "notices = true", "= 3"],
)
def test_a_table_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        retention.read(text)


def test_openings_about_people_are_of_events_that_exist_and_commit_to_them() -> None:
    for type_, fields in retention.PERSONAL.items():
        hidden = set().union(*(shape.committed for shape in TYPES[type_]))
        assert set(fields) <= hidden, type_
