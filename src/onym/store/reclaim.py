"""Plans that take a sweep into use, the release stop's periods, and handles on their way.

A handle has a row here only once something happened to it alone; docs/concepts/reclaim.md.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CheckConstraint, F, Q, UniqueConstraint

from onym.core import plan as plans
from onym.core import reclaim as core
from onym.core.errors import NotFound
from onym.core.handle import State
from onym.core.policy import Outcome
from onym.store import secrets
from onym.store.desk import Namespace
from onym.store.names import Handle
from onym.store.people import Member
from onym.store.record import Approval
from onym.store.sale import Sale


class StopPeriod(models.Model):
    """The release stop was on in [`since`, `until`); null: it still is."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    set_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    approval = models.ForeignKey(Approval, models.PROTECT, null=True)

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_stop_at_a_time", fields=("namespace",), condition=Q(until=None)
            ),
            CheckConstraint(
                name="stop_forward", condition=Q(until=None) | Q(until__gte=F("since"))
            ),
        )


def stops(namespace: str) -> tuple[plans.Stop, ...]:
    """Every period of the stop; one that is on from the namespace's first day has no row yet."""
    rows = StopPeriod.objects.filter(namespace_id=namespace).order_by("since")
    found = [plans.Stop(row.since, row.until) for row in rows]
    return stops_of(Namespace.objects.get(pk=namespace), found)


def stops_of(place: Namespace, found: Sequence[plans.Stop]) -> tuple[plans.Stop, ...]:
    """The periods that have rows, and the one that a namespace is born with."""
    if place.release_stop and not any(stop.until is None for stop in found):
        return (*found, plans.Stop(max([place.created_at, *(s.until for s in found if s.until)])))
    return tuple(found)


class Plan(models.Model):
    """A sweep in use: `path` is its stock; `periods` are those of its policy; `stages` are
    [[percent, instant], …] as announced.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    policy_name = models.CharField(max_length=63)
    policy_version = models.IntegerField()
    path = models.TextField()
    as_of = models.DateTimeField()
    periods = models.JSONField()
    stages = models.JSONField()
    approval = models.ForeignKey(Approval, models.PROTECT, null=True)
    adopted_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    adopted_at = models.DateTimeField()

    class Meta:
        constraints = (UniqueConstraint(name="one_plan_per_stock", fields=("namespace", "path")),)

    @property
    def policy_ref(self) -> str:
        return f"{self.policy_name}/{self.policy_version}"

    @property
    def first_rest(self) -> timedelta:
        """From a stage's first notice to its first release: notice period and shortest rest."""
        rests = [days for part in self.planpart_set.all() for days, _ in part.resting]
        return timedelta(days=self.periods["notice_days"][0] + min(rests, default=0))

    def ordered_parts(self) -> list[PlanPart]:
        """Its parts in the order of their buckets."""
        return sorted(self.planpart_set.all(), key=lambda part: part.low)

    def snapshot(self) -> plans.Plan:
        """The plan as a core value, with what was sent to each of its parts until now."""
        return plans.Plan(
            id=self.id,
            as_of=self.as_of,
            notice_days=tuple(self.periods["notice_days"]),
            idle_days=self.periods["idle_days"],
            daily=self.periods["release_daily"],
            parts=tuple(row.snapshot() for row in self.ordered_parts()),
        )


class PlanPart(models.Model):
    """The findings of some buckets: when each notice was sent, and which leaves are written.

    `resting` lists [days, findings]; `released` the resting days whose findings have their leaf.
    `opened_at` is when the wave under way was first opened, `turn` how often it had to begin anew.
    """

    plan = models.ForeignKey(Plan, models.PROTECT)
    stage = models.IntegerField()
    low = models.IntegerField()
    high = models.IntegerField()
    starts_at = models.DateTimeField()
    sent = ArrayField(models.DateTimeField(null=True))
    resting = models.JSONField(default=list)
    retiring = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField(null=True)
    turn = models.IntegerField(default=0)
    rested_at = models.DateTimeField(null=True)
    released = ArrayField(models.IntegerField(), default=list)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_part", fields=("plan", "low")),
            CheckConstraint(name="part_has_buckets", condition=Q(high__gt=F("low"))),
        )

    def snapshot(self) -> plans.Part:
        resting = tuple((days, count) for days, count in self.resting)
        return plans.Part(self.low, self.high, self.starts_at, tuple(self.sent), resting)


