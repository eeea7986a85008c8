"""The record: what a stranger can check about the market from the entries of its log alone.

Each rule goes over the leaves in order and answers for each of its subjects; docs/concepts/log.md
says in words what each shows, and what none of them can show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from onym.core import events, fees, record_desk
from onym.core.errors import Refusal
from onym.core.leaves import Check, Finding, FindSchedule, Leaf, Record, Status
from onym.core.money import Money
from onym.tlog import merkle


def check(entries: Iterable[bytes], *, schedule: FindSchedule | None = None) -> list[Check]:
    """Every rule over the entries of a log, in order. Entries that cannot be read are violations.

    Schedules published in the log come first, then those `schedule` finds (default: built in).
    """
    record = Record(schedule or _built_in)
    for entry in entries:
        record.add(entry)
    published = dict(_published(record))
    find = record.schedule
    record.schedule = lambda version, currency: (
        published.get((version, currency)) or find(version, currency)
    )
    return [_outcome(name, list(rule(record))) for name, rule in RULES.items()]


def _outcome(name: str, findings: list[Finding]) -> Check:
    wrong = sorted(
        ((leaf.index, why) for leaf, why in findings if why is not None), key=lambda item: item[0]
    )
    if wrong:
        leaf, why = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Check(name, Status.VIOLATED, f"leaf {leaf}: {why}{more}", leaf)
    if not findings:
        return Check(name, Status.NO_SUBJECT, "nothing of the kind in this log")
    return Check(name, Status.OK, f"{len(findings)} checked")


def _well_formed(record: Record) -> Iterator[Finding]:
    yield from record.unreadable
    for leaves in record.by_type.values():
        yield from ((leaf, None) for leaf in leaves)


# Order.


def _sweeps_first(record: Record) -> Iterator[Finding]:
    """A sweep before a warning, a warning before a release, per handle or in bulk."""
    for earlier, later in (("SweepRecorded", "HandleWarned"), ("HandleWarned", "Released")):
        first: dict[tuple[str, object], int] = {}
        instants: set[tuple[str, object, str]] = set()
        for leaf in record.of(earlier):
            for name in {leaf.body.get("handle", _BULK), _ANY}:
                first.setdefault((leaf.namespace, name), leaf.index)
                instants.add((leaf.namespace, name, leaf.at))
        for leaf in record.of(later):
            # A bulk act does not name its handles, so it goes with any, and any goes with it.
            names = {leaf.body["handle"], _BULK} if "handle" in leaf.body else {_ANY}
            before = any(
                first.get((leaf.namespace, name), leaf.index) < leaf.index
                or (leaf.namespace, name, leaf.at) in instants
                for name in names
            )
            yield leaf, None if before else f"{later} without {earlier} before it"


_BULK, _ANY = object(), object()


def _sales_go_forward(record: Record) -> Iterator[Finding]:
    """Agreed, funded, read back, settled; settled and refunded only where an appeal was right."""
    steps = {
        "SaleFunded": ("SaleAgreed",),
        "SaleSettled": ("SaleAgreed", "SaleFunded"),
        "SaleRefunded": ("SaleAgreed",),
        "SaleClosed": ("SaleAgreed",),
    }
    moved = {leaf.body.get("sale"): leaf for leaf in reversed(record.of("TransferReadBack"))}
    for leaf in record.of(*steps):
        known = [other.type for other in record.by_ref[leaf.ref] if other.before(leaf)]
        missing = [step for step in steps[leaf.type] if step not in known]
        moves = moved.get(leaf.ref)
        if leaf.type == "SaleSettled" and not (moves and moves.before(leaf)):
            missing.append("TransferReadBack")
        why = f"{leaf.type} without {missing[0]} before it" if missing else None
        if leaf.type == "SaleSettled" and moves and _other_term(record, leaf, moves):
            why = why or "what was handed over is not what was agreed"
        yield leaf, why or _ended_twice(record, leaf) or _unreturned(record, leaf)


def _other_term(record: Record, settled: Leaf, moved: Leaf) -> bool:
    """Whether a handle moved where a whole account was agreed, or the other way round."""
    agreed = record.about(settled.ref, "SaleAgreed")
    terms = {one.body.get("term") for one in (*agreed, settled, moved)}
    return len(terms) > 1


def _ended_twice(record: Record, leaf: Leaf) -> str | None:
    """A refund may follow a settlement only where it says which appeal it answers."""
    ends = record.about(leaf.ref, "SaleSettled", "SaleRefunded")
    is_reversal = [end.type for end in ends[:2]] == ["SaleSettled", "SaleRefunded"]
    if leaf not in ends[1:] or (is_reversal and leaf is ends[1] and "appeal" in leaf.body):
        return None
    return f"sale {leaf.ref} ended twice"


def _unreturned(record: Record, leaf: Leaf) -> str | None:
    """A refund that answers an appeal: decided so after the settlement, the handle back first."""
    ref = leaf.body.get("appeal")
    if leaf.type != "SaleRefunded" or ref is None:
        return None
    settled = [end for end in record.about(leaf.ref, "SaleSettled") if end.before(leaf)]
    if not settled:
        return "it reverses a settlement that is not in the log"
    decided = [
        one
        for one in record.about(ref, "AppealDecided")
        if settled[0].before(one) and one.before(leaf) and one.namespace == leaf.namespace
    ]
    if not any(one.body["outcome"] == "upheld" for one in decided):
        return f"the appeal {ref} was not upheld between settlement and refund"
    if decided[0].body["handle"] != leaf.body["handle"]:
        return f"the appeal {ref} is about another handle"
    if leaf.body.get("refund") != settled[0].body["gross"]:
        return "the refund is not what the buyer had paid"
    return _kept_by_the_buyer(record, leaf, settled[0])


def _kept_by_the_buyer(record: Record, refund: Leaf, settled: Leaf) -> str | None:
    """Why the handle is not seen to have gone back to where the sale had taken it from."""
    moves = [
        leaf
        for leaf in record.of("TransferReadBack")
        if leaf.body.get("sale") == refund.ref and leaf.before(refund)
    ]
    there = [leaf for leaf in moves if leaf.before(settled)]
    back = [leaf for leaf in moves if not leaf.before(settled)]
    if there and back and back[0].body["holder_after"] == there[0].body["holder_before"]:
        return None
    return "the handle was not given back before the money"


_PATHS: Mapping[str, tuple[str, ...]] = {
    "listing": ("ListingOpened",),
    "offer": ("OfferAccepted",),
    "invitation": ("InvitationAccepted",),
    "house": ("Approved", "HousePurchase"),
    "english": ("LotClosed",),
    "sealed": ("LotClosed",),
    "falling": ("LotClosed",),
    "drop": ("Drawn",),
}
"""What in the log may lead to a sale, by its mechanism."""


def _sales_have_a_path(record: Record) -> Iterator[Finding]:
    """Each sale came about by a listing, offer, invitation, lot or approval that is in the log."""
    for sale in record.of("SaleAgreed"):
        ref, mechanism = sale.body["by"], sale.body["mechanism"]
        types = _PATHS.get(mechanism, ())
        paths = [leaf for leaf in record.about(ref, *types) if leaf.before(sale)]
        sent = [leaf for leaf in record.about(ref, "InvitationSent") if leaf.index < sale.index]
        if not paths or (mechanism == "invitation" and not sent):
            yield sale, f"no {mechanism} {ref} in the log leads to this sale"
        elif any(_differs(path, sale) for path in paths):
            yield sale, f"{ref} is about something else than this sale"
        else:
            yield sale, None


def _differs(path: Leaf, sale: Leaf) -> bool:
    """Whether the path names another handle, party or price than the sale does."""
    keys = ["handle", "seller"]
    keys += ["buyer", "price"] if path.type == "OfferAccepted" else []
    keys += ["price"] if path.type == "ListingOpened" else []
    is_other = path.type != "Approved" and path.body.get("term") != sale.body.get("term")
    return (
        is_other
        or path.namespace != sale.namespace
        or any(
            path.body[key] != sale.body[key]
            for key in keys
            if path.body.get(key) is not None and sale.body.get(key) is not None
        )
    )


# Money.

_TERMS = ("gross", "commission", "proceeds", "fee", "tax", "share")


def _fees_add_up(record: Record) -> Iterator[Finding]:
    """Each sale's figures, recomputed from its price under the schedule that it pins."""
    houses: dict[str, object] = {}
    for sale in record.of("SaleAgreed", "SaleSettled"):
        if not all(key in sale.body for key in ("price", *_TERMS)):
            continue
        version = str(sale.body["versions"].get("fees"))
        price = events.money(sale.body["price"])
        found = record.schedule(version, price.currency)
        if found is None:
            yield sale, f"the fee schedule {version} is neither in the log nor built in"
        elif _parts(found, price, sale, "trade"):
            yield sale, _other_than_agreed(record, sale)
        elif _parts(found, price, sale, "primary"):
            # Without commission one side must be the house, and it is the same member every time.
            member = _house_side(record, sale)
            is_house = houses.setdefault(sale.namespace, member) == member
            why = None if is_house else f"no commission, but {member} is not the house"
            yield sale, why or _other_than_agreed(record, sale)
        else:
            yield sale, f"the figures are not those of {version}"


