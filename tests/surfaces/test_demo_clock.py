"""The demo's clock as anybody sees it: its date on every page, three buttons, and what they did."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client
from tests import make

from onym.core.errors import InProgress, NotFound
from onym.core.events import TYPES, Event
from onym.flows import clock as flow
from onym.flows import documents, record
from onym.queries import clock as queries
from onym.store.clock import OffsetInProduction
from onym.web import demo, words


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE, settings.DEMO = "demo", True
    settings.MAILBOX_URL = "http://127.0.0.1:1"
    settings.PLATFORM_URL = "http://127.0.0.1:2"
    return make.namespace()


def arrive() -> None:
    """What the jobs process does with the order, as far as its row shows."""
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_jobs set status = 'doing'")
        cursor.execute("update procrastinate_jobs set status = 'succeeded'")


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def test_every_page_says_that_it_is_a_demo_and_what_day_it_is(place: Any) -> None:
    for path in ("/en/", "/en/search", "/en/sign-in", "/en/policies"):
        text = page(Client(), path)
        assert "This is a demonstration" in text
        assert 'href="http://127.0.0.1:1/"' in text
        assert 'href="http://127.0.0.1:2/"' in text
        assert f"{queries.now():%Y}" in re.findall(r"Date in the demo (.*?)</span>", text)[0]
        assert [int(n) for n in re.findall(r'name="days" value="(\d+)"', text)] == [1, 10, 30]


@pytest.mark.parametrize("days", [1, 10, 30])
def test_anybody_steps_the_clock_and_sees_the_way(place: Any, days: int) -> None:
    client = Client()
    answer = client.post("/fr/demo/clock", {"days": days, "back": "/fr/search?q=a"})
    assert answer.status_code == 302
    text = page(client, answer["Location"])
    assert "<progress" in text
    assert 'http-equiv="refresh"' in text
    assert 'hx-get="/fr/demo/clock?from=' in text
    arrive()
    text = page(client, answer["Location"])
    assert "<progress" not in text
    assert 'http-equiv="refresh"' not in text
    assert '<a href="/fr/search?q=a">' in text


def test_while_it_is_on_its_way_nobody_else_steps_it(place: Any) -> None:
    assert Client().post("/en/demo/clock", {"days": "30"}).status_code == 302
    assert Client().post("/en/demo/clock", {"days": "1"}).status_code == 409
    arrive()
    assert Client().post("/en/demo/clock", {"days": "1"}).status_code == 302


def test_of_two_at_once_one_is_refused(place: Any) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def press() -> None:
        start.wait()
        try:
            flow.order_steps(days=1)
            outcomes.append("ordered")
        except InProgress:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ordered", "refused"]


@pytest.mark.parametrize("days", ["", "2", "-1", "400", "1e1", "٣٠", "x" * 10_000])
def test_no_other_step_is_taken(place: Any, days: str) -> None:
    assert Client().post("/en/demo/clock", {"days": days}).status_code == 400
    assert not queries.stepping()


def test_what_happened_is_told_by_kind(place: Any) -> None:
    since = queries.last_event()
    fees = resources.files("onym.core").joinpath("data/fees/flat-5.toml").read_text()
    documents.publish(namespace="demo", kind="fees", text=fees)
    told = {one.type: (one.times, one.handles) for one in queries.happened(since=since)}
    assert told["FeesPublished"] == (1, 1)
    text = page(Client(), f"/en/demo/clock?since={since}")
    assert "Fee schedules published" in text


def test_a_wave_counts_the_handles_that_it_was_about(place: Any) -> None:
    body = {"root": "a" * 64, "sha256": "b" * 64, "count": 41}
    record.log(Event("DirectoryImported", "imp", body), namespace="demo", at=queries.now())
    assert queries.happened(since=0)[0] == queries.Happened("DirectoryImported", 1, 41)


QUERIES = ["since=x", "since=" + "9" * 40, "from=never&to=now", "back=https://evil.example/"]


@pytest.mark.parametrize("query", QUERIES)
def test_a_made_up_address_breaks_nothing_and_leads_nowhere_else(place: Any, query: str) -> None:
    text = page(Client(), f"/en/demo/clock?{query}")
    assert "evil.example" not in text.split("<main")[1].split("</main>")[0]


def test_the_way_is_told_in_per_cent() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    way = [(0, 0), (5, 50), (10, 100), (12, 100), (-1, 0)]
    for passed, percent in way:
        at = now + timedelta(days=passed)
        assert demo._percent(now, now + timedelta(days=10), at) == percent


def test_words_for_events_are_of_events_that_exist() -> None:
    assert set(words.EVENTS) == set(TYPES)


def test_production_has_no_such_page_no_bar_and_no_other_clock(place: Any, settings: Any) -> None:
    settings.DEMO = False
    assert Client().get("/en/demo/clock").status_code == 404
    assert Client().post("/en/demo/clock", {"days": "1"}).status_code == 404
    assert "demonstration" not in page(Client(), "/en/")
    with pytest.raises(NotFound):
        flow.begin(offset_seconds=1)
    with pytest.raises(NotFound):
        flow.set_ahead(to=queries.now() + timedelta(days=1))


def test_production_does_not_answer_over_an_offset(place: Any, settings: Any) -> None:
    flow.begin(offset_seconds=60)
    settings.DEMO = False
    with pytest.raises(OffsetInProduction):
        queries.now()
