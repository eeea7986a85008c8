"""The record: each lie in a true story is found and its leaf named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.core.story import (
    CANDIDATES,
    FEES,
    FORWARD,
    HOLDERS,
    INVITED,
    OPENED,
    ORDER,
    OTHER,
    PATH,
    PRICES,
    ROWS,
    STAFF,
    TWO,
    amount,
    changed,
    figures,
    moved,
    outcome,
    path,
    place,
    price_set,
    priced,
    seal,
    staff,
    story,
    without,
)

from onym.core import events
from onym.core.events import Event

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


EARLIER = price_set("lst_0", 1, is_public=True, handle="x")

DESK_LIES: list[tuple[str, str, Callable[[list[Event]], list[Event]], str, str]] = [
    (
        PRICES,
        "a campaign whose price nobody set",
        lambda told: ([*EARLIER, *without(told, "PriceSet", "cmp_1")]),
        "CandidatesCommitted cmp_1",
        "no price was set for cmp_1",
    ),
    (
        PRICES,
        "a listing of the house without a price before it",
        lambda told: [*told, Event("ListingOpened", "lst_2", dict(told[-1].body))],
        "ListingOpened lst_2",
        "no price was set for lst_2",
    ),
    (
        PRICES,
        "a price set after the listing",
        lambda told: moved(told, "ListingOpened", "lst_1", len(told) - 2),
        "ListingOpened lst_1",
        "no price was set for lst_1",
    ),
    (
        PRICES,
        "a price set after the candidates",
        lambda told: ([*EARLIER, *moved(told, "PriceSet", "cmp_1", 8)]),
        "CandidatesCommitted cmp_1",
        "no price was set for cmp_1",
    ),
    (
        PRICES,
        "a listing at another price than was set",
        lambda told: changed(told, "ListingOpened", "lst_1", price=amount(39_999)),
        "ListingOpened lst_1",
        "its price is not the one set",
    ),
    (
        PRICES,
        "a listing of another handle than was priced",
        lambda told: changed(told, "ListingOpened", "lst_1", handle="sun"),
        "ListingOpened lst_1",
        "its handle is not the one set",
    ),
    (
        PRICES,
        "a price by a model that nobody saw",
        lambda told: without(told, "Appraised", "lst_1"),
        "PriceSet lst_1",
        "no appraisal by onym/1",
    ),
    (
        PRICES,
        "an appraisal of another handle",
        lambda told: changed(told, "Appraised", "lst_1", handle="sun"),
        "PriceSet lst_1",
        "appraised another handle",
    ),
    (
        PRICES,
        "an invited buyer who paid another price than was set",
        lambda told: repriced(told, "PriceSet", "cmp_1"),
        "SaleSettled sal_1",
        "not that of PriceSet",
    ),
    (
        PRICES,
        "an invited buyer who paid another price than was offered",
        lambda told: repriced(told, "InvitationSent", "inv_1"),
        "SaleSettled sal_1",
        "not that of InvitationSent",
    ),
    (
        PRICES,
        "a settlement that keeps the price that was set to itself",
        lambda told: changed(told, "SaleSettled", "sal_1", opens=[]),
        "SaleSettled sal_1",
        "does not open the price of PriceSet",
    ),
    (
        TWO,
        "a price that names an approval nobody gave",
        lambda told: changed(told, "PriceSet", "lst_1", approval="apr_9"),
        "PriceSet lst_1",
        "approval apr_9 is not",
    ),
    (
        STAFF,
        "a buyer of the staff who acted for it",
        lambda told: changed(told, "SaleAgreed", "sal_2", buyer="mbr_t2"),
        "SaleAgreed sal_2",
        "its buyer mbr_t2 is of the staff",
    ),
    (
        STAFF,
        "a buyer who alone completes the staff",
        lambda told: [staff("mbr_t1", "mbr_t2", "mbr_b"), *told[1:]],
        "SaleAgreed sal_2",
        "its buyer mbr_b is of the staff",
    ),
    (
        STAFF,
        "an approver who is not of the staff",
        lambda told: [
            *changed(told, "Approved", "apr_1", approver="mbr_x"),
            Event("AppealDecided", "apl_1", DECIDED),
        ],
        "Approved apr_1",
        "its approver mbr_x is not of the staff",
    ),
]

DECIDED = {"handle": "sun", "outcome": "upheld", "reasons": [], "reviewer": "mbr_t2"}


def repriced(told: list[Event], type: str, ref: str) -> list[Event]:
    """Another price was committed than the one that the sale went by."""
    at = place(told, type, ref)
    hidden = {**told[at].committed, "price": amount(4_999_999)}
    return [*told[:at], Event(type, ref, told[at].body, hidden), *told[at + 1 :]]


@pytest.mark.parametrize(
    ("name", "spoil", "leaf", "says"),
    [lie[:1] + lie[2:] for lie in DESK_LIES],
    ids=[lie[1].replace(" ", "-") for lie in DESK_LIES],
)
def test_each_lie_of_the_desk_is_found_and_its_leaf_named(
    name: str, spoil: Callable[[list[Event]], list[Event]], leaf: str, says: str
) -> None:
    told = spoil(priced())
    found = outcome(seal(told), name)
    assert found.status == "violated"
    assert says in found.detail
    type, ref = leaf.split()
    assert found.leaf == place(told, type, ref)
