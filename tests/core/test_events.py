"""Events: what may stand in a leaf, and that a leaf reads back and opens."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import events
from onym.core.money import Money

AT = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
PRICE = {"minor": "5000000", "currency": "USD"}
HASH = "ab" * 32


def a_sale(**overrides: Any) -> dict[str, Any]:
    return {
        "sale": "sal_1",
        "handle": "moon",
        "mechanism": "offer",
        "by": "off_1",
        "buyer": "mbr_1",
        "seller": "mbr_2",
        "versions": {"fees": "onym-2026/1"},
        **overrides,
    }


def salts() -> Any:
    counter = iter(range(256))
    return lambda: bytes([next(counter)]) * 32


def seal(event: events.Event) -> events.Sealed:
    return events.seal(event, namespace="demo", at=AT, salt=salts())


def test_a_leaf_is_canonical_json_with_exactly_these_bytes() -> None:
    event = events.Event("PhaseSet", "demo", {"after": "open", "before": "invited"})
    assert seal(event).entry == (
        b'{"at":"2026-11-20T12:00:00.000005Z","body":{"after":"open","before":"invited"},'
        b'"namespace":"demo","ref":"demo","type":"PhaseSet","v":1}'
    )


def test_a_leaf_reads_back() -> None:
    entry = events.read(seal(events.Event("SaleAgreed", "sal_1", a_sale(price=PRICE))).entry)
    assert (entry.type, entry.namespace, entry.ref) == ("SaleAgreed", "demo", "sal_1")
    assert entry.at == "2026-11-20T12:00:00.000005Z"
    assert events.money(entry.body["price"]) == Money(5_000_000, "USD")


def test_a_committed_price_is_hidden_and_opens() -> None:
    sealed = seal(events.Event("SaleAgreed", "sal_1", a_sale(), {"price": PRICE}))
    assert b"5000000" not in sealed.entry
    hidden = events.read(sealed.entry).body["price_commitment"]
    opening = sealed.openings["price"]
    assert opening == {"salt": "00" * 32, "value": PRICE}
    assert events.open_commitment("SaleAgreed", "price", commitment_hex=hidden, opening=opening)


@pytest.mark.parametrize(
    ("type", "field", "change"),
    [
        ("SaleAgreed", "price", {"value": {"minor": "5000001", "currency": "USD"}}),
        ("SaleAgreed", "price", {"salt": "01" * 32}),
        ("SaleAgreed", "price", {"salt": "00" * 31}),
        ("SaleAgreed", "price", {"salt": "no"}),
        ("SaleAgreed", "gross", {}),
        ("PriceSet", "price", {}),
    ],
)
def test_another_value_salt_field_or_type_does_not_open_it(
    type: str, field: str, change: dict[str, Any]
) -> None:
    sealed = seal(events.Event("SaleAgreed", "sal_1", a_sale(), {"price": PRICE}))
    hidden = events.read(sealed.entry).body["price_commitment"]
    opening: Any = {**sealed.openings["price"], **change}
    assert not events.open_commitment(type, field, commitment_hex=hidden, opening=opening)


def test_a_commitment_is_the_hash_of_tag_zero_salt_and_canonical_value() -> None:
    expected = hashlib.sha256(b"onym/v1/PriceSet/price\x00" + b"s" * 32 + b'{"a":1,"b":2}').digest()
    value = {"b": 2, "a": 1}
    assert events.commitment("PriceSet", "price", salt=b"s" * 32, value=value) == expected


@pytest.mark.parametrize(
    ("type", "body", "committed", "says"),
    [
        ("Bought", {}, {}, "no such event"),
        ("PhaseSet", {"before": "invited"}, {}, "after is missing"),
        ("PhaseSet", {"before": "a", "after": "b", "mail": "x"}, {}, "mail is not a field"),
        ("PhaseSet", {"before": "a", "after": "the open market"}, {}, "after may not hold"),
        ("PhaseSet", {"before": "a", "after": "ann@example.org"}, {}, "after may not hold"),
        ("ReleaseStopSet", {"on": 1}, {}, "on may not hold"),
        ("SaleAgreed", a_sale(), {}, "price must be either"),
        ("SaleAgreed", a_sale(price=PRICE), {"price": PRICE}, "price must be either"),
        ("SaleAgreed", a_sale(), {"price": 5}, "price must be an amount"),
        ("SaleAgreed", a_sale(price={"minor": 5, "currency": "USD"}), {}, "price may not hold"),
        ("SaleAgreed", a_sale(price={"minor": "05", "currency": "USD"}), {}, "price may not"),
        ("SaleAgreed", a_sale(price=PRICE), {"evidence": "x"}, "evidence is not a committed"),
        ("Kept", {"handle": "a", "reasons": ["said hello to us"]}, {}, "reasons may not hold"),
        ("StaffSetCommitted", {"root": "AB" * 32}, {}, "root may not hold"),
        (
            "PriceSet",
            {
                "handle": "a",
                "price": PRICE,
                "opens": [
                    {"type": "Kept", "ref": "a", "field": "evidence", "salt": HASH, "value": "x"}
                ],
            },
            {},
            "opens may not hold",
        ),
    ],
)
def test_what_may_not_stand_in_a_leaf_is_refused_where_it_is_built(
    type: str, body: dict[str, Any], committed: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        events.Event(type, "ref_1", body, committed)


def test_a_ref_is_an_id() -> None:
    with pytest.raises(ValueError, match="ref must be an id"):
        events.Event("ReleaseStopSet", "", {"on": True})


def test_every_field_of_every_type_has_a_kind() -> None:
    for shapes in events.TYPES.values():
        for shape in shapes:
            assert shape.required | shape.optional | shape.either <= events.KINDS.keys()


def test_a_bulk_act_has_a_form_of_its_own() -> None:
    bulk = {"count": 12, "root": HASH, "sha256": HASH, "policy": "x-2023/3"}
    for type in ("HandleWarned", "Kept", "Resting", "Released", "Restored", "Retired"):
        events.Event(type, "swp_1", bulk)
        events.Event(type, "hdl_1", {"handle": "moon", "reasons": ["idle_login"]})


def test_an_instant_is_utc_with_microseconds() -> None:
    paris = timezone(timedelta(hours=1))
    assert events.instant(datetime(2026, 1, 2, 3, tzinfo=paris)) == "2026-01-02T02:00:00.000000Z"
    with pytest.raises(ValueError, match="time zone"):
        events.instant(datetime(2026, 1, 2, 3))  # noqa: DTZ001 - a naive one is the point


def test_a_float_or_an_unsafe_integer_has_no_canonical_form() -> None:
    for value in (1.0, {"a": [0.5]}, 2**53):
        with pytest.raises(ValueError, match=r"float|canonical"):
            events.canonical(value)


def test_an_entry_longer_than_a_leaf_is_refused() -> None:
    event = events.Event("Kept", "hdl_1", {"handle": "a", "reasons": ["x" * 200] * 400})
    with pytest.raises(ValueError, match="do not fit"):
        seal(event)


GOOD = json.loads(seal(events.Event("PhaseSet", "demo", {"after": "b", "before": "a"})).entry)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 30_000,
        json.dumps(GOOD).encode(),
        events.canonical({**GOOD, "v": 2}),
        events.canonical({**GOOD, "extra": 1}),
        events.canonical({**GOOD, "at": "2026-11-20"}),
        events.canonical({**GOOD, "ref": None}),
        events.canonical({**GOOD, "body": []}),
        events.canonical(GOOD).replace(b'"v":1', b'"v":1.0'),
        events.canonical(GOOD).replace(b'"v":1', b'"v":true'),
    ],
)
def test_bytes_that_are_no_canonical_entry_are_refused(entry: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        events.read(entry)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values, st.binary(min_size=32, max_size=32))
def test_whatever_is_committed_opens_after_a_trip_through_json(value: Any, salt: bytes) -> None:
    try:
        hidden = events.commitment("Kept", "evidence", salt=salt, value=value).hex()
    except ValueError:  # lone surrogates have no UTF-8
        return
    stored = json.loads(json.dumps({"salt": salt.hex(), "value": value}))
    assert events.open_commitment("Kept", "evidence", commitment_hex=hidden, opening=stored)