def _house_side(record: Record, sale: Leaf) -> object:
    """Who must be the house in a sale without commission: the buyer of a house purchase only."""
    agreed = record.about(sale.ref, "SaleAgreed")
    bought = any(leaf.body["mechanism"] == "house" for leaf in agreed)
    return sale.body.get("buyer" if bought else "seller")


def _other_than_agreed(record: Record, sale: Leaf) -> str | None:
    for agreed in record.about(sale.ref, "SaleAgreed"):
        for key in ("price", *_TERMS):
            if key in agreed.body and agreed.body[key] != sale.body[key]:
                return f"its {key} is not the one agreed in leaf {agreed.index}"
    return None


def _parts(schedule: fees.Schedule, price: Money, sale: Leaf, kind: fees.Kind) -> bool:
    """Whether the sale's figures are those that the schedule gives for `kind`."""
    try:
        tax, share = (events.money(sale.body[key]) for key in ("tax", "share"))
        parts = fees.split(price=price, schedule=schedule, kind=kind, tax=tax, share=share)
    except Refusal:
        return False
    return all(events.money(sale.body[key]) == getattr(parts, key) for key in _TERMS)


def _built_in(version: str, currency: str) -> fees.Schedule | None:
    name, _, number = version.rpartition("/")
    try:
        found = fees.built_in(name, currency=currency)
    except Refusal:
        return None
    return found if str(found.version) == number else None


