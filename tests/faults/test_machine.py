"""The machine fails us: no space, no connection left, no mail server, a clock an hour off. Nothing
is half done, nothing is lost, and it goes on by itself once the machine is well."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from tests import make
from tests import world as worlds
from tests.demo.servers import free_port
from tests.surfaces import keeping

from onym import ports
from onym.flows import listing, log
from onym.ports.mail import DjangoMail
from onym.store.models import Event, Notice, Sale

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def run(program: str, *prefix: str, **environment: str) -> dict[str, Any]:
    """What a Python program of its own prints as JSON on its last line."""
    paths = f"{ROOT / 'src'}:{ROOT}"
    done = subprocess.run(
        [*prefix, sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


# No space

FULL = """
import json, os, subprocess, sys
data = os.environ["ONYM_DATA"]
def sh(*words): return subprocess.run(words, capture_output=True, text=True)
def onym(*words):
    return sh(sys.executable, "-m", "onym.site.command", *words, "--json")
filler = os.path.join(data, "filler")
with open(filler, "wb") as file:
    try:
        while True: file.write(b"x" * 65536); file.flush()
    except OSError: pass
import django; django.setup()
from onym.core.events import Event
from onym.flows import log, record
from onym.store import clock
before = open(data + "/log/checkpoint").read()
for n in range(300):
    record.log(Event("ReleaseStopSet", "demo", {"on": True}), namespace="demo", at=clock.now())
