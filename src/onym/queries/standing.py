"""Where a handle stands, touched or not: the row wins, then the lists, then plan and directory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import JSONObject

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.handle import State
from onym.core.names import canon
from onym.core.policy import Outcome
from onym.queries import ground
from onym.queries.ground import Ground
from onym.store.models import Handle, ListEntry, Listing, Offer, Plan, Reclaim, Sale, Tenure
from onym.sweep import stock as stocks

LISTS = {
    "prohibited": State.PROHIBITED,
    "retired": State.RETIRED,
    "protected": State.PROTECTED,
    "reserved": State.RESERVED,
}
"""The operator's lists, strongest first."""

TENURE = ("account_id", "held_from", "held_to", "cause")


@dataclass(frozen=True, slots=True)
class Seen:
    """A handle as anybody may see it: its standing, whose it is, and what decides about it.

    `row` brings its sale slot with it, `processes` are all its ways through reclaim, and `listed`
    is the state that the operator's lists would give it.
    """

    handle: str
    standing: core.Standing
    row: Handle | None = None
    account: Mapping[str, Any] | None = None
    plan: Plan | None = None
    finding: core.Finding | None = None
    process: Reclaim | None = None
    processes: tuple[Reclaim, ...] = ()
    listed: State | None = None

    @property
    def holder(self) -> str | None:
        """The account that holds it now."""
        if self.row is not None:
            return self.row.account_id
        return self.account["account_id"] if self.account else None

    @property
    def display(self) -> str:
        if self.row is not None:
            return self.row.display
        return str(self.account["display"]) if self.account else self.handle


def seen(*, namespace: str | Ground, handle: str) -> Seen:
    """Where a handle stands, touched or not: the row wins, then the lists, then plan and directory.

    Refuses `handle_malformed`, `not_found` for the namespace.
    """
    found = ground.of(namespace)
    canonical = canon(handle, found.place.profile)
    return seen_all(found, [canonical])[canonical]


def seen_all(found: Ground, names: Iterable[str]) -> dict[str, Seen]:
    """The same for many canonical handles, in their order and in a fixed number of statements."""
    wanted = list(dict.fromkeys(names))
    rows = {row.handle: row for row in touched(found).filter(handle__in=wanted)}
    return stand(found, wanted, rows)


def stand(found: Ground, names: list[str], rows: Mapping[str, Handle]) -> dict[str, Seen]:
    """Where handles stand whose rows, as `touched` gives them, are read already."""
    lists = _lists(found, names)
    ways = processes(found, rows.values())
    return {
        name: one(
            found,
            name,
            row=(row := rows.get(name)),
            on=lists.get(name, ()),
            ways=ways.get(row.pk, ()) if row else (),
        )
        for name in names
    }


def one(
    found: Ground,
    name: str,
    *,
    row: Handle | None,
    on: Collection[str],
    ways: tuple[Reclaim, ...],
) -> Seen:
    """Where a handle stands of which all is read: its `row`, the lists it is `on`, its `ways`
    through reclaim, as `processes` gives them."""
    listed = next((state for list_, state in LISTS.items() if list_ in on), None)
    account = found.directory.by_handle(name) if found.directory else None
    if row is None:
        return _untouched(found, name, account, listed)
    return _of_row(found, row, account, listed, ways)


def touched(found: Ground) -> Any:
    """Rows with their sale slot, what fills it, their tenures, and how many have offered."""
    slot = OuterRef("saleslot__ref")
    listing = Listing.objects.filter(pk=slot)
    offers = Offer.objects.filter(handle=OuterRef("pk")).order_by().values("handle")
    tenures = Tenure.objects.filter(handle=OuterRef("pk")).order_by("held_from")
    return (
        Handle.objects.filter(namespace=found.place)
        .select_related("saleslot")
        .annotate(
            price_minor=Subquery(listing.values("price_minor")[:1]),
            listing_term=Subquery(listing.values("term")[:1]),
            price_currency=Subquery(listing.values("currency")[:1]),
            mechanism=Subquery(Sale.objects.filter(pk=slot).values("mechanism")[:1]),
            tenures=ArraySubquery(tenures.values_list(JSONObject(**{f: f for f in TENURE}))),
            demand=Subquery(offers.annotate(count=Count("pk")).values("count")),
        )
    )


def _lists(found: Ground, names: list[str]) -> dict[str, set[str]]:
    entries: dict[str, set[str]] = {}
    rows = ListEntry.objects.filter(namespace=found.place, handle__in=names)
    for handle, name in rows.values_list("handle", "list"):
        entries.setdefault(handle, set()).add(name)
    return entries


