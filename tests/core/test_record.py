"""The record: a true story passes every check, and each lie in it is found and its leaf named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import events, fees, record
from onym.core.events import Event
from onym.core.money import Money
from onym.tlog import merkle

START = datetime(2026, 11, 1, tzinfo=UTC)
HASH = "ab" * 32
OTHER = "cd" * 32
VERSIONS = {"fees": "onym-2026/1", "policy": "x-2023/3"}
HOUSE = "mbr_house"

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


def story() -> list[Event]:
    return [*swept(), *invited(), *traded()]


def seal(told: list[Event]) -> list[bytes]:
    """Entries a minute apart; SaleSettled publishes what SaleAgreed committed."""
    entries: list[bytes] = []
    opened: dict[str, Any] = {}
    for number, event in enumerate(told):
        body = dict(event.body)
        if event.type == "SaleSettled" and event.ref in opened and "opens" not in body:
            body["opens"] = [events.published("SaleAgreed", event.ref, "price", opened[event.ref])]
        sealed = events.seal(
            Event(event.type, event.ref, body, event.committed),
            namespace="demo",
            at=START + timedelta(minutes=number),
            salt=lambda: b"s" * 32,
        )
        if event.type == "SaleAgreed" and "price" in sealed.openings:
            opened[event.ref] = sealed.openings["price"]
        entries.append(sealed.entry)
    return entries


def outcome(entries: list[bytes], name: str) -> record.Check:
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


def test_a_true_story_passes_every_check_and_says_what_had_no_subject() -> None:
    checks = record.check(seal(story()))
    assert [one.name for one in checks] == list(record.RULES)
    assert {one.name for one in checks if one.status == "no subject"} == {
        "closed lots and draws recompute"
    }
    assert [one for one in checks if one.status == "violated"] == []
    assert [one.leaf for one in checks] == [None] * len(checks)


def test_an_empty_log_has_no_subject_for_any_check() -> None:
    assert {one.status for one in record.check([])} == {record.Status.NO_SUBJECT}


ORDER = "sweeps"
INVITED = "invited"
FORWARD = "sales go"
PATH = "every sale"
FEES = "fees"
OPENED = "opened"
TWO = "two people"
HOLDERS = "holders"

LIES: list[tuple[str, str, Callable[[list[Event]], list[Event]], str, str]] = [
    (
        ORDER,
        "a warning without a sweep",
        lambda told: without(told, "SweepRecorded", "swp_1"),
        "HandleWarned swp_1",
        "HandleWarned without SweepRecorded",
    ),
    (
        ORDER,
        "a sweep recorded after its warnings",
        lambda told: moved(told, "SweepRecorded", "swp_1", 3),
        "HandleWarned swp_1",
        "HandleWarned without SweepRecorded",
    ),
    (
        ORDER,
        "a release without a warning",
        lambda told: without(told, "HandleWarned", "swp_1"),
        "Released hdl_1",
        "Released without HandleWarned",
    ),
    (
        ORDER,
        "a release after the warning of another handle",
        lambda told: [
            Event("HandleWarned", "hdl_2", {"handle": "moon", "reasons": []}) if n == 2 else event
            for n, event in enumerate(told)
        ],
        "Released hdl_1",
        "Released without HandleWarned",
    ),
    (
        INVITED,
        "a candidate who was not committed",
        lambda told: changed(told, "InvitationSent", "inv_1", candidate=OTHER),
        "InvitationSent inv_1",
        "not among those committed",
    ),
    (
        INVITED,
        "a candidate at another position",
        lambda told: changed(told, "InvitationSent", "inv_1", path=path(CANDIDATES, 2)),
        "InvitationSent inv_1",
        "not among those committed",
    ),
    (
        INVITED,
        "candidates committed after the mail",
        lambda told: moved(told, "CandidatesCommitted", "cmp_1", 7),
        "InvitationSent inv_1",
        "committed to nobody before",
    ),
    (
        FORWARD,
        "money before an agreement",
        lambda told: without(told, "SaleAgreed", "sal_2"),
        "SaleFunded sal_2",
        "SaleFunded without SaleAgreed",
    ),
    (
        FORWARD,
        "settled unfunded",
        lambda told: without(told, "SaleFunded", "sal_2"),
        "SaleSettled sal_2",
        "SaleSettled without SaleFunded",
    ),
    (
        FORWARD,
        "settled before the platform was asked",
        lambda told: moved(told, "TransferReadBack", "trf_2", 16),
        "SaleSettled sal_2",
        "SaleSettled without TransferReadBack",
    ),
    (
        FORWARD,
        "paid out and refunded",
        lambda told: [
            *told,
            Event(
                "SaleRefunded",
                "sal_2",
                {"sale": "sal_2", "handle": "handle", "reason": "x", "refund": amount(5)},
            ),
        ],
        "SaleRefunded sal_2",
        "ended twice",
    ),
    (
        PATH,
        "an offer that nobody accepted",
        lambda told: without(told, "OfferAccepted", "off_1"),
        "SaleAgreed sal_2",
        "no offer off_1",
    ),
    (
        PATH,
        "an invitation that was never sent",
        lambda told: without(told, "InvitationSent", "inv_1"),
        "SaleAgreed sal_1",
        "no invitation inv_1",
    ),
    (
        PATH,
        "an invitation that nobody accepted",
        lambda told: without(told, "InvitationAccepted", "inv_1"),
        "SaleAgreed sal_1",
        "no invitation inv_1",
    ),
    (
        PATH,
        "an offer accepted after the sale",
        lambda told: moved(told, "OfferAccepted", "off_1", 13),
        "SaleAgreed sal_2",
        "no offer off_1",
    ),
    (
        PATH,
        "an offer at another price",
        lambda told: changed(told, "OfferAccepted", "off_1", price=amount(1)),
        "SaleAgreed sal_2",
        "something else",
    ),
    (
        PATH,
        "an offer by another buyer",
        lambda told: changed(told, "OfferAccepted", "off_1", buyer="mbr_x"),
        "SaleAgreed sal_2",
        "something else",
    ),
    (
        PATH,
        "an offer for another handle",
        lambda told: changed(told, "OfferAccepted", "off_1", handle="moon"),
        "SaleAgreed sal_2",
        "something else",
    ),
    (
        PATH,
        "a mechanism that does not exist",
        lambda told: changed(told, "SaleAgreed", "sal_2", mechanism="favour"),
        "SaleAgreed sal_2",
        "no favour off_1",
    ),
    (
        FEES,
        "a commission one unit short",
        lambda told: changed(told, "SaleSettled", "sal_2", commission=amount(36_999)),
        "SaleSettled sal_2",
        "not those of onym-2026/1",
    ),
    (
        FEES,
        "a gross that is not the sum",
        lambda told: changed(told, "SaleAgreed", "sal_2", gross=amount(800_000)),
        "SaleAgreed sal_2",
        "not those of onym-2026/1",
    ),
    (
        FEES,
        "a trade spared its commission",
        lambda told: changed(told, "SaleSettled", "sal_2", **figures(800_000, "primary")),
        "SaleSettled sal_2",
        "mbr_acme is not the house",
    ),
    (
        FEES,
        "another price settled than agreed",
        lambda told: changed(told, "SaleSettled", "sal_2", **figures(900_000)),
        "SaleSettled sal_2",
        "its price is not the one agreed",
    ),
    (
        FEES,
        "a schedule that nobody knows",
        lambda told: changed(told, "SaleSettled", "sal_2", versions={"fees": "mine/9"}),
        "SaleSettled sal_2",
        "mine/9 is neither",
    ),
    (
        OPENED,
        "an opened price that was not committed",
        lambda told: changed(
            told,
            "SaleSettled",
            "sal_1",
            opens=[
                events.published(
                    "SaleAgreed", "sal_1", "price", {"salt": "73" * 32, "value": amount(4_999_999)}
                )
            ],
        ),
        "SaleSettled sal_1",
        "is not the one committed",
    ),
    (
        OPENED,
        "a commitment that was never made",
        lambda told: changed(
            told,
            "SaleSettled",
            "sal_1",
            opens=[
                events.published(
                    "SaleAgreed", "sal_9", "price", {"salt": "73" * 32, "value": amount(5_000_000)}
                )
            ],
        ),
        "SaleSettled sal_1",
        "never committed",
    ),
    (
        OPENED,
        "another price used than opened",
        lambda told: changed(told, "SaleSettled", "sal_1", price=amount(5_000_001)),
        "SaleSettled sal_1",
        "not the one used",
    ),
    (
        TWO,
        "one person who approves alone",
        lambda told: changed(told, "Approved", "apr_1", approver="mbr_t1"),
        "Approved apr_1",
        "one person alone",
    ),
    (
        TWO,
        "an approval that is not there",
        lambda told: without(told, "Approved", "apr_1"),
        "CandidatesCommitted cmp_1",
        "approval apr_1 is not",
    ),
    (
        TWO,
        "an approval after the act",
        lambda told: moved(told, "Approved", "apr_1", 8),
        "CandidatesCommitted cmp_1",
        "approval apr_1 is not",
    ),
    (
        HOLDERS,
        "a holder other than the import shows",
        lambda told: changed(told, "TransferReadBack", "trf_1", holder_before="8"),
        "TransferReadBack trf_1",
        "does not show handle with",
    ),
    (
        HOLDERS,
        "an import that is not there",
        lambda told: without(told, "DirectoryImported", "imp_1"),
        "TransferReadBack trf_1",
        "not in the log",
    ),
    (
        HOLDERS,
        "a holder other than the last transfer left",
        lambda told: changed(told, "TransferReadBack", "trf_2", holder_before="51"),
        "TransferReadBack trf_2",
        "was left with 50",
    ),
    (
        HOLDERS,
        "a transfer passed over",
        lambda told: changed(
            told,
            "TransferReadBack",
            "trf_2",
            holder_before="7",
            previous_ref=None,
            imported={"import": "imp_1", **path(ROWS, 0)},
        ),
        "TransferReadBack trf_2",
        "passes over",
    ),
    (
        HOLDERS,
        "no transfer named",
        lambda told: changed(told, "TransferReadBack", "trf_2", previous_ref=None),
        "TransferReadBack trf_2",
        "does not name leaf",
    ),
    (
        HOLDERS,
        "a transfer before that is missing",
        lambda told: without(told, "TransferReadBack", "trf_1"),
        "TransferReadBack trf_2",
        "not in the log",
    ),
]


@pytest.mark.parametrize(
    ("name", "spoil", "leaf", "says"),
    [lie[:1] + lie[2:] for lie in LIES],
    ids=[lie[1].replace(" ", "-") for lie in LIES],
)
def test_each_lie_is_found_and_its_leaf_named(
    name: str, spoil: Callable[[list[Event]], list[Event]], leaf: str, says: str
) -> None:
    told = spoil(story())
    found = outcome(seal(told), name)
    assert found.status == "violated"
    assert says in found.detail
    type, ref = leaf.split()
    assert found.leaf == place(told, type, ref)


def test_a_leaf_index_names_the_transfer_before_as_well_as_its_ref_does() -> None:
    told = story()
    index = place(told, "TransferReadBack", "trf_1")
    told = changed(told, "TransferReadBack", "trf_2", previous_ref=None, previous=index)
    assert outcome(seal(told), HOLDERS).status == "ok"
    told = changed(told, "TransferReadBack", "trf_2", previous=index - 1)
    assert outcome(seal(told), HOLDERS).status == "violated"


def test_after_a_new_import_a_transfer_rests_on_that_import() -> None:
    rows = [events.directory_row("handle", "77")]
    later = Event(
        "DirectoryImported",
        "imp_2",
        {"count": 1, "root": merkle.root_of_rows(rows).hex(), "sha256": HASH},
    )
    told = story()
    told.insert(place(told, "OfferAccepted", "off_1"), later)
    imported = {"import": "imp_2", **path(rows, 0)}
    told = changed(
        told,
        "TransferReadBack",
        "trf_2",
        holder_before="77",
        previous_ref=None,
        imported=imported,
    )
    assert outcome(seal(told), HOLDERS).status == "ok"


def test_a_handle_that_no_import_holds_begins_its_own_chain() -> None:
    event = Event(
        "TransferReadBack", "trf_9", {"handle": "new", "holder_before": None, "holder_after": "3"}
    )
    assert outcome(seal([event]), HOLDERS).status == "ok"


def test_leaves_of_one_decision_may_stand_in_either_order() -> None:
    told = traded()[:2]
    entries = [
        events.seal(event, namespace="demo", at=START, salt=bytes).entry
        for event in (told[1], told[0])
    ]
    assert outcome(entries, PATH).status == "ok"


def free(ref: str, mechanism: str, buyer: str, seller: str) -> Event:
    terms = {"versions": VERSIONS, **figures(1000, "primary")}
    people = {"buyer": buyer, "seller": seller, "mechanism": mechanism, "by": "x"}
    return Event("SaleAgreed", ref, {"sale": ref, "handle": "a", **people, **terms})


def test_sales_without_commission_share_one_house_as_seller_or_as_house_buyer() -> None:
    sales = [
        free("sal_1", "listing", "a", HOUSE),
        free("sal_2", "invitation", "b", HOUSE),
        free("sal_3", "house", HOUSE, "c"),
        free("sal_4", "listing", HOUSE, "c"),
    ]
    assert outcome(seal(sales[:3]), FEES).status == "ok"
    assert outcome(seal(sales), FEES).leaf == 3


def test_a_schedule_published_in_the_log_is_used_and_recomputes() -> None:
    own = fees.Schedule(
        id="mine",
        version=2,
        effective_from=START,
        currency="USD",
        payer="seller",
        bands=(fees.Band(100_000, 5_000), fees.Band(50_000, None)),
        least_price_minor=1,
        least_commission_minor=7,
        initiate_minor=25,
    )
    published = Event(
        "FeesPublished",
        "mine/2",
        {
            "id": "mine",
            "version": "2",
            "effective_from": events.instant(START),
            "sha256": HASH,
            "schedule": record.fee_table([own]),
        },
    )
    parts = fees.split(price=Money(9_999, "USD"), schedule=own)
    names = ("price", "gross", "commission", "proceeds", "fee", "tax", "share")
    terms = {name: events.amount(getattr(parts, name)) for name in names}
    body = {"sale": "sal_1", "handle": "a", "buyer": "b", "seller": "c", **terms}
    sale = Event("SaleSettled", "sal_1", {**body, "versions": {"fees": "mine/2"}})
    assert outcome(seal([published, sale]), FEES).status == "ok"
    wrong = Event("SaleSettled", "sal_1", {**sale.body, "commission": amount(1)})
    assert outcome(seal([published, wrong]), FEES).status == "violated"
    assert outcome(seal([sale]), FEES).status == "violated"


def test_an_entry_that_cannot_be_read_or_has_unknown_fields_is_named() -> None:
    entries = seal(swept())
    assert outcome([*entries, b"{}"], "entries").leaf == 4
    more = entries[3].replace(b'"handle":"handle"', b'"handle":"handle","name":"Ann"')
    found = outcome([*entries[:3], more], "entries")
    assert (found.leaf, "name is not a field" in found.detail) == (3, True)
    unknown = entries[3].replace(b"Released", b"Reversed")
    assert "no such event: Reversed" in outcome([unknown], "entries").detail
    text = entries[3].replace(b"idle_login", b"said hello")
    assert "reasons may not hold" in outcome([text], "entries").detail


def test_a_lot_or_draw_is_not_vouched_for() -> None:
    event = Event(
        "Drawn", "drp_1", {"drop": "drp_1", "randomness": "r", "seed": HASH, "result": []}
    )
    assert outcome(seal([event]), "closed lots").status == "violated"


TRUE = seal(story())
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "a", "00", HASH, "sal_1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


@given(st.data())
def test_no_entry_however_odd_breaks_the_checks(data: st.DataObject) -> None:
    entries = list(TRUE)
    at = data.draw(st.integers(0, len(entries) - 1))
    entry = json.loads(entries[at])
    keys = [*entry["body"], *events.KINDS]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        junk = data.draw(JUNK | st.sampled_from([amount(5), {"USD": {"payer": "buyer"}}, VERSIONS]))
        entry["body"][key] = junk
    entry["type"] = data.draw(st.sampled_from([entry["type"], *events.TYPES]))
    checks = record.check([*entries[:at], events.canonical(entry), *entries[at + 1 :]])
    assert len(checks) == len(record.RULES)


@given(st.data())
def test_no_published_schedule_however_odd_breaks_the_checks(data: st.DataObject) -> None:
    table = {**record.fee_table([fees.built_in("onym-2026", currency="USD")])["USD"]}
    table[data.draw(st.sampled_from(sorted(table)))] = data.draw(JUNK)
    schedule = data.draw(st.sampled_from([table, {"USD": table}]) | JUNK)
    body = {"id": "onym-2026", "version": "1", "effective_from": events.instant(START)}
    try:
        told = Event("FeesPublished", "f", {**body, "sha256": HASH, "schedule": schedule})
    except ValueError:
        return
    assert len(record.check(seal([told, *traded()]))) == len(record.RULES)
