"""A true story of a market as entries of its log, and ways of spoiling it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from onym.core import events, fees, leaves, people, record
from onym.core.events import Event
from onym.core.money import Money
from onym.tlog import merkle

START = datetime(2026, 11, 1, tzinfo=UTC)
HASH = "ab" * 32
OTHER = "cd" * 32
VERSIONS = {"fees": "onym-2026/1", "policy": "x-2023/3"}
HOUSE = "mbr_house"
PRIVATE = {"sal_1": ("sal_1", "inv_1", "cmp_1")}
"""What a private sale came from; it opens the prices of all of them."""

ROWS = [
    events.directory_row(handle, account) for handle, account in (("handle", "7"), ("moon", "9"))
]
CANDIDATES = [hashlib.sha256(b"%d" % number).digest() for number in range(5)]


def amount(minor: int) -> dict[str, str]:
    return events.amount(Money(minor, "USD"))


def figures(minor: int, kind: fees.Kind = "trade") -> dict[str, Any]:
    schedule = fees.built_in("onym-2026", currency="USD")
    parts = fees.split(price=Money(minor, "USD"), schedule=schedule, kind=kind)
    names = ("price", "gross", "commission", "proceeds", "fee", "tax", "share")
    return {name: events.amount(getattr(parts, name)) for name in names}


def path(rows: list[bytes], index: int) -> dict[str, Any]:
    read = merkle.reader([merkle.leaf_hash(row) for row in rows])
    proof = merkle.inclusion_proof(index, len(rows), read)
    return {"index": index, "size": len(rows), "path": [item.hex() for item in proof]}


def swept() -> list[Event]:
    """Imported, swept, warned, one handle kept in bulk, one released alone."""
    bulk = {"count": 2, "root": HASH, "sha256": HASH, "policy": "x-2023/3"}
    root = merkle.root_of_rows(ROWS).hex()
    return [
        Event("DirectoryImported", "imp_1", {"count": 2, "root": root, "sha256": HASH}),
        Event(
            "SweepRecorded",
            "swp_1",
            {
                "policy": "x-2023/3",
                "as_of": events.instant(START),
                "counts": {"warn": 2},
                "partitions": [],
            },
        ),
        Event("HandleWarned", "swp_1", bulk),
        Event("Released", "hdl_1", {"handle": "handle", "reasons": ["idle_login"]}),
    ]


def invited() -> list[Event]:
    """The released handle goes to an invited buyer at a price that is hidden until it settles."""
    root = merkle.root_of_rows(CANDIDATES).hex()
    sale = {"sale": "sal_1", "handle": "handle", "buyer": "mbr_acme", "seller": HOUSE}
    terms = figures(5_000_000, "primary")
    approved = {"proposer": "mbr_t1", "approver": "mbr_t2", "shown": HASH, "reason": "price_set"}
    candidate = {"candidate": CANDIDATES[3].hex(), "path": path(CANDIDATES, 3)}
    secret = {"recipient": "x", "handle": "handle", "price": amount(5_000_000)}
    return [
        Event("Approved", "apr_1", {**approved, "action": "campaign"}),
        Event(
            "CandidatesCommitted",
            "cmp_1",
            {
                "campaign": "cmp_1",
                "count": 5,
                "root": root,
                "criteria_sha256": HASH,
                "approval": "apr_1",
            },
        ),
        Event(
            "InvitationSent",
            "inv_1",
            {"campaign": "cmp_1", "expires_at": events.instant(START), **candidate},
            secret,
        ),
        Event("InvitationAccepted", "inv_1", {"campaign": "cmp_1", "position": 3}),
        Event(
            "SaleAgreed",
            "sal_1",
            {**sale, "mechanism": "invitation", "by": "inv_1", "versions": VERSIONS},
            {"price": terms["price"]},
        ),
        Event("SaleFunded", "sal_1", {"sale": "sal_1", "handle": "handle"}, {"gross": amount(1)}),
        Event(
            "TransferReadBack",
            "trf_1",
            {
                "handle": "handle",
                "holder_before": "7",
                "holder_after": "50",
                "sale": "sal_1",
                "imported": {"import": "imp_1", **path(ROWS, 0)},
            },
        ),
        Event("SaleSettled", "sal_1", {**sale, **terms, "versions": VERSIONS}),
    ]


def traded() -> list[Event]:
    """The new holder accepts an offer; commission is paid on top."""
    sale = {"sale": "sal_2", "handle": "handle", "buyer": "mbr_b", "seller": "mbr_acme"}
    terms = {"versions": VERSIONS, **figures(800_000)}
    return [
        Event(
            "OfferAccepted",
            "off_1",
            {
                "handle": "handle",
                "buyer": "mbr_b",
                "seller": "mbr_acme",
                "versions": VERSIONS,
                "price": amount(800_000),
            },
        ),
        Event("SaleAgreed", "sal_2", {**sale, **terms, "mechanism": "offer", "by": "off_1"}),
        Event(
            "SaleFunded", "sal_2", {"sale": "sal_2", "handle": "handle", "gross": terms["gross"]}
        ),
        Event(
            "TransferReadBack",
            "trf_2",
            {
                "handle": "handle",
                "holder_before": "50",
                "holder_after": "60",
                "sale": "sal_2",
                "previous_ref": "trf_1",
            },
        ),
        Event("SaleSettled", "sal_2", {**sale, **terms}),
    ]


def undone() -> list[Event]:
    """The first sale, undone after an appeal: the handle goes back, then all of the money."""
    decided = {"handle": "handle", "outcome": "upheld", "reasons": ["hospital"]}
    moved_back = {"handle": "handle", "holder_before": "50", "holder_after": "7"}
    refunded = {"sale": "sal_1", "handle": "handle", "reason": "appeal_upheld", "appeal": "apl_1"}
    return [
        *swept(),
        *invited(),
        Event("AppealDecided", "apl_1", decided),
        Event("TransferReadBack", "trf_9", moved_back | {"sale": "sal_1", "previous_ref": "trf_1"}),
        Event("SaleRefunded", "sal_1", refunded | {"refund": amount(5_000_000)}),
    ]


def story() -> list[Event]:
    return [*swept(), *invited(), *traded()]


def priced() -> list[Event]:
    """The same with a committed staff, the campaign's price set before, and a listing of the house.

    t1 and t2 are all of the staff, so whoever reads the log can recompute their set.
    """
    told = story()
    at = place(told, "CandidatesCommitted", "cmp_1")
    told[at:at] = price_set("cmp_1", 5_000_000, is_public=False, handle="handle", approval="apr_1")
    listed = {"handle": "moon", "price": amount(40_000), "seller": HOUSE, "versions": VERSIONS}
    told += price_set("lst_1", 40_000, is_public=True, handle="moon")
    told.append(Event("ListingOpened", "lst_1", listed))
    return [staff("mbr_t1", "mbr_t2"), *told]


def staff(*members: str) -> Event:
    body = {"root": people.staff_root(members).hex(), "count": len(members)}
    return Event("StaffSetCommitted", "demo", body)


def price_set(ref: str, minor: int, *, is_public: bool, handle: str, **more: str) -> list[Event]:
    """An appraisal by model onym/1 and the price that was set beside it."""
    worth = {name: amount(minor // 2) for name in ("low", "mid", "high")}
    seen = {"handle": handle, "tier": "rare", **worth}
    price = {"handle": handle, "price": amount(minor)}
    model = {"model": "onym/1"}
    if is_public:
        return [
            Event("Appraised", ref, model | seen),
            Event("PriceSet", ref, model | more | price),
        ]
    return [Event("Appraised", ref, model, seen), Event("PriceSet", ref, model | more, price)]


def seal(told: list[Event]) -> list[bytes]:
    """Entries a minute apart; SaleSettled publishes the prices that led to it, unless it has."""
    entries: list[bytes] = []
    opened: dict[tuple[str, str], Any] = {}
    for number, event in enumerate(told):
        body = dict(event.body)
        if event.type == "SaleSettled" and "opens" not in body:
            found = [(type, ref) for type, ref in opened if ref in PRIVATE.get(event.ref, ())]
            items = [events.published(*key, "price", opened[key]) for key in found]
            body |= {"opens": items} if items else {}
        sealed = events.seal(
            Event(event.type, event.ref, body, event.committed),
            namespace="demo",
            at=START + timedelta(minutes=number),
            salt=lambda: b"s" * 32,
        )
        if "price" in sealed.openings:
            opened[event.type, event.ref] = sealed.openings["price"]
        entries.append(sealed.entry)
    return entries


def outcome(entries: list[bytes], name: str) -> leaves.Check:
    (found,) = [one for one in record.check(entries) if one.name.startswith(name)]
    return found


def place(told: list[Event], type: str, ref: str) -> int:
    return next(n for n, event in enumerate(told) if (event.type, event.ref) == (type, ref))


def changed(told: list[Event], type: str, ref: str, **body: Any) -> list[Event]:
    """The story with other fields in one event; a field given as None is left out."""
    at = place(told, type, ref)
    fields = {key: value for key, value in {**told[at].body, **body}.items() if value is not None}
    hidden = {key: value for key, value in told[at].committed.items() if key not in fields}
    return [*told[:at], Event(type, ref, fields, hidden), *told[at + 1 :]]


def without(told: list[Event], type: str, ref: str) -> list[Event]:
    at = place(told, type, ref)
    return [*told[:at], *told[at + 1 :]]


def moved(told: list[Event], type: str, ref: str, to: int) -> list[Event]:
    rest = without(told, type, ref)
    return [*rest[:to], told[place(told, type, ref)], *rest[to:]]


ORDER = "sweeps"
INVITED = "invited"
FORWARD = "sales go"
PATH = "every sale"
FEES = "fees"
OPENED = "opened"
TWO = "two people"
HOLDERS = "holders"
PRICES = "staff's prices"
STAFF = "staff stay"
