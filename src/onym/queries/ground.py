"""What all reads about a namespace stand on, asked once: its row, the time, import, stop, rules.

A read takes a namespace's id or a ground; a page passes one ground to all its reads, so that they
agree about the time and ask the database few times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest

from onym.core import plan as core
from onym.core.errors import NotFound
from onym.store import clock
from onym.store import reclaim as store
from onym.store.models import AreaStop, DirectoryImport, Document, Namespace, Plan, StopPeriod
from onym.sweep import directory as directories


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One look at a namespace; `stopped` are its areas that stand still.

    `policies` are the newest version in force of each policy.
    """

    place: Namespace
    now: datetime
    import_path: str | None
    imported_at: datetime | None
    stops: tuple[core.Stop, ...]
    stopped: tuple[str, ...]
    policies: tuple[Document, ...]

    @property
    def id(self) -> str:
        return self.place.id

    @cached_property
    def directory(self) -> directories.Directory | None:
        """The last import's snapshot."""
        return directories.cached(Path(self.import_path)) if self.import_path else None

    @cached_property
    def plans(self) -> list[Plan]:
        """Every plan in use, the newest sweep first."""
        return store.plans_of(self.id)

    @cached_property
    def made(self) -> dict[str, core.Plan]:
        """The plans as core values, by id."""
        return {plan.id: plan.snapshot() for plan in self.plans}

    def policy(self, name: str | None = None) -> Document | None:
        """The version in force: of `name` if given, else the latest to take effect."""
        found = [row for row in self.policies if name in (None, row.name)]
        return max(found, key=lambda row: (row.effective_from, row.pk), default=None)


def of(place: str | Ground) -> Ground:
    """The ground of a namespace's reads, in one statement. Refuses `not_found`."""
    if isinstance(place, Ground):
        return place
    row = _asked().filter(pk=place).first()
    if row is None:
        raise NotFound(f"there is no namespace {place}")
    since, until = row.stop_since, row.stop_until
    periods = [core.Stop(*pair) for pair in zip(since, until, strict=True)]
    return Ground(
        place=row,
        now=clock.read(row.clock_instant, row.clock_offset),
        import_path=row.import_path,
        imported_at=row.imported_at,
        stops=store.stops_of(row, periods),
        stopped=tuple(row.stopped_areas),
        policies=tuple(_document(row.id, **facts) for facts in row.policies),
    )


def under(request: HttpRequest) -> Ground:
    """The ground of the site's own namespace, the same for everything that a request reads."""
    kept = vars(request)
    if "onym_ground" not in kept:
        kept["onym_ground"] = of(settings.NAMESPACE)
    found: Ground = kept["onym_ground"]
    return found


def _asked() -> Any:
    """Namespaces with all that a ground is made of, as columns."""
    mine = OuterRef("pk")
    last = DirectoryImport.objects.filter(namespace=mine).order_by("-at", "-id")
    stops = StopPeriod.objects.filter(namespace=mine).order_by("since")
    areas = AreaStop.objects.filter(namespace=mine, until=None).order_by("area")
    now = clock.columns()
    in_force = Document.objects.filter(
        namespace=mine, kind="policy", effective_from__lte=now["clock_instant"]
    )
    newest = in_force.order_by("name", "-effective_from", "-id").distinct("name")
    facts = {name: name for name in ("pk", "name", "version", "effective_from", "text", "sha256")}
    return Namespace.objects.annotate(
        **now,
        import_path=Subquery(last.values("path")[:1]),
        imported_at=Subquery(last.values("at")[:1]),
        stop_since=ArraySubquery(stops.values("since")),
        stop_until=ArraySubquery(stops.values("until")),
        stopped_areas=ArraySubquery(areas.values("area")),
        policies=ArraySubquery(newest.values_list(JSONObject(**facts))),
    )


def _document(namespace: str, *, effective_from: str, **facts: Any) -> Document:
    at = datetime.fromisoformat(effective_from).astimezone(UTC)
    return Document(namespace_id=namespace, kind="policy", effective_from=at, **facts)