class Reclaim(models.Model):
    """One touched handle on its way under one plan; `next_at` is when it must be looked at."""

    handle = models.ForeignKey(Handle, models.PROTECT)
    plan = models.ForeignKey(Plan, models.PROTECT)
    bucket = models.IntegerField()
    account_id = models.TextField()
    verdict = models.CharField(max_length=10)
    reasons = ArrayField(models.TextField())
    resting_days = models.IntegerField(null=True)
    written = models.CharField(max_length=12, default=State.HELD)
    sent = ArrayField(models.DateTimeField(null=True), null=True)
    opened_at = models.DateTimeField(null=True)
    turn = models.IntegerField(default=0)
    listed_at = models.DateTimeField(null=True)
    confirmed_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    looked_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ending = models.CharField(max_length=10, null=True)
    next_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        constraints = (
            UniqueConstraint(name="one_process_per_plan", fields=("handle", "plan")),
            UniqueConstraint(
                name="one_open_process", fields=("handle",), condition=Q(ended_at=None)
            ),
            CheckConstraint(name="process_state", condition=Q(written__in=list(State))),
            CheckConstraint(
                name="process_ending",
                condition=Q(ending=None, ended_at=None)
                | Q(ending__in=list(core.Ending), ending__isnull=False, ended_at__isnull=False),
            ),
            CheckConstraint(
                name="released_after_a_look",
                condition=~Q(written=State.RELEASED) | Q(looked_at__isnull=False),
            ),
        )

    def snapshot(self) -> core.Process:
        return core.Process(
            plan=self.plan_id,
            account_id=self.account_id,
            resting_days=self.resting_days,
            written=State(self.written),
            sent=tuple(self.sent) if self.sent is not None else None,
            listed_at=self.listed_at,
            confirmed=self.confirmed_by_id is not None,
            looked_at=self.looked_at,
            ended_at=self.ended_at,
            ending=core.Ending(self.ending) if self.ending else None,
        )

    def finding(self) -> core.Finding:
        return core.Finding(
            handle=self.handle.handle,
            bucket=self.bucket,
            account_id=self.account_id,
            verdict=Outcome(self.verdict),
            reasons=tuple(self.reasons),
            resting_days=self.resting_days,
        )


class Appeal(models.Model):
    """A holder's objection and what a second reviewer decided; the text is sealed.

    `instead_of_return` says why the price was shared where the sale was to be undone.
    """

    id = models.CharField(max_length=40, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    handle = models.ForeignKey(Handle, models.PROTECT)
    process = models.ForeignKey(Reclaim, models.PROTECT)
    account_id = models.TextField()
    member = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    text_sealed = models.BinaryField()
    state = models.CharField(max_length=10, default="open")
    opened_at = models.DateTimeField()
    decided_by = models.ForeignKey(Member, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reasons = ArrayField(models.TextField(), default=list)
    remedy = models.CharField(max_length=20, default="")
    sale = models.ForeignKey(Sale, models.PROTECT, null=True)
    compensation_minor = models.BigIntegerField(default=0)
    instead_of_return = models.CharField(max_length=40, default="")

    class Meta:
        constraints = (
            UniqueConstraint(
                name="one_open_appeal", fields=("handle", "account_id"), condition=Q(state="open")
            ),
            CheckConstraint(
                name="appeal_state",
                condition=Q(state__in=("open", "upheld", "rejected", "withdrawn")),
            ),
            CheckConstraint(
                name="appeal_decided_by_somebody",
                condition=Q(state__in=("open", "withdrawn"))
                | Q(decided_by__isnull=False, decided_at__isnull=False),
            ),
            CheckConstraint(name="compensation", condition=Q(compensation_minor__gte=0)),
            UniqueConstraint(
                name="one_return_per_sale",
                fields=("sale",),
                condition=Q(remedy="return_and_refund"),
            ),
        )

    @property
    def text(self) -> str:
        if not self.text_sealed:  # it has had its time, or its author was forgotten
            return ""
        return secrets.open_(bytes(self.text_sealed), place=f"appeal.text/{self.id}")


def open_process(row: Handle) -> Reclaim | None:
    """The process that has not ended, whether or not it still decides about the row."""
    found: Reclaim | None = (
        Reclaim.objects.select_related("plan").filter(handle=row, ended_at=None).first()
    )
    if found is not None:
        found.handle = row
    return found


def last_ended_at(row: Handle) -> datetime | None:
    """The last keep, return or change of hands that a plan must be younger than."""
    known: list[Any] = [row.changed_hands_at]
    known += Reclaim.objects.filter(handle=row).values_list("ended_at", flat=True)
    return max((at for at in known if at is not None), default=None)


def plans_of(namespace: str) -> list[Plan]:
    """Every plan in use, the newest sweep first."""
    rows = Plan.objects.filter(namespace_id=namespace).order_by("-as_of", "-id")
    return list(rows.prefetch_related("planpart_set"))


def keep_token(*, namespace: str, handle: str, account_id: str, plan: str) -> str:
    """What a keep link carries: who it speaks for, signed, so that nobody else can make one.

    Nothing is stored, and the same link is made every time, so a notice sent again is the same.
    """
    plain = json.dumps([namespace, handle, account_id, plan]).encode()
    return f"{base64.urlsafe_b64encode(plain).decode().rstrip('=')}.{_signature(plain)}"


def _signature(plain: bytes) -> str:
    # As hex, because the index folds case, and account ids may differ in case alone.
    return secrets.index(plain.hex(), purpose="keep")


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a keep link speaks for, about which handle, under which plan."""

    namespace: str
    handle: str
    account_id: str
    plan: str


def read_keep_token(token: str) -> Claim:
    """The claim in a keep link. Refuses `not_found` for whatever we did not sign."""
    text, _, signature = token.partition(".")
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if not hmac.compare_digest(signature, _signature(plain)):
            raise ValueError(token)
        return Claim(*json.loads(plain))
    except (ValueError, TypeError):
        raise NotFound("this link is not one of ours") from None
