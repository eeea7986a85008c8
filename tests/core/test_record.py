"""The record: a true story passes every check, and nothing odd breaks one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.core.story import (
    FEES,
    HASH,
    HOLDERS,
    HOUSE,
    PATH,
    PRICES,
    STAFF,
    START,
    VERSIONS,
    amount,
    changed,
    figures,
    outcome,
    path,
    place,
    priced,
    seal,
    staff,
    story,
    swept,
    traded,
    undone,
)

from onym.core import events, fees, leaves, record
from onym.core.events import Event
from onym.core.money import Money
from onym.tlog import merkle


def test_a_true_story_passes_every_check_and_says_what_had_no_subject() -> None:
    checks = record.check(seal(priced()))
    assert [one.name for one in checks] == list(record.RULES)
    assert {one.name for one in checks if one.status == "no subject"} == {
        "closed lots and draws recompute"
    }
    assert [one for one in checks if one.status == "violated"] == []
    assert [one.leaf for one in checks] == [None] * len(checks)


def test_a_log_from_before_prices_and_staff_were_logged_stays_as_good_as_it_was() -> None:
    checks = record.check(seal(story()))
    assert {one.name for one in checks if one.status == "no subject"} == {
        "closed lots and draws recompute",
        "staff's prices were set before",
        "staff stay out of sales",
    }
    assert [one for one in checks if one.status == "violated"] == []


def test_a_settled_sale_may_be_refunded_where_an_appeal_was_right_and_the_handle_is_back() -> None:
    checks = record.check(seal(undone()))
    assert [one for one in checks if one.status == "violated"] == []


def test_a_campaign_from_before_the_first_price_is_judged_by_what_was_committed_then() -> None:
    told = [event for event in priced() if event.ref != "cmp_1" or event.type[0] == "C"]
    assert outcome(seal(told), PRICES).status == "ok"


def test_a_set_of_staff_that_nobody_can_recompute_says_nothing() -> None:
    told = [staff("mbr_t1", "mbr_t2", "mbr_silent"), *story()]
    assert outcome(seal(told), STAFF).status == "no subject"


def test_whoever_left_the_staff_may_buy() -> None:
    told = [staff("mbr_t1", "mbr_t2", "mbr_b"), staff("mbr_t1", "mbr_t2"), *story()]
    assert outcome(seal(told), STAFF).status == "ok"


def test_an_empty_log_has_no_subject_for_any_check() -> None:
    assert {one.status for one in record.check([])} == {leaves.Status.NO_SUBJECT}


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
