"""The measured part of `onym bench pages`: a market, two workers, and who asks them."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle
from statistics import median
from typing import Any

from onym.site import database, embedded, outside, up

HANDLES = 500
SOLD = 300
CONNECTIONS = 16
WORKERS = 2
LOOK_UP, ONE_QUERY = "/api/v1/handles/", "/one/"
WARM_SECONDS = 1.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def main(rounds: int, seconds: float) -> dict[str, Any]:
    """Figures of `rounds` rounds of `seconds` for each of the two."""
    database.set_up()
    with database.connected(migrations="apply") as url:
        names = _market()
        with _served(url) as port:
            _expect_same(port, names)
            for path in (LOOK_UP, ONE_QUERY):
                asked(port, path, names, seconds=WARM_SECONDS)
            taken = [_round(port, names, seconds, turn) for turn in range(rounds)]
    return {
        "ratio_one_query": round(median(look / one for look, one in taken), 3),
        "lookup_per_s": round(median(look for look, _ in taken)),
        "one_query_per_s": round(median(one for _, one in taken)),
        "handles": HANDLES,
        "workers": WORKERS,
        "rounds": rounds,
    }


def _round(port: int, names: list[str], seconds: float, turn: int) -> tuple[float, float]:
    """Answers a second of the look-up and of the plain view; who is first changes."""
    paths = [LOOK_UP, ONE_QUERY] if turn % 2 == 0 else [ONE_QUERY, LOOK_UP]
    taken = {path: asked(port, path, names, seconds=seconds) for path in paths}
    return taken[LOOK_UP], taken[ONE_QUERY]


# Who asks


class Asker:
    """One kept connection: a question goes out once the answer before has come in whole."""

    def __init__(self, port: int) -> None:
        self.link = socket.create_connection(("127.0.0.1", port))
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._came = bytearray()
        self._wanted = b""

    def ask(self, path: str, name: str) -> None:
        self._wanted = f'"handle": "{name}"'.encode()
        self.link.sendall(f"GET {path}{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def has_answer(self) -> bool:
        """Whether all of it is there. Fails when it is not what was asked for."""
        self._came += self.link.recv(65_536)
        head, _, body = bytes(self._came).partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not length or len(body) < int(length):
            return False
        if not head.startswith(b"HTTP/1.1 200") or self._wanted not in body:
            raise AssertionError(f"{self._wanted.decode()} was answered by {head.decode()}")
        self._came.clear()
        return True


def asked(port: int, path: str, names: list[str], *, seconds: float) -> float:
    """Answers a second over all connections."""
    turn, done = cycle(names), 0
    with selectors.DefaultSelector() as waiting:
        for _ in range(CONNECTIONS):
            asker = Asker(port)
            waiting.register(asker.link, selectors.EVENT_READ, asker)
            asker.ask(path, next(turn))
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            for key, _ in waiting.select(timeout=5):
                if key.data.has_answer():
                    done += 1
                    key.data.ask(path, next(turn))
        for key in list(waiting.get_map().values()):
            key.data.link.close()
    return done / (now - start)


def _expect_same(port: int, names: list[str]) -> None:
    """The look-up over the wire says what the pages' own way of reading says."""
    from urllib.request import urlopen

    from onym.api import wire
    from onym.queries import names as queries

    for name in names[:: len(names) // 20]:
        with urlopen(f"http://127.0.0.1:{port}{LOOK_UP}{name}") as answer:  # nosec B310 # ours
            found = json.load(answer)
        if found != json.loads(json.dumps(wire.plain(queries.handle("demo", name)))):
            raise AssertionError(f"the look-up of {name} is not what the page says")


# The server and its market


@contextmanager
def _served(url: str) -> Iterator[int]:
    """The port of the web server as `onym up` starts it."""
    port = _free()
    shared = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "onym.site.settings"}
    web = up.ourselves(shared, port=port, host=up.HOST, workers=WORKERS)[0]
    command = [*web.command[:-1], "onym.site.measured:application"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, env={**os.environ, **web.environment}, stdout=subprocess.DEVNULL
    ) as server:
        try:
            until = time.monotonic() + 60
            while not outside.listens(port) or not web.answers():
                if server.poll() is not None or time.monotonic() > until:
                    raise AssertionError("the web server does not start")
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _market() -> list[str]:
    """Handles with a holder, every second one for sale, and sales that settled before."""
    from onym.store.models import Handle, Listing, Member, Namespace, SaleSlot, Tenure
    from onym.sweep import lexicon

    lexicon.ensure(embedded.data_directory() / "lexicon")
    place = Namespace.objects.create(
        id="demo", title="Bench", profile="x", currency="USD", phase="open", created_at=LONG_AGO
    )
    seller = Member.objects.create(id="mbr_seller", namespace=place, created_at=LONG_AGO)
    buyer = Member.objects.create(id="mbr_buyer", namespace=place, created_at=LONG_AGO)
    names = [f"name{number}" for number in range(HANDLES)]
    rows = Handle.objects.bulk_create(
        Handle(
            namespace=place,
            handle=name,
            display=name,
            state="held",
            account_id=f"acc-{name}",
            touched_at=LONG_AGO,
        )
        for name in names
    )
    Tenure.objects.bulk_create(
        Tenure(handle=row, account_id=f"acc-{row.handle}", held_from=LONG_AGO, cause="registered")
        for row in rows
    )
    listed = rows[::2]
    Listing.objects.bulk_create(
        Listing(
            id=f"lst_{row.pk}",
            namespace=place,
            handle=row,
            seller=seller,
            price_minor=10_000,
            currency="USD",
            opened_at=LONG_AGO,
        )
        for row in listed
    )
    SaleSlot.objects.bulk_create(
        SaleSlot(handle=row, kind="listing", ref=f"lst_{row.pk}", filled_at=LONG_AGO)
        for row in listed
    )
    _sold(place, rows[:SOLD], seller, buyer)
    return names


def _sold(place: Any, rows: list[Any], seller: Any, buyer: Any) -> None:
    from onym.store.models import Sale

    Sale.objects.bulk_create(
        Sale(
            id=f"sal_{number}",
            namespace=place,
            handle=row,
            kind="trade",
            mechanism="listing",
            by=f"lst_{row.pk}",
            buyer=buyer,
            seller=seller,
            buyer_account_id="acc-buyer",
            read_back_account_id="acc-buyer",
            currency="USD",
            price_minor=10_000,
            gross_minor=10_000,
            proceeds_minor=10_000,
            state="settled",
            agreed_at=LONG_AGO,
            funding_until=LONG_AGO,
            closed_at=LONG_AGO + timedelta(hours=number),
        )
        for number, row in enumerate(rows)
    )


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), float(sys.argv[2]))))
