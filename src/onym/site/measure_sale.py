"""The measured part of `onym bench sale`: a server, sales in inspection, both ways in turn."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

from onym.site import database, embedded

SELLERS = 40
PRICE = 40_000
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PROVIDER = "bench"


def main(sales: int, rounds: int) -> dict[str, Any]:
    """Figures of `rounds` rounds over `sales` sales for each way."""
    database.set_up()
    with database.connected(migrations="apply"):
        place = _namespace()
        for number in range(SELLERS):
            _member(place, f"mbr_seller{number}")
        taken = [_round(place, sales, turn) for turn in range(rounds)]
    one = [seconds for seconds, _ in taken]
    bulk = [seconds for _, seconds in taken]
    return {
        "ratio_one_by_one": round(median(a / b for a, b in taken), 2),
        "per_s": round(sales / median(bulk), 1),
        "one_by_one_per_s": round(sales / median(one), 1),
        "sales": sales,
        "rounds": rounds,
        "fsync_ms": _fsync_ms(embedded.data_directory()),
    }


def _round(place: Any, sales: int, turn: int) -> tuple[float, float]:
    """Seconds for one by one and for bulk, on sales of their own; who is first changes."""
    ways: list[Callable[[list[str]], None]] = [_one_by_one, _in_bulk]
    taken = {}
    for way in ways if turn % 2 == 0 else reversed(ways):
        ids = _in_inspection(place, sales, mark=f"{turn}{way.__name__[1]}")
        start = time.perf_counter()
        way(ids)
        taken[way] = time.perf_counter() - start
        _expect_done(ids)
    return taken[_one_by_one], taken[_in_bulk]


def _one_by_one(ids: list[str]) -> None:
    from onym.core.sale import PayoutState
    from onym.flows import ledger, sale

    for id_ in ids:
        sale.inspected(sale_id=id_)
    for payout in _payouts(ids):
        ledger.record_payout(
            payout_id=payout, state=PayoutState.DONE, provider=PROVIDER, provider_id=f"tr_{payout}"
        )


def _in_bulk(ids: list[str]) -> None:
    from onym.flows import ledger, settlement

    settlement.inspected_all(sale_ids=ids)
    paid = {payout: f"tr_{payout}" for payout in _payouts(ids)}
    ledger.record_payouts(paid=paid, provider=PROVIDER)


def _payouts(ids: list[str]) -> list[str]:
    from onym.store.models import Payout

    return list(Payout.objects.filter(sale__in=ids).order_by("id").values_list("id", flat=True))


def _expect_done(ids: list[str]) -> None:
    """Settled, paid out, one leaf each, books in balance: else the figure means nothing."""
    from onym.queries import audit
    from onym.store.models import Event, Payout, Sale

    counts = {
        "settled": Sale.objects.filter(pk__in=ids, state="settled").count(),
        "paid out": Payout.objects.filter(sale__in=ids, state="done").count(),
        "in the log": Event.objects.filter(ref__in=ids, type="SaleSettled").count(),
    }
    broken = [str(c) for c in audit.run() if c.id[0] == "L" and c.verdict == "violated"]
    if set(counts.values()) != {len(ids)} or broken:
        raise AssertionError(f"{counts} of {len(ids)}; {broken}")


def _namespace() -> Any:
    from onym.core import guidelines
    from onym.store.models import Document, Member, Namespace

    place = Namespace.objects.create(
        id="bench", title="Bench", profile="x", currency="USD", phase="open", created_at=LONG_AGO
    )
    fees = resources.files("onym.core").joinpath("data/fees/onym-2026.toml").read_text()
    policy = resources.files("onym.core").joinpath("policies/x-2023.toml").read_text()
    for kind, name, text in (
        ("fees", "onym-2026", fees),
        ("guidelines", "onym-2026", guidelines.built_in()),
        ("policy", "x-2023", policy),
    ):
        Document.objects.create(
            namespace=place,
            kind=kind,
            name=name,
            version=1,
            effective_from=LONG_AGO,
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
    Member.objects.create(id="mbr_house", namespace=place, is_house=True, created_at=LONG_AGO)
    return place


def _member(place: Any, id_: str) -> str:
    """A member with an account and a mail address, who is therefore told of everything."""
    from onym.store import secrets
    from onym.store.models import Link, MailAddress, Member

    row = Member.objects.create(id=id_, namespace=place, created_at=LONG_AGO)
    account, mail = f"acc-{id_}", f"{id_}@mail.example"
    Link.objects.create(namespace=place, member=row, account_id=account, linked_at=LONG_AGO)
    MailAddress.objects.create(
        namespace=place,
        member=row,
        address_sealed=secrets.seal(mail, place=f"mailaddress.address/{id_}"),
        address_index=secrets.index(mail, purpose="mail"),
        verified_at=LONG_AGO,
    )
    return id_


def _in_inspection(place: Any, sales: int, *, mark: str) -> list[str]:
    """Sales made by the market's own flows up to the read-back; inspection has then passed."""
    from onym.flows import clock
    from onym.store.clock import now

    _durable(False)
    made = [_sale(place, f"b{mark}{number}", number) for number in range(sales)]
    clock.set_ahead(to=now() + timedelta(days=30))
    _durable(True)
    return made


def _durable(on: bool) -> None:
    """What is only prepared need not wait for the disk; what is measured does."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"set synchronous_commit = {'on' if on else 'off'}")


def _sale(place: Any, name: str, number: int) -> str:
    from onym.core.money import Money
    from onym.core.sale import PaymentState
    from onym.core.transfer import State
    from onym.flows import listing, payments, transfer
    from onym.store.models import Handle, Payment, Tenure, Transfer

    seller, buyer = f"mbr_seller{number % SELLERS}", _member(place, f"mbr_{name}")
    holder = f"acc-{seller}"
    row = Handle.objects.create(
        namespace=place,
        handle=name,
        display=name,
        state="held",
        account_id=holder,
        touched_at=LONG_AGO,
    )
    Tenure.objects.create(handle=row, account_id=holder, held_from=LONG_AGO, cause="registered")
    listed = listing.open_(
        namespace=place.id, handle=name, seller=seller, price=Money(PRICE, "USD")
    )
    sale = listing.buy(listing_id=listed.id, buyer=buyer)
    Payment.objects.create(
        id=f"pay_{name}",
        sale=sale,
        kind="charge",
        amount_minor=sale.gross_minor,
        currency="USD",
        made_at=sale.agreed_at,
    )
    payments.record_charge(
        payment_id=f"pay_{name}",
        state=PaymentState.PAID,
        provider=PROVIDER,
        provider_id=f"p_{name}",
    )
    order = Transfer.objects.get(sale=sale)
    transfer.look(transfer_id=order.id, holder=holder, last_seen=None, vacated=None)
    transfer.record_move(transfer_id=order.id, state=State.DONE)
    transfer.record_read_back(transfer_id=order.id, holder=f"acc-{buyer}")
    return str(sale.id)


def _fsync_ms(folder: Path) -> float:
    """What one small durable write costs on this disk."""
    taken = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return round(median(taken) * 1000, 3)


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