def _published(record: Record) -> Iterator[tuple[tuple[str, str], fees.Schedule]]:
    """Schedules that stand in FeesPublished leaves as `fee_table` writes them; the first wins."""
    for leaf in reversed(record.of("FeesPublished")):
        tables = leaf.body.get("schedule")
        for currency, table in tables.items() if isinstance(tables, dict) else ():
            found = _schedule(leaf, currency, table)
            if found is not None:
                yield (found.key, currency), found


def _schedule(leaf: Leaf, currency: str, table: Any) -> fees.Schedule | None:
    """The table as a schedule; None if it is not one."""
    try:
        payer, bands = table["payer"], [fees.Band(ppm, to) for ppm, to in table["bands"]]
        figures = {key: table[key] for key in _LEAST}
        step = table.get("step_minor", 1)
        version = int(leaf.body["version"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    whole = [step or "", *figures.values(), *(band.ppm for band in bands)]
    whole += [band.up_to_minor for band in bands[:-1]]
    if payer not in get_args(fees.Payer) or not all(type(number) is int for number in whole):
        return None
    if not bands or bands[-1].up_to_minor is not None:
        return None
    return fees.Schedule(
        id=leaf.body["id"],
        version=version,
        effective_from=events.parse_instant(leaf.body["effective_from"]),
        currency=currency,
        payer=payer,
        bands=tuple(bands),
        **figures,
        step_minor=step,
    )


_LEAST = ("least_price_minor", "least_commission_minor", "initiate_minor")


def fee_table(schedules: Iterable[fees.Schedule]) -> dict[str, Any]:
    """The optional `schedule` of a FeesPublished: one table a currency, so that all recompute."""
    return {
        one.currency: {
            "payer": one.payer,
            "bands": [[band.ppm, band.up_to_minor] for band in one.bands],
            **{key: getattr(one, key) for key in _LEAST},
            **({"displaced_ppm": one.displaced_ppm} if one.displaced_ppm else {}),
            **({"step_minor": one.step_minor} if one.step_minor != 1 else {}),
        }
        for one in schedules
    }


def _openings_open(record: Record) -> Iterator[Finding]:
    """What was published later opens what was committed, and is the figure that was used."""
    for leaves in list(record.by_type.values()):
        for leaf in leaves:
            for item in leaf.body.get("opens", ()):
                yield leaf, _misopened(record, leaf, item)


def _misopened(record: Record, leaf: Leaf, item: Mapping[str, Any]) -> str | None:
    hidden = f"{item['field']}_commitment"
    known = [
        other
        for other in record.about(item["ref"], item["type"])
        if other.index < leaf.index and hidden in other.body
    ]
    what = f"the {item['field']} of {item['type']} {item['ref']}"
    if not known:
        return f"{what} was never committed"
    opening: events.Opening = {"salt": item["salt"], "value": item["value"]}
    if not all(
        events.open_commitment(
            item["type"], item["field"], commitment_hex=other.body[hidden], opening=opening
        )
        for other in known
    ):
        return f"{what} is not the one committed"
    used = leaf.body.get(item["field"], item["value"])
    return None if used == item["value"] else f"{what} is not the one used"


# People.


def _invited_were_committed(record: Record) -> Iterator[Finding]:
    """Each invitation's candidate stands under the root that was logged before it."""
    for leaf in record.of("InvitationSent"):
        known = record.about(leaf.body["campaign"], "CandidatesCommitted")
        before = [other for other in known if other.index < leaf.index]
        path = leaf.body["path"]
        shown = [
            merkle.includes(
                leaf=merkle.leaf_hash(bytes.fromhex(leaf.body["candidate"])),
                index=path["index"],
                size=other.body["count"],
                proof=[bytes.fromhex(item) for item in path["path"]],
                root=bytes.fromhex(other.body["root"]),
            )
            for other in before
        ]
        if not before:
            yield leaf, f"campaign {leaf.body['campaign']} committed to nobody before"
        else:
            yield leaf, None if any(shown) else "the candidate is not among those committed"


def _two_people(record: Record) -> Iterator[Finding]:
    """Two different people stand behind each approval, override and house purchase."""
    for leaf in record.of("Approved", "Overridden", "HousePurchase"):
        alone = leaf.body["proposer"] == leaf.body["approver"]
        yield leaf, "one person alone proposed and approved" if alone else None
    for leaves in list(record.by_type.values()):
        for leaf in leaves:
            ref = leaf.body.get("approval")
            if ref is not None:
                known = [x for x in record.about(ref, "Approved") if x.before(leaf)]
                yield leaf, None if known else f"the approval {ref} is not in the log before it"


# Holders.


def _holders_follow(record: Record) -> Iterator[Finding]:
    """Each transfer begins where the one before ended, or where the import says."""
    last: dict[tuple[str, str], Leaf] = {}
    imports = record.of("DirectoryImported")
    for leaf in record.of("TransferReadBack"):
        key = (leaf.namespace, leaf.body["handle"])
        yield leaf, _unfounded(imports, leaf, last.get(key))
        last[key] = leaf


def _unfounded(imports: list[Leaf], leaf: Leaf, previous: Leaf | None) -> str | None:
    """Why the holder before does not follow; a handle that no import holds starts its own chain."""
    before, handle = leaf.body["holder_before"], leaf.body["handle"]
    if "imported" in leaf.body:
        return _unimported(imports, leaf, previous)
    named = leaf.body.get("previous"), leaf.body.get("previous_ref")
    if previous is None:
        return None if named == (None, None) else "it names a transfer that is not in the log"
    if named not in ((previous.index, None), (None, previous.ref)):
        return f"it does not name leaf {previous.index}, the transfer of {handle} before it"
    after = previous.body["holder_after"]
    if before != after:
        return f"{handle} was left with {after} by leaf {previous.index}, not with {before}"
    return None


def _unimported(imports: list[Leaf], leaf: Leaf, previous: Leaf | None) -> str | None:
    path, handle = leaf.body["imported"], leaf.body["handle"]
    known = [
        other
        for other in imports
        if other.index < leaf.index
        and other.namespace == leaf.namespace
        and path.get("import", other.ref) == other.ref
    ]
    if not known:
        return "it rests on an import that is not in the log"
    root = known[-1]
    if previous is not None and previous.index > root.index:
        return f"it passes over the transfer of {handle} in leaf {previous.index}"
    row = events.directory_row(handle, leaf.body["holder_before"] or "")
    shown = merkle.includes(
        leaf=merkle.leaf_hash(row),
        index=path["index"],
        size=root.body["count"],
        proof=[bytes.fromhex(item) for item in path["path"]],
        root=bytes.fromhex(root.body["root"]),
    )
    return None if shown else f"the import does not show {handle} with the holder before"


def _lots_recompute(record: Record) -> Iterator[Finding]:
    """Lots and draws: nothing writes them yet, so one that stands here cannot be vouched for."""
    for leaf in record.of("LotClosed", "Drawn"):
        yield leaf, f"this version cannot recompute {leaf.type}"


RULES: Mapping[str, Callable[[Record], Iterator[Finding]]] = {
    "entries are well formed": _well_formed,
    "sweeps come before warnings, warnings before releases": _sweeps_first,
    "invited candidates were committed before": _invited_were_committed,
    "sales go forward": _sales_go_forward,
    "every sale has an eligible path": _sales_have_a_path,
    "fees add up": _fees_add_up,
    "opened amounts equal committed ones": _openings_open,
    "two people approved": _two_people,
    "staff's prices were set before": record_desk.prices_were_set,
    "staff stay out of sales": record_desk.staff_stay_out,
    "holders follow from import and transfers": _holders_follow,
    "closed lots and draws recompute": _lots_recompute,
}
