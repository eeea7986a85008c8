"""Two web and two jobs hosts beside one database: what one knows, the other knows, and when one
loses power the other goes on. See docs/guides/growing.md.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from tests import make, words
from tests import world as worlds
from tests.demo.servers import until
from tests.surfaces.hosts import ROOT, Host, Network

from onym.flows import people
from onym.site import embedded
from onym.store.models import Sale, SaleSlot

PASSWORD = "orbit-and-tide"
ROUNDS = 12
SALES = 6
PRICE = {"minor": 40_000, "currency": "USD"}


@dataclass
class Place:
    """The market, and where its hosts answer."""

    world: worlds.World
    webs: tuple[str, str]
    web_hosts: tuple[Host, Host]
    job_hosts: tuple[Host, Host]
    environment: dict[str, str]
    network: Network


@pytest.fixture
def place(database: str, settings: Any) -> Iterator[Place]:
    world = worlds.market(settings)
    _give_key(world, settings.DATA)
    words.bring(settings.DATA / "lexicon")
    with (
        tempfile.TemporaryDirectory(prefix="onym-lan-") as folder,
        Network(Path(folder)) as network,
    ):
        yield _hosts(network, world, settings)


def _give_key(world: worlds.World, data: Path) -> None:
    """The key that this platform knows, where the hosts look for theirs."""
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw
    seed = world.out.plaza.key.private_bytes(*raw, serialization.NoEncryption())
    (data / "keys").mkdir()
    (data / "keys" / "platform").write_bytes(base64.urlsafe_b64encode(seed).rstrip(b"="))


def _hosts(network: Network, world: worlds.World, settings: Any) -> Place:
    link = urlsplit(settings.DATABASE_URL)
    socket = f"{parse_qs(link.query)['host'][0]}/.s.PGSQL.5432"
    database = network.host()
    inside = network.serve(database, database.address, **network.lead_out(postgres=socket))
    outside = network.lead_out(
        platform=f"127.0.0.1:{world.out.plaza.program.port}",
        payments=f"127.0.0.1:{world.out.provider.port}",
        smtp=f"127.0.0.1:{world.out.smtp}",
    )
    webs = (network.host(), network.host())
    jobs = (network.host(), network.host())
    for host in (*webs, *jobs):
        known = _environment(settings, inside | network.serve(host, "127.0.0.1", **outside))
        command = _web(host) if host in webs else [sys.executable, "-m", "onym.jobs"]
        host.start(command, known)
    addresses = [network.lead_in(host, 8000) for host in webs]
    for base in addresses:
        until(lambda base=base: _answers(base), seconds=60)
    return Place(world, (addresses[0], addresses[1]), webs, jobs, known, network)


def _environment(settings: Any, ways: dict[str, str]) -> dict[str, str]:
    """One environment for all hosts: addresses and shared secrets, and DATA, which they share."""
    password = urlsplit(settings.DATABASE_URL).password
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ONYM_", "DJANGO_"))}
    smtp, port = ways["smtp"].split(":")
    return kept | {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "DJANGO_SETTINGS_MODULE": "onym.site.settings",
        "DATABASE_URL": f"postgresql://onym:{password}@{ways['postgres']}/onym",
        "ONYM_DATA": str(settings.DATA),
        "ONYM_SECRET_KEY": settings.SECRET_KEY,
        "ONYM_FIELD_KEY": settings.FIELD_KEY,
        "ONYM_LOG_ORIGIN": settings.LOG_ORIGIN,
        "ONYM_HOSTS": "127.0.0.1",
        "ONYM_NAMESPACE": "demo",
        "ONYM_PLATFORM_URL": f"http://{ways['platform']}",
        "ONYM_PAYMENTS_URL": f"http://{ways['payments']}",
        "ONYM_PAYMENTS_KEY": "sk_test_onym",
        "ONYM_PAYMENTS_WEBHOOK_SECRET": worlds.SECRET,
        "ONYM_SMTP_HOST": smtp,
        "ONYM_SMTP_PORT": port,
    }


def _web(host: Host) -> list[str]:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host.address]
    command += ["--port", "8000", "--workers", "1", "--blocking-threads", "8", "--no-ws"]
    return [*command, "--log-level", "warning", "onym.site.wsgi:application"]


def _answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/health", timeout=5).ok
    except requests.RequestException:
        return False


def call(base: str, token: str, path: str, body: Any = None, *, key: str = "") -> Any:
    """A read, or a write under a key."""
    headers = {"Authorization": f"Bearer {token}"}
    if not key:
        return requests.get(f"{base}/api/v1{path}", headers=headers, timeout=60)
    headers["Idempotency-Key"] = key
    return requests.post(f"{base}/api/v1{path}", json=body, headers=headers, timeout=60)


def offered(place: Place, number: int, web: int = 0) -> tuple[str, str]:
    """A listing by a new seller, made at one of the webs: its id and the handle."""
    seller, _, handle = place.world.holder()
    wish = {"handle": handle, "price": PRICE}
    made = call(place.webs[web], make.token(seller), "/listings", wish, key=f"list-{number}")
    assert made.status_code == 201, made.text
    return made.json()["id"], handle


def state(base: str, token: str, sale: str) -> str:
    return str(call(base, token, f"/sales/{sale}").json()["state"])


def test_what_one_host_was_told_the_other_knows(place: Place) -> None:
    one, two = place.webs
    buyer = make.token(place.world.member()[0])
    listing, handle = offered(place, 1)
    assert call(two, buyer, f"/handles/{handle}").json()["sale"]["id"] == listing
    with ThreadPoolExecutor() as threads:
        path = f"/listings/{listing}/buy"
        said = list(threads.map(lambda web: call(web, buyer, path, {}, key="buy"), (one, two)))
    assert [answer.status_code for answer in said] == [201, 201]
    sale, twin = (answer.json()["id"] for answer in said)
    assert sale == twin
    paid = call(two, buyer, f"/sales/{sale}/pay", {"payment_method": "pm_card_visa"}, key="pay")
    assert paid.status_code in (200, 202), paid.text
    until(lambda: state(one, buyer, sale) == "inspection", seconds=60)
    assert call(two, buyer, f"/sales/{sale}/accept", {}, key="ok").json()["state"] == "settled"
    assert state(one, buyer, sale) == "settled"
    place.world.check(sale)


def test_a_session_and_a_rate_hold_at_both(place: Place) -> None:
    people.join(namespace="demo", name="Leila", mail="leila@mail.example", password=PASSWORD)
    browser = requests.Session()
    assert signs_in(browser, place.webs[0], PASSWORD) == 302
    browser.cookies.update(dict(browser.cookies.items()))
    shown = browser.get(f"{place.webs[1]}/en/me", allow_redirects=False, timeout=30)
    assert shown.status_code == 200
    tries = [signs_in(requests.Session(), place.webs[n % 2], "wrong") for n in range(34)]
    assert tries[0] != 429
    assert tries[-2:] == [429, 429], tries


def signs_in(browser: requests.Session, base: str, password: str) -> int:
    page = browser.get(f"{base}/en/sign-in", timeout=30).text
    (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page))
    typed = {"mail": "leila@mail.example", "password": password, "csrfmiddlewaretoken": token}
    return browser.post(
        f"{base}/en/sign-in", data=typed, allow_redirects=False, timeout=30
    ).status_code


def test_of_two_buyers_at_two_hosts_one_wins(place: Place) -> None:
    tokens = [make.token(place.world.member()[0]) for _ in place.webs]
    won = [0, 0]
    with ThreadPoolExecutor() as threads:
        for number in range(ROUNDS):
            listing, handle = offered(place, number, web=number % 2)
            path = f"/listings/{listing}/buy"
            waiting = [
                threads.submit(call, web, token, path, {}, key=f"buy-{number}")
                for web, token in zip(place.webs, tokens, strict=True)
            ]
            said = [one.result() for one in waiting]
            assert sorted(answer.status_code for answer in said) == [201, 409]
            lost = next(answer for answer in said if answer.status_code == 409)
            assert lost.json()["code"] in ("sale_slot_taken", "already_closed")
            won[said[1].status_code == 201] += 1
            assert SaleSlot.objects.filter(handle__handle=handle).count() == 1
    assert sum(won) == ROUNDS


def test_when_a_web_and_a_jobs_host_lose_power_the_others_end_what_was_begun(place: Place) -> None:
    sales = {}
    for number in range(SALES):
        buyer = make.token(place.world.member()[0])
        listing, _ = offered(place, number, web=number % 2)
        bought = call(place.webs[0], buyer, f"/listings/{listing}/buy", {}, key="buy")
        sales[bought.json()["id"]] = buyer
    with ThreadPoolExecutor() as threads:
        pays = [
            threads.submit(pays_quietly, place.webs[n % 2], buyer, sale)
            for n, (sale, buyer) in enumerate(sales.items())
        ]
        until(lambda: Sale.objects.filter(funded_at__isnull=False).exists(), seconds=60)
        place.job_hosts[0].lose_power()
        place.web_hosts[0].lose_power()
        for one in pays:
            one.result()
    for sale, buyer in sales.items():
        pays_quietly(
            place.webs[1], buyer, sale
        )  # again under its key: nothing, or for the first time
        until(lambda s=sale, b=buyer: state(place.webs[1], b, s) == "inspection", seconds=90)
        assert call(place.webs[1], buyer, f"/sales/{sale}/accept", {}, key="ok").status_code == 200
    place.world.check(*sales)


CATALOGUE = (
    "/en/",
    "/en/search?q=w",
    "/en/search?sale=any",
    "/ar/@{handle}",
    "/en/policies",
    "/en/fees",
    "/en/guidelines",
    "/en/log",
    "/en/feeds/listings.atom",
    "/sitemap.xml",
    "/og/{handle}.png",
    "/api/v1/handles/{handle}",
    "/api/v1/handles?q=w",
    "/api/v1/listings",
    "/api/v1/policies",
)


@contextlib.contextmanager
def standby(primary: Path) -> Iterator[embedded.EmbeddedPostgres]:
    """A server of its own that follows the primary's log, from a copy of its files on."""
    with tempfile.TemporaryDirectory(prefix="onym-standby-") as folder:
        data = Path(folder)
        shutil.copytree(primary / "keys", data / "keys")
        command = [embedded.binaries() / "pg_basebackup", "--pgdata", data / "postgres"]
        command += ["--host", embedded.socket_directory(primary), "--username", embedded.NAME]
        command += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        secret = {"PGPASSWORD": embedded.password(primary)}
        subprocess.run(command, check=True, env=os.environ | secret, stdin=subprocess.DEVNULL)
        with embedded.EmbeddedPostgres(data, fast=True) as server:
            yield server