def processes(found: Ground, rows: Iterable[Handle]) -> dict[int, tuple[Reclaim, ...]]:
    """Every way of these rows through reclaim, by row."""
    handles = {row.pk: row for row in rows}
    if not handles:
        return {}
    by_handle: dict[int, tuple[Reclaim, ...]] = {}
    plans_by_id: dict[str, Plan] = {}
    for process in Reclaim.objects.filter(handle__in=handles).order_by("pk"):
        plans_by_id = plans_by_id or {plan.id: plan for plan in found.plans}
        process.handle, process.plan = handles[process.handle_id], plans_by_id[process.plan_id]
        by_handle[process.handle_id] = (*by_handle.get(process.handle_id, ()), process)
    return by_handle


def _untouched(
    found: Ground, canonical: str, account: Mapping[str, Any] | None, listed: State | None
) -> Seen:
    if listed is not None:
        return Seen(canonical, core.Standing(listed), account=account, listed=listed)
    if account is None:
        return Seen(canonical, core.Standing(State.FREE))
    governs = _governing(found, canonical, ended=None)
    if governs is None or not _applies(governs, account):
        return Seen(canonical, core.HELD, account=account)
    plan, finding = governs
    stands = core.state(finding, plan=found.made[plan.id], stops=found.stops, now=found.now)
    return Seen(canonical, stands, account=account, plan=plan, finding=finding)


def _governing(
    found: Ground, canonical: str, *, ended: datetime | None
) -> tuple[Plan, core.Finding] | None:
    rows = {plan.id: plan for plan in found.plans}

    def findings() -> Iterator[tuple[plans.Plan, core.Finding | None]]:
        for plan in rows.values():
            made = found.made[plan.id]
            yield made, finding_in(plan, canonical) if core.is_younger(made, ended) else None

    decides = core.governing(findings())
    return (rows[decides[0].id], decides[1]) if decides else None


def finding_in(plan: Plan, canonical: str) -> core.Finding | None:
    """What the plan's sweep found; None: the account was left alone."""
    stock = stocks.cached(Path(plan.path))
    row = stock.finding(canonical)
    if row is None:
        return None
    return core.Finding(
        handle=canonical,
        bucket=stock.bucket(canonical),
        account_id=row["account_id"],
        verdict=Outcome(row["verdict"]),
        reasons=tuple(row["reasons"] or ()),
        resting_days=row["resting_days"],
    )


def _applies(governs: tuple[Plan, core.Finding], account: Mapping[str, Any] | None) -> bool:
    """Not once an import shows another holder, or a sign of life newer than the sweep."""
    plan, finding = governs
    if account is None:
        return True
    sign = core.last_sign(account)
    return account["account_id"] == finding.account_id and not (sign and sign > plan.as_of)


def _of_row(
    found: Ground,
    row: Handle,
    account: Mapping[str, Any] | None,
    listed: State | None,
    processes: tuple[Reclaim, ...],
) -> Seen:
    process = next((one for one in processes if one.ended_at is None), None)
    own = core.Standing(State(row.state))
    plain = Seen(row.handle, own, row, account, processes=processes, listed=listed)
    if process is not None and core.is_open(process.snapshot(), row.snapshot()):
        stands, finding = _on_its_way(found, row, process), process.finding()
        return replace(plain, standing=stands, plan=process.plan, finding=finding, process=process)
    if process is not None or row.state != State.HELD or hasattr(row, "saleslot"):
        return plain
    ended = _last_ended(row, processes)
    governs = _governing(found, row.handle, ended=ended)
    if governs is None or not _applies(governs, account):
        return plain
    plan, finding = governs
    made = found.made[plan.id]
    if not core.is_subject(row.snapshot(), finding=finding, plan=made, last_ended_at=ended):
        return plain
    stands = core.state(finding, plan=made, stops=found.stops, now=found.now)
    return replace(plain, standing=stands, plan=plan, finding=finding)


def _on_its_way(found: Ground, row: Handle, process: Reclaim) -> core.Standing:
    """Where its own process has it, unless a sale shows the state in which it was locked."""
    if row.locked_by is not None:
        return core.Standing(State(row.state))
    return core.standing(
        process.snapshot(),
        finding=process.finding(),
        plan=found.made[process.plan_id],
        stops=found.stops,
        appeal_open=row.appeal_open,
        now=found.now,
    )


def _last_ended(row: Handle, processes: Iterable[Reclaim]) -> datetime | None:
    """The last keep, return or change of hands that a plan must be younger than."""
    known = [row.changed_hands_at, *(process.ended_at for process in processes)]
    return max((at for at in known if at is not None), default=None)
