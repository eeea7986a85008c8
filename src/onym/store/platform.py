"""Writes to a platform that remembers none: what was wished, how far it came, how it ended.

`Writes` is the journal that ports/journal.py asks for; docs/guides/atproto.md tells why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db import models, transaction
from django.db.models import CheckConstraint, Max, Q, UniqueConstraint

from onym.store import rowlocks
from onym.store.desk import Namespace


class PlatformWrite(models.Model):
    """One write under its name for ever; `subject` is what no two writes may be about at once.

    An empty `answer` is a write whose end is not known yet. `fence` is null where none was used up.
    """

    key = models.CharField(max_length=160, primary_key=True)
    namespace = models.ForeignKey(Namespace, models.PROTECT)
    subject = models.TextField()
    fence = models.BigIntegerField(null=True)
    wish = models.JSONField()
    progress = models.JSONField(default=dict)
    answer = models.CharField(max_length=8, default="")
    code = models.CharField(max_length=80, default="")
    detail = models.TextField(default="")
    facts = models.JSONField(default=dict)

    class Meta:
        constraints = (
            CheckConstraint(
                name="platform_write_answer", condition=Q(answer__in=["", "done", "refused"])
            ),
            UniqueConstraint(
                name="one_open_write_per_subject",
                fields=("namespace", "subject"),
                condition=Q(answer=""),
            ),
            UniqueConstraint(
                name="a_fence_is_used_once",
                fields=("namespace", "subject", "fence"),
                condition=Q(fence__isnull=False),
            ),
        )


class Writes:
    """The journal of one namespace's platform. Each call is a transaction of its own."""

    def __init__(self, *, namespace: str) -> None:
        self._namespace = namespace

    def turn(self, names: Iterable[str], *, seconds: float) -> AbstractContextManager[bool]:
        """Nobody else writes about these names meanwhile; False where that cannot be had."""
        return rowlocks.platform_turn([f"{self._namespace} {n}" for n in names], seconds=seconds)

    def find(self, key: str) -> dict[str, Any] | None:
        """The write as columns, or None if it was never wished for."""
        return _columns(self._rows().filter(key=key))

    def open_about(self, subject: str) -> dict[str, Any] | None:
        """The write about this subject whose end is not known, or None."""
        return _columns(self._rows().filter(subject=subject, answer=""))

    def highest_fence(self, subject: str) -> int:
        """0 where none was used."""
        found = self._rows().filter(subject=subject).aggregate(highest=Max("fence"))
        return int(found["highest"] or 0)

    def last_done(self, subject: str, *, having: str) -> dict[str, Any] | None:
        """The write with the highest fence that was done and whose wish has the field `having`."""
        rows = self._rows().filter(subject=subject, answer="done", fence__isnull=False)
        return _columns(rows.filter(wish__has_key=having).order_by("-fence"))

    def begin(
        self, *, key: str, subject: str, fence: int | None, wish: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Write down what is wished before anything is asked; answers the row's columns."""
        with transaction.atomic():
            self._rows().create(
                key=key,
                namespace_id=self._namespace,
                subject=subject,
                fence=fence,
                wish=dict(wish),
            )
        return dict(self._rows().values().get(key=key))

    def note(self, key: str, progress: Mapping[str, Any]) -> None:
        """How far it has come."""
        self._rows().filter(key=key).update(progress=dict(progress))

    def end(self, key: str, *, answer: str, code: str, detail: str, facts: Any) -> None:
        """Its answer, which every later question gets again."""
        told = {"code": code[:80], "detail": detail, "facts": dict(facts)}
        self._rows().filter(key=key, answer="").update(answer=answer, **told)

    def _rows(self) -> models.QuerySet[PlatformWrite]:
        return PlatformWrite.objects.filter(namespace_id=self._namespace)


def _columns(rows: models.QuerySet[PlatformWrite]) -> dict[str, Any] | None:
    found = rows.values().first()
    return None if found is None else dict(found)
