"""One first start for all stories; each gets it back as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.surfaces import outside
from tests.surfaces.outside import Site


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones run when they are asked for by their marker, and only then."""
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """DATA after the first start, everything stopped."""
    data = tmp_path_factory.mktemp("story") / "data"
    with outside.running(data):
        pass
    yield data
    shutil.rmtree(data)


@pytest.fixture
def site(first_start: Path, tmp_path: Path) -> Iterator[Site]:
    """The demo on a copy of it; it is where the first start was, as its addresses are in mails."""
    kept = first_start.with_name("kept")
    shutil.copytree(first_start, kept, symlinks=True)
    port = int(json.loads((first_start / "demo.json").read_text())["base"].rsplit(":", 1)[1])
    running = Site(first_start, outside.start(first_start, port=port))
    try:
        yield running
    finally:
        outside.stop(running)
        shutil.rmtree(first_start)
        kept.rename(first_start)
