"""The provider's list beside our books: each movement of money once on both sides, or named.

docs/guides/payments.md says what each difference means and what to do about it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from onym.core.money import Money

BOOKED_AS = {
    "charge": "funded",
    "refund": "refunded",
    "transfer": "paid_out",
    "dispute": "charged_back",
    "reinstated": "reinstated",
}
"""A movement in the provider's list, and the kind of entry that it has in the books."""
AUTHORISED = "authorised"
"""What a buyer has agreed to and nobody has captured or released: money waits, and none moved."""
LISTED_AS = {entry: kind for kind, entry in BOOKED_AS.items()} | {"deposited": "charge"}
"""The same from the books' side, where a charge may also have filled a wallet."""


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of money, as either side lists it: `kind` is one of `BOOKED_AS`, or `AUTHORISED`
    on their side, `id` is the provider's, `day` its date in UTC. Without a `sale` it is nobody's
    that we know.
    """

    kind: str
    id: str
    amount: Money
    sale: str
    day: str


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` is not_booked, not_there, amount_differs, sale_differs or booked_twice."""

    what: str
    kind: str
    id: str
    day: str
    sale: str
    ours: Money | None
    theirs: Money | None


@dataclass(slots=True)
class Day:
    """Counts and sums of one kind and currency on one day."""

    theirs: int = 0
    theirs_minor: int = 0
    ours: int = 0
    ours_minor: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """`days` by (day, kind, currency); `under_way` are paid there and still being asked about."""

    matched: int
    under_way: int
    differences: tuple[Difference, ...]
    days: Mapping[tuple[str, str, str], Day] = field(default_factory=dict)


def compare(
    *,
    theirs: Sequence[Line],
    ours: Sequence[Line],
    due: Collection[tuple[str, str]],
    asked: Collection[tuple[str, str]],
) -> Report:
    """Match by (kind, id).

    `due` are the (kind, id) that must be on both sides; others are only there to be found.
    `asked` are the (kind, sale) whose outcome is still being asked for: those may lack an entry.
    """
    known, booked = {_key(one): one for one in theirs}, defaultdict(list)
    for one in ours:
        booked[_key(one)].append(one)
    found = [
        difference
        for key in sorted(set(due))
        if (difference := _difference(known.get(key), booked.get(key, []))) is not None
    ]
    open_ = [d for d in found if d.what == "not_booked" and (d.kind, d.sale) in asked]
    wrong = tuple(d for d in found if d not in open_)
    matched = len(set(due)) - len(found)
    return Report(matched, len(open_), wrong, _days(due, known, booked))


def _key(line: Line) -> tuple[str, str]:
    return line.kind, line.id


def _difference(there: Line | None, here: Sequence[Line]) -> Difference | None:
    if there is None and not here:
        return None
    if there is None:
        return _named("not_there", None, here[0])
    if not here:
        return _named("not_booked", there, None)
    if len(here) > 1:
        return _named("booked_twice", there, here[1])
    if there.amount != here[0].amount:
        return _named("amount_differs", there, here[0])
    if there.sale and there.sale != here[0].sale:
        return _named("sale_differs", there, here[0])
    return None


def _named(what: str, there: Line | None, here: Line | None) -> Difference:
    seen = there or here
    assert seen is not None  # noqa: S101 - one of them is there
    return Difference(
        what=what,
        kind=seen.kind,
        id=seen.id,
        day=seen.day,
        sale=seen.sale,
        ours=here.amount if here else None,
        theirs=there.amount if there else None,
    )


def _days(
    due: Collection[tuple[str, str]],
    known: Mapping[tuple[str, str], Line],
    booked: Mapping[tuple[str, str], Sequence[Line]],
) -> dict[tuple[str, str, str], Day]:
    """Both sides by the provider's day; what is ours alone by our own."""
    days: dict[tuple[str, str, str], Day] = defaultdict(Day)
    for key in {key for key in due if key[0] != AUTHORISED}:
        there, here = known.get(key), booked.get(key, [])
        day = (there or here[0]).day if there or here else ""
        if there:
            of = days[day, key[0], there.amount.currency]
            of.theirs, of.theirs_minor = of.theirs + 1, of.theirs_minor + there.amount.minor
        for one in here:
            of = days[day, key[0], one.amount.currency]
            of.ours, of.ours_minor = of.ours + 1, of.ours_minor + one.amount.minor
    return dict(sorted(days.items()))


def counts(differences: Collection[Difference]) -> dict[str, int]:
    """How many of each."""
    return dict(sorted(Counter(one.what for one in differences).items()))
