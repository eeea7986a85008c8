"""What whoever watches over the market sees: readiness by parts, measurements, and log lines."""

from __future__ import annotations

import json
import logging
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob
from tests import make, world

from onym import ports
from onym.core import trace
from onym.core.events import Event
from onym.flows import area, people, record
from onym.jobs import clock as jobs_clock
from onym.jobs.queue import task
from onym.ports.signatures import Signer
from onym.site import logs
from onym.site.counted import Counted
from onym.store import clock
from onym.store.models import DirectoryImport
from onym.store.models import Event as EventRow

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "observing.md"

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any, tmp_path: Path) -> Any:
    settings.DATA, settings.NAMESPACE, settings.METRICS_TOKEN = tmp_path, "demo", ""
    return make.namespace()


def a_worker_was_seen(*, ago: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into procrastinate_workers (last_heartbeat)"
            " values (clock_timestamp() - %s * interval '1 second')",
            [ago],
        )


def ready() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/ready")
    return answer.status_code, answer.json()


# Readiness


def test_it_is_ready_once_a_worker_was_seen_and_says_each_part(place: Any) -> None:
    code, told = ready()
    assert (code, told["missing"]) == (503, ["jobs"])
    a_worker_was_seen(ago=1)
    code, told = ready()
    assert (code, told["status"], told["missing"]) == (200, "ready", [])
    assert set(told["parts"]) == {"database", "jobs", "log", "outside"}
    assert all(part["ok"] for part in told["parts"].values())


def test_a_worker_that_went_silent_makes_it_unready(place: Any) -> None:
    a_worker_was_seen(ago=60)
    assert ready()[1]["missing"] == ["jobs"]


def test_a_log_that_is_late_makes_it_unready(place: Any) -> None:
    a_worker_was_seen(ago=1)
    event = Event("ReleaseStopSet", "demo", {"on": True})
    record.log(event, namespace="demo", at=clock.now())
    assert ready()[0] == 200
    with connection.cursor() as cursor:
        cursor.execute("update store_event set written_at = now() - interval '2 minutes'")
    code, told = ready()
    assert (code, told["missing"]) == (503, ["log"])
    assert told["parts"]["log"]["waiting"] == 1


def test_alive_needs_no_database_and_ready_says_that_it_is_away(settings: Any) -> None:
    program = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "c = Client(); print(c.get('/health').status_code, c.get('/ready').status_code,"
        " c.get('/ready').json()['missing'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environment(DATABASE_URL="postgresql://onym@127.0.0.1:1/onym"),
        capture_output=True,
        text=True,
    )
    assert done.stdout.split("\n")[0] == "200 503 ['database']", done.stderr


def _environment(**more: str) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "ONYM_DEMO": "", **more}


# Measurements


