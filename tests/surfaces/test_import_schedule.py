"""The platform's list read by itself: when it is due, by one process of all, and never half."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from tests import make
from tests.demo import plaza as plazas
from tests.surfaces import test_import_platform as by_hand
from tests.world import World

from onym import ports
from onym.core.errors import InProgress, Malformed, PlatformUnavailable
from onym.flows import clock as clocks
from onym.flows import refresh
from onym.jobs import clock as clock_jobs
from onym.ports.breaker import Gate, Guarded, Heard, shut_platform
from onym.queries import health
from onym.site import doctor_outside, numbers
from onym.store import clock, rowlocks
from onym.store.models import DirectoryImport

HOURS = 6


@pytest.fixture(scope="module")
def plaza(tmp_path_factory: Any) -> Any:
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture
def world(database: Any, plaza: Any, settings: Any, tmp_path: Any) -> World:
    settings.DEMO, settings.NAMESPACE, settings.DATA = True, "demo", tmp_path
    settings.DEMO_CLOCK_FILE = str(tmp_path / "clock")
    settings.IMPORT_HOURS = HOURS
    made = World(make.namespace(), None)  # type: ignore[arg-type]  # no payments, no mail
    ports.install(platforms={"demo": plaza.port()})
    yield made
    ports.clear()


def imports() -> int:
    return DirectoryImport.objects.count()


def look(world: World) -> int:
    """What the jobs process does every five minutes; how many readings came of it."""
    before = imports()
    clock_jobs._daily()
    world.drain()
    return imports() - before


def test_the_list_is_read_whenever_it_is_older_than_its_hours_and_not_before(
    world: World,
) -> None:
    assert look(world) == 1
    assert look(world) == 0
    clocks.set_ahead(to=clock.now() + timedelta(hours=HOURS - 0.1))
    assert look(world) == 0
    clocks.set_ahead(to=clock.now() + timedelta(hours=0.2))
    assert look(world) == 1


def test_a_scheduled_reading_asks_only_for_what_changed(world: World, plaza: Any) -> None:
    look(world)
    clocks.set_ahead(to=clock.now() + timedelta(hours=HOURS + 0.1))
    whole = by_hand.known("demo").snapshot.rows
    told: list[Any] = []
    port = plaza.port()
    page = port.page

    def heard(**asked: Any) -> Any:
        told.append(asked["since"])
        return page(**asked)

    port.page = heard
    ports.install(platforms={"demo": port})
    assert look(world) == 1
    assert told
    assert None not in told
    assert not by_hand.read("demo")["told"]  # nothing has changed since, and that is no fault
    assert by_hand.known("demo").snapshot.rows == whole


def test_without_hours_nothing_is_read_by_itself(world: World, settings: Any) -> None:
    settings.IMPORT_HOURS = 0
    assert look(world) == 0
    assert not refresh.order(namespace="demo")


def test_jobs_that_were_ordered_twice_read_once(world: World) -> None:
    assert refresh.order(namespace="demo")
    assert refresh.order(namespace="demo")
    world.drain()
    assert imports() == 1


def test_while_another_host_reads_nobody_else_does(world: World) -> None:
    """The other host has a connection of its own; its turn ends with it."""
    held, over = threading.Event(), threading.Event()

    def read_elsewhere() -> None:
        with rowlocks.platform_turn(["refresh/demo"], seconds=0) as is_ours:
            assert is_ours
            held.set()
            over.wait(20)
        connection.close()

    thread = threading.Thread(target=read_elsewhere)
    thread.start()
    try:
        assert held.wait(10)
        with pytest.raises(InProgress):
            refresh.directory(namespace="demo", folder=refresh.new_folder("demo"))
        assert look(world) == 0
    finally:
        over.set()
        thread.join()
    assert look(world) == 1


def test_a_platform_behind_its_open_breaker_leaves_the_directory_as_it_was(
    world: World, plaza: Any
) -> None:
    look(world)
    gate = Gate("platform")
    shut = Guarded(plaza.port(), gate=gate, shut=shut_platform)
    for _ in range(20):
        gate.enter()
        gate.leave(Heard(fault=True))
    ports.install(platforms={"demo": shut})
    clocks.set_ahead(to=clock.now() + timedelta(hours=HOURS + 0.1))
    with pytest.raises(PlatformUnavailable):
        refresh.directory(namespace="demo", folder=refresh.new_folder("demo"))
    assert look(world) == 0
    assert by_hand.known("demo").snapshot.rows
    ports.install(platforms={"demo": plaza.port()})
    assert look(world) == 1


def test_the_doctor_and_the_metrics_tell_how_old_the_directory_is(world: World) -> None:
    assert health.figures("demo")["onym_directory_seconds"][2] == {(): -1.0}
    (missing,) = doctor_outside._directory(HOURS)
    assert (missing.state, "not there yet" in missing.found) == ("warn", True)
    look(world)
    (fresh,) = doctor_outside._directory(HOURS)
    assert fresh.state == "ok"
    assert 0 <= health.figures("demo")["onym_directory_seconds"][2][()] < 3600
    clocks.set_ahead(to=clock.now() + timedelta(hours=2 * HOURS + 1))
    (old,) = doctor_outside._directory(HOURS)
    assert (old.state, old.found) == ("warn", "the directory is 13 h old, to be read every 6 h")
    assert list(doctor_outside._directory(0)) == []


@pytest.mark.parametrize(("text", "hours"), [("", 0), ("0", 0), ("6", 6), ("744", 744)])
def test_hours_are_whole_numbers(text: str, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONYM_IMPORT_HOURS", text)
    assert numbers.whole("ONYM_IMPORT_HOURS", 0, most=numbers.MOST_HOURS) == hours


@pytest.mark.parametrize("text", ["-1", "1.5", "six", "745", "99999", "٦"])
def test_any_other_interval_is_refused_at_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONYM_IMPORT_HOURS", text)
    with pytest.raises(Malformed):
        numbers.whole("ONYM_IMPORT_HOURS", 0, most=numbers.MOST_HOURS)