try: log.integrate(); signed = "signed"
except OSError as fault: signed = os.strerror(fault.errno)
same = open(data + "/log/checkpoint").read() == before
backup = json.loads(onym("backup", data + "/backup.tar").stdout)["code"]
left = [name for name in os.listdir(data) if "backup" in name]
os.unlink(filler)
size = log.integrate()
whole = sh(sys.executable, "-m", "onym.site.command", "verify", data + "/log").returncode
print(json.dumps([signed, same, backup, left, size, whole]))
"""


def test_a_full_disk_signs_nothing_and_backs_nothing_up_and_then_all_of_it(
    database: str, settings: Any, tmp_path: Path
) -> None:
    """DATA lies on a file system of two megabytes, in a mount namespace of the program's own."""
    home = keeping.market(settings, tmp_path / "data")
    script = (
        'mount -t tmpfs -o size=2m none "$0" && cp -r "$1"/log "$1"/keys "$1"/namespaces "$0" '
        '&& exec "$2" -c "$3"'
    )
    aside = tmp_path / "small"
    aside.mkdir()
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-rm"]
    words = [*apart, "sh", "-c", script, str(aside), str(home.data), sys.executable, FULL]
    done = subprocess.run(
        words,
        env=environment_of(home, aside),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    signed, same, backup, left, size, whole = json.loads(done.stdout.strip().splitlines()[-1])
    assert (signed, same) == ("No space left on device", True)
    assert (backup, left) == ("disk_full", [])
    assert (size, whole) == (303, 0)


def environment_of(home: keeping.Place, data: Path) -> dict[str, str]:
    return home.environment(
        ONYM_DATA=str(data),
        DJANGO_SETTINGS_MODULE="onym.site.settings",
        PYTHONPATH=f"{ROOT / 'src'}:{ROOT}",
    )


# No connection left

EXHAUSTED = """
import json, threading
from django.conf import settings
import django; django.setup()
settings.DATABASES["default"]["OPTIONS"]["pool"]["timeout"] = 0.5
from django.db import connection
from django.test import Client
path = "/api/v1/handles/moon"
held, done = threading.Event(), threading.Event()
def hold():
    with connection.cursor() as cursor:
        cursor.execute("select 1"); held.set(); done.wait(30)
    connection.close()
thread = threading.Thread(target=hold); thread.start(); held.wait(10)
refused, page = Client().get(path), Client().get("/en/").status_code
alive = Client().get("/health").status_code
ready = Client().get("/ready").json()["missing"]
done.set(); thread.join()
said = [refused.status_code, refused.json()["code"], page, alive, ready]
print(json.dumps([*said, Client().get(path).status_code]))
"""


def test_when_every_connection_is_taken_a_request_is_refused_in_time_and_the_next_is_not(
    database: str,
) -> None:
    make.namespace()
    environment = {"ONYM_POOL": "1", "ONYM_NAMESPACE": "demo", "ONYM_DEMO": ""}
    said = run(EXHAUSTED, **environment)
    assert said == [503, "database_unavailable", 503, 200, ["database"], 200]


# No mail server


def test_mail_that_cannot_leave_is_kept_and_leaves_once_when_the_server_is_back(
    world: worlds.World,
) -> None:
    seller, _, handle = world.holder(mail=f"s{free_port()}@people.example")
    address = f"b{free_port()}@people.example"
    buyer, *_ = world.member(mail=address)
    ports.install(mail=DjangoMail(host="127.0.0.1", port=free_port(), timeout=1))
    listed = listing.open_(
        namespace=world.place.id, handle=handle, seller=seller.id, price=make.usd(400)
    )
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    world.drain(hurry=True)
    assert set(Notice.objects.values_list("state", flat=True)) == {"unknown"}
    assert Sale.objects.get().state == "funding", "the market goes on without mail"
    assert world.out.letters(address) == []
    world.install()
    world.drain(hurry=True)
    assert set(Notice.objects.values_list("state", flat=True)) == {"sent"}
    told = Notice.objects.filter(about=sale.id).count()
    letters = world.out.letters(address)
    assert 0 < len(letters) <= told
    copies = requests.get(
        f"{world.out.mailbox.base}/demo/copies", params={"to": address}, timeout=5
    ).json()
    assert copies, letters


# A clock an hour off

SKEWED = """
import datetime as module, json, os, time
skew = float(os.environ["SKEW"])
real, Real = time.time, module.datetime
time.time = lambda: real() + skew
class Skewed(Real):
    @classmethod
    def now(cls, tz=None): return Real.fromtimestamp(real() + skew, tz)
module.datetime = Skewed
import django; django.setup()
from onym.core.errors import Refusal
from onym.flows import payments
from onym.jobs import clock as jobs
from onym.queries import due
from onym.store import clock
from onym.store.models import Sale
from onym.site import keys
from onym import ports
said = {"apart": round((clock.machine() - clock.now()).total_seconds() / 3600, 1)}
jobs.run_all(due.until(clock.now()))
said["state"] = Sale.objects.get().state
try: said["platform"] = ports.platform("demo").holder(handle="moon").account_id
except Refusal as refusal: said["platform"] = refusal.code
print(json.dumps(said))
"""


@pytest.mark.parametrize("skew", [HOUR, pytest.param(-HOUR, marks=pytest.mark.faults)])
def test_a_machine_an_hour_off_moves_no_deadline_and_is_turned_away_by_the_platform(
    world: worlds.World, skew: int, tmp_path: Path
) -> None:
    """A jobs process whose clock is off: the database's decides, and what it signs is refused."""
    seller, _, handle = world.holder()
    buyer, *_ = world.member()
    listed = listing.open_(namespace="demo", handle=handle, seller=seller.id, price=make.usd(400))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    world.drain()
    environment = {
        "SKEW": str(skew),
        "ONYM_DEMO": "1",
        "ONYM_DATA": str(tmp_path),
        "ONYM_PLATFORM_URL": world.out.plaza.program.base,
    }
    seed = world.out.plaza.key.private_bytes_raw()
    (tmp_path / "keys").mkdir()
    kept = base64.urlsafe_b64encode(seed).decode().rstrip("=")
    (tmp_path / "keys" / "platform").write_text(kept)
    right = run(SKEWED, **environment | {"SKEW": "0"})
    assert right == {"apart": 0.0, "state": "funding", "platform": world.holds("moon")}
    half = (sale.funding_until - world.now()).total_seconds() - HOUR / 2
    world.step(half)
    before = run(SKEWED, **environment)
    assert before["state"] == "funding"
    world.step(HOUR)
    after = run(SKEWED, **environment)
    assert after["state"] == "expired"
    assert before["platform"] == after["platform"] == "platform_unavailable"
    assert Event.objects.filter(type="SaleClosed", ref=sale.id).count() == 1
    assert log.integrate() > 0