def measured(**headers: str) -> str:
    answer = Client().get("/metrics", headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def value(page: str, name: str, **labels: str) -> float:
    for line in page.splitlines():
        if line.startswith(name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    found = [line for line in page.splitlines() if line.startswith(name)]
    raise AssertionError(f"{name} {labels} is not among {found}")


def test_what_rows_say_is_measured(place: Any) -> None:
    two = [make.member(place) for _ in range(2)]
    for one in two:
        people.grant(member=one.id, role="curator")
    area.set_area(namespace="demo", area="payouts", stopped=True, by=two[0].id)
    page = measured()
    assert value(page, "onym_database_up") == 1
    assert value(page, "onym_area_stopped", area="payouts") == 1
    assert value(page, "onym_area_stopped", area="sales") == 0
    assert value(page, "onym_log_waiting") == EventRow.objects.filter(leaf_index=None).count() > 0
    assert value(page, "onym_unknown", kind="charge") == 0
    assert value(page, "onym_jobs_heartbeat_seconds") == -1


def test_each_measurement_is_in_the_guide_and_no_other(place: Any) -> None:
    Client().get("/health")
    names = set(re.findall(r"(?m)^# TYPE (onym_\w+)", measured()))
    told = set(re.findall(r"`(onym_\w+)`", GUIDE.read_text()))
    base = {re.sub(r"_total$", "", name) for name in names | OUTSIDE}
    assert base == {re.sub(r"_total$", "", name) for name in told}


OUTSIDE = {"onym_outside_calls", "onym_outside_seconds"}


def test_requests_of_all_processes_of_a_host_are_counted_together(place: Any) -> None:
    """Another process answers; this one is asked."""
    route = "/api/v1/handles/<str:handle>"
    program = (
        "import django; django.setup()\n"
        "from onym.site import metrics\n"
        f"metrics.requested(method='GET', route={route!r}, status=299, seconds=0.1)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=_environment(), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert value(measured(), "onym_http_requests_total", route=route, status="299") >= 1


def test_the_id_goes_on_to_the_platform_and_is_no_part_of_what_is_signed(place: Any) -> None:
    signer = Signer(key_id="onym", private_key=Ed25519PrivateKey.generate())
    asked = {"method": "GET", "url": "https://p.example/accounts", "headers": {}, "body": None}
    with trace.working_for("visit-12345"):
        sent = signer.signed(**asked)  # type: ignore[arg-type]  # a table of arguments
        assert world.outside().platform().capabilities().custodian
    assert sent["X-Request-ID"] == "visit-12345"
    assert "x-request-id" not in sent["Signature-Input"].lower()
    assert "X-Request-ID" not in signer.signed(**asked)  # type: ignore[arg-type]  # the same


def test_a_fault_of_what_is_done_daily_does_not_stop_the_clock_of_deadlines(
    place: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.IMPORT_HOURS = "six"
    DirectoryImport.objects.create(
        id="imp_1", namespace=place, path="/nowhere", rows=1, at=clock.now()
    )
    stop = threading.Event()
    keeper = threading.Thread(
        target=jobs_clock.keep_time, args=(stop,), kwargs={"look": 0.02, "daily": 0.0}
    )
    keeper.start()
    until = time.monotonic() + 10
    while len(caplog.records) < 2 and keeper.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    survived = keeper.is_alive()
    stop.set()
    keeper.join()
    assert survived
    assert {one.message for one in caplog.records} == {"what is due could not be done"}


def test_another_host_that_shares_data_counts_for_itself(place: Any) -> None:
    """It numbers its processes as it likes, so a file of its own may have the name of one here."""
    program = (
        "import django; django.setup()\n"
        "from onym.site import metrics\n"
        "metrics.requested(method='GET', route='/elsewhere', status=298, seconds=0.1)\n"
        "print(metrics.FOLDER)"
    )
    words = "hostname elsewhere && exec " + shlex.join([sys.executable, "-c", program])
    done = subprocess.run(
        ["unshare", "--map-root-user", "--uts", "sh", "-c", words],
        env=_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(Path(done.stdout.strip()).glob("counter_*.db"))
    assert "/elsewhere" not in measured()


def test_calls_to_the_outside_are_counted_by_how_they_went(place: Any) -> None:
    there = world.outside()
    ports.install(platforms={"demo": Counted(there.platform(), "platform")})  # type: ignore[dict-item]  # seen as the port
    ports.platform("demo").holder(handle="nobody_here")
    labels = {"outside": "platform", "verb": "holder", "outcome": "answered"}
    assert value(measured(), "onym_outside_calls_total", **labels) >= 1


def test_only_this_machine_or_whoever_has_the_token_sees_them(place: Any, settings: Any) -> None:
    def status(address: str = "127.0.0.1", **headers: str) -> int:
        return Client(REMOTE_ADDR=address).get("/metrics", headers=headers).status_code

    assert status() == 200
    assert status("203.0.113.9") == 404
    assert status(**{"X-Forwarded-For": "203.0.113.9"}) == 404
    settings.METRICS_TOKEN = "a-long-token"
    assert status() == 404
    assert status("203.0.113.9", Authorization="Bearer a-long-token") == 200
    assert status(Authorization="Bearer another") == 404


# Log lines and the request's id


def test_a_request_keeps_its_id_and_another_gets_one(place: Any) -> None:
    given = Client().get("/health", headers={"X-Request-ID": "caller-0001"})
    assert given["X-Request-ID"] == "caller-0001"
    made = Client().get("/health", headers={"X-Request-ID": "<script>"})
    assert re.fullmatch(r"[0-9a-f]{16}", made["X-Request-ID"])


def test_the_id_goes_with_the_jobs_that_a_request_orders(place: Any) -> None:
    with trace.working_for("request-0001"):
        record.defer("notice.send", lock="ntc_1", notice_id="ntc_1")
    record.defer("notice.send", lock="ntc_2", notice_id="ntc_2")
    args = [job.args for job in ProcrastinateJob.objects.order_by("id")]
    assert args == [{"notice_id": "ntc_1", "request_id": "request-0001"}, {"notice_id": "ntc_2"}]


def test_a_job_works_for_the_request_that_ordered_it() -> None:
    seen = []

    @task("test.seen")
    def job(*, number: int) -> None:
        seen.append((number, trace.current()))

    from procrastinate.contrib.django import app

    app.tasks["test.seen"](number=1, request_id="request-0002")
    app.tasks["test.seen"](number=2)
    assert seen == [(1, "request-0002"), (2, "")]


LINES = [
    ("refused for nadia@mail.example", "refused for <address>"),
    ("Authorization: Bearer abc.def-123", "Authorization: Bearer <token>"),
    ("key sk_test_51Habc is wrong", "key <key> is wrong"),
    ("postgresql://onym:hunter2@db/onym", "postgresql://<password>@db/onym"),
    ("GET /en/i/" + "Q" * 43, "GET /en/i/<token>"),
    ("nothing to hide: 12.50 USD", "nothing to hide: 12.50 USD"),
]


@pytest.mark.parametrize(("said", "kept"), LINES)
@pytest.mark.parametrize("formatter", [logs.Json(), logs.Line()])
def test_a_line_holds_no_address_no_token_and_no_key(
    said: str, kept: str, formatter: logging.Formatter
) -> None:
    line = logging.LogRecord("onym", logging.WARNING, "", 0, said, (), None)
    written = formatter.format(line)
    assert (json.loads(written)["message"] if "{" in written else written) == kept


def test_a_json_line_says_who_when_and_for_which_request() -> None:
    told = {"method": "GET", "route": "/en/", "status": 200, "ms": 1.5, "secret": "no"}
    line = logging.LogRecord("onym.access", logging.INFO, "", 0, "done", (), None)
    vars(line).update(told)
    with trace.working_for("request-0003"):
        read = json.loads(logs.Json().format(line))
    assert read.pop("at").endswith("+00:00")
    assert read == {
        "level": "info",
        "logger": "onym.access",
        "message": "done",
        "request_id": "request-0003",
        "method": "GET",
        "route": "/en/",
        "status": 200,
        "ms": 1.5,
    }


def test_an_access_line_names_the_route_and_never_the_address(place: Any, caplog: Any) -> None:
    with caplog.at_level(logging.INFO, logger="onym.access"):
        Client().get("/api/v1/handles/moonlight?q=hidden")
    (line,) = [record for record in caplog.records if record.name == "onym.access"]
    assert "moonlight" not in line.getMessage()
    assert "hidden" not in line.getMessage()
    assert vars(line)["route"].endswith("handles/<handle>")