def test_a_catalogue_on_a_standby_shows_what_the_primary_was_told(
    place: Place, postgres: embedded.EmbeddedPostgres
) -> None:
    _, handle = offered(place, 1)
    with standby(postgres.data_dir) as server:
        base, buyer = catalogue_on(place, server), make.token(place.world.member()[0])
        for path in CATALOGUE:
            answer = requests.get(base + path.format(handle=handle), timeout=30)
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        listing, later = offered(place, 2, web=1)
        until(lambda: sold_by(base, buyer, later) == listing, seconds=30)
        refused = call(base, buyer, f"/listings/{listing}/buy", {}, key="buy")
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        bought = call(place.webs[1], buyer, f"/listings/{listing}/buy", {}, key="buy")
        assert bought.status_code == 201, bought.text
        sale = f"/sales/{bought.json()['id']}"
        until(lambda: call(base, buyer, sale).status_code == 200, seconds=30)


def catalogue_on(place: Place, server: embedded.EmbeddedPostgres) -> str:
    """The first web host, begun anew on the standby alone."""
    host = place.web_hosts[0]
    host.lose_power()
    socket = f"{embedded.socket_directory(server.data_dir)}/.s.PGSQL.{embedded.PORT}"
    inside = place.network.serve(host, host.address, **place.network.lead_out(standby=socket))
    url = place.environment["DATABASE_URL"]
    url = url.replace(urlsplit(url).netloc.rpartition("@")[2], inside["standby"])
    host.start(_web(host), place.environment | {"DATABASE_URL": url})
    until(lambda: _answers(place.webs[0]), seconds=60)
    return place.webs[0]


def sold_by(base: str, token: str, handle: str) -> str | None:
    """The listing under which the handle is on sale there."""
    sale = call(base, token, f"/handles/{handle}").json()["sale"]
    return sale["id"] if sale else None


def pays_quietly(base: str, token: str, sale: str) -> None:
    """Whoever pays at a host without power hears nothing."""
    card = {"payment_method": "pm_card_visa"}
    with contextlib.suppress(requests.RequestException):
        call(base, token, f"/sales/{sale}/pay", card, key="pay")
