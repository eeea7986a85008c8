"""What the record shows of the desk: its prices stood before they were used, its people kept out.

Both rules begin with the first leaf of their kind, so that older logs stay as good as they were.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from math import comb
from typing import Any

from onym.core import people
from onym.core.leaves import Finding, Leaf, Record

MOST_SETS = 5_000
"""So many sets of people are tried before a committed one counts as not recomputable."""


# Prices.


def prices_were_set(record: Record) -> Iterator[Finding]:
    """A price and what was shown with it, before the house's listing, the candidates, the sale."""
    for leaf in record.of("PriceSet"):
        yield leaf, _unfounded(record, leaf)
    first = {leaf.namespace: leaf.index for leaf in reversed(record.of("PriceSet"))}
    house = {
        (leaf.namespace, leaf.body.get("seller"))
        for leaf in record.of("ListingOpened")
        if record.about(leaf.ref, "PriceSet")
    }
    for leaf in record.of("ListingOpened", "CandidatesCommitted"):
        sells = leaf.type == "CandidatesCommitted" or _seller(leaf) in house
        if sells and leaf.index > first.get(leaf.namespace, record.size):
            yield leaf, _unpriced(record, leaf)
    for leaf in record.of("SaleSettled"):
        for price in _campaign_prices(record, leaf):
            yield leaf, _unopened(record, leaf, price)


def _seller(leaf: Leaf) -> tuple[str, Any]:
    return leaf.namespace, leaf.body.get("seller")


def _unfounded(record: Record, price: Leaf) -> str | None:
    """A price that names a model rests on an appraisal by that model, of the same handle."""
    model = price.body.get("model")
    if model is None:
        return None
    seen = [leaf for leaf in record.about(price.ref, "Appraised") if leaf.index < price.index]
    if not seen or seen[-1].body["model"] != model:
        return f"no appraisal by {model} was shown with the price of {price.ref}"
    differs = seen[-1].body.get("handle") != price.body.get("handle")
    return f"leaf {seen[-1].index} appraised another handle" if differs else None


def _unpriced(record: Record, leaf: Leaf) -> str | None:
    """Why the price in force at `leaf` is not the one it goes by."""
    known = [one for one in record.about(leaf.ref, "PriceSet") if one.index < leaf.index]
    if not known:
        return f"no price was set for {leaf.ref} before it"
    for key in ("handle", "price", "approval"):
        mine, set_ = leaf.body.get(key), known[-1].body.get(key)
        if mine is not None and set_ is not None and mine != set_:
            return f"its {key} is not the one set in leaf {known[-1].index}"
    return None


def _campaign_prices(record: Record, settled: Leaf) -> list[Leaf]:
    """The prices that staff set for the campaign that the sale came from, none for other sales."""
    sales = record.about(settled.ref, "SaleAgreed")
    sent = [one for sale in sales for one in record.about(sale.body["by"], "InvitationSent")]
    return [price for one in sent for price in record.about(one.body["campaign"], "PriceSet")][-1:]


def _unopened(record: Record, settled: Leaf, price: Leaf) -> str | None:
    """The settlement opens the price as it was set and as it was offered, both the one paid."""
    opened = {
        (item["type"], item["ref"]): item["value"]
        for item in settled.body.get("opens", ())
        if item["field"] == "price"
    }
    offers = record.about(record.about(settled.ref, "SaleAgreed")[-1].body["by"], "InvitationSent")
    for leaf in (price, *offers):
        shown = leaf.body.get("price", opened.get((leaf.type, leaf.ref)))
        if shown is None:
            return f"it does not open the price of {leaf.type} in leaf {leaf.index}"
        if shown != settled.body["price"]:
            return f"its price is not that of {leaf.type} in leaf {leaf.index}"
    return None


# People.


def staff_stay_out(record: Record) -> Iterator[Finding]:
    """No buyer is of the committed staff, and whoever approves is.

    The set is committed by its root alone; it can be checked once all its people have acted in
    the log, or when somebody who bought completes it. Whoever the house buys for is named there.
    """
    acted = _acted(record)
    staff = {leaf.index: _people(leaf, acted) for leaf in record.of("StaffSetCommitted")}
    for sale in record.of("SaleAgreed"):
        committed = _staff_at(record, sale)
        if committed is None or sale.body["mechanism"] == "house":
            continue
        buyer = sale.body["buyer"]
        people_ = staff[committed.index] or _people(committed, acted - {buyer}, also=(buyer,))
        if people_ is not None:
            yield sale, f"its buyer {buyer} is of the staff" if buyer in people_ else None
    for leaf in record.of("Approved", "HousePurchase", "Overridden"):
        committed = _staff_at(record, leaf)
        people_ = staff[committed.index] if committed else None
        for role in ("proposer", "approver") if people_ is not None else ():
            known = leaf.body[role] in (people_ or ())
            yield leaf, None if known else f"its {role} {leaf.body[role]} is not of the staff"


def _acted(record: Record) -> set[str]:
    """Everybody who acts for the desk somewhere in the log."""
    found = {
        leaf.body.get(role)
        for leaf in record.of("Approved", "HousePurchase", "Overridden", "AppealDecided")
        for role in ("proposer", "approver", "reviewer")
    }
    return {one for one in found if isinstance(one, str)}


def _staff_at(record: Record, leaf: Leaf) -> Leaf | None:
    known = [
        one
        for one in record.by_type["StaffSetCommitted"]
        if one.index < leaf.index and one.namespace == leaf.namespace and "count" in one.body
    ]
    return known[-1] if known else None


def _people(
    committed: Leaf, acted: Collection[str], *, also: tuple[str, ...] = ()
) -> frozenset[str] | None:
    """The people behind the root: `also`, and as many as it takes of those who acted."""
    wanted, root = committed.body.get("count", 0) - len(also), committed.body["root"]
    if not 0 <= wanted <= len(acted) or comb(len(acted), wanted) > MOST_SETS:
        return None
    for some in combinations(sorted(acted), wanted):
        if people.staff_root([*some, *also]).hex() == root:
            return frozenset([*some, *also])
    return None
