"""A sweep: one policy over one account table at one instant, written down with its manifest.

docs/guides/sweep.md walks through one. It needs no database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no types

from onym.core import appraisal, names
from onym.core.lexicon import Lexicon
from onym.core.money import Money
from onym.core.policy import Effect, Policy, Unknown
from onym.sweep import describe, engines, lookalikes, manifest
from onym.sweep import lexicon as lexicons
from onym.sweep.accounts import Accounts

FORMAT = "onym-sweep/1"
REJECTS = "rejects.csv"

Progress = Callable[[int], None]
"""Told how many findings are written so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to do. Without `lexicon` tiers rest on a handle's shape and nothing is appraised; with
    it and without `appraised`, tiers know words but no phrases, at the engine's full speed."""

    policy: Policy
    as_of: datetime
    engine: str = "duckdb"
    protected: Collection[str] = ()
    reserved: Collection[str] = ()
    lexicon: Lexicon | None = None
    appraised: bool = True
    base: Money = appraisal.DEFAULT_BASE


def run(
    accounts: Accounts,
    sweep: Sweep,
    out: Path | None,
    *,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Assess `accounts`; write findings, rejects and manifest to `out`, and answer the manifest.

    Without `out` nothing is written: the manifest has counts only. Refuses `malformed` for an
    engine that is not there.
    """
    if out is None:
        with _found(accounts, sweep, scratch) as batches:
            counted = manifest.Findings(verdicts=manifest.count(batches))
        return _manifest(accounts, sweep, counted, None)
    with manifest.staged(out) as stage:
        with _found(accounts, sweep, scratch or stage) as batches:
            findings = manifest.write(stage, batches, describe=_describe(sweep), progress=progress)
        if accounts.rejects:
            accounts.write_rejects(stage / REJECTS)
        alike = _look_alikes(accounts, sweep, findings, stage)
        body = _manifest(accounts, sweep, findings, alike)
        manifest.write_json(stage, body)
    return body


def _look_alikes(
    accounts: Accounts, sweep: Sweep, findings: manifest.Findings, stage: Path
) -> manifest.File:
    files = [stage / part.file for part in findings.partitions]
    listed = {*sweep.protected, *sweep.reserved}
    return lookalikes.write(accounts.con, accounts.table, files, listed, stage)


@contextmanager
def _found(
    accounts: Accounts, sweep: Sweep, scratch: Path | None
) -> Iterator[Iterator[pa.RecordBatch]]:
    words = None if sweep.lexicon is None else lexicons.word_table(sweep.lexicon)
    question = engines.Question(
        policy=sweep.policy,
        as_of=sweep.as_of,
        protected=sweep.protected,
        reserved=sweep.reserved,
        words=None if sweep.appraised else words,
    )
    with engines.assess(
        accounts.con, accounts.table, question, engine=sweep.engine, scratch=scratch
    ) as batches:
        yield batches


def _describe(sweep: Sweep) -> describe.Describe | None:
    if sweep.lexicon is None or not sweep.appraised:
        return None
    return describe.describer(sweep.policy, sweep.lexicon, base=sweep.base)


def _manifest(
    accounts: Accounts,
    sweep: Sweep,
    findings: manifest.Findings,
    alike: manifest.File | None,
) -> dict[str, Any]:
    policy, appraised = sweep.policy, sweep.lexicon is not None and sweep.appraised
    return {
        "format": FORMAT,
        "policy": {"id": policy.id, "version": policy.version},
        "profile": accounts.profile,
        "engine": sweep.engine,
        "as_of": wire(sweep.as_of),
        "rows": accounts.rows,
        "rejects": sum(accounts.rejects.values()),
        "verdicts": manifest.verdicts_of(findings.verdicts, accounts.rows),
        "partitions": [asdict(partition) for partition in findings.partitions],
        "look_alikes": None if alike is None else asdict(alike),
        "rejects_by_reason": dict(sorted(accounts.rejects.items())),
        "missing": list(accounts.missing),
        "ignored": list(accounts.ignored),
        "protecting": protecting(policy, accounts.missing),
        "versions": {
            "engine": engines.version(sweep.engine),
            "unicode": names.UNICODE_VERSION,
            "lexicon": None if sweep.lexicon is None else sweep.lexicon.digest,
        },
        "appraisal_base": _money(sweep.base) if appraised else None,
    }


def _money(money: Money) -> Mapping[str, Any]:
    return {"minor": money.minor, "currency": money.currency}


def wire(instant: datetime) -> str:
    """RFC 3339 in UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def protecting(policy: Policy, missing: Iterable[str]) -> list[str]:
    """The columns whose absence protects every account, or keeps it, under `policy`."""
    gone = set(missing)
    needed = [
        rule.when.signal
        for rule in policy.rules
        if (rule.effect is Effect.PROTECT and rule.when.signal not in policy.assume_absent)
        or (rule.effect is Effect.IDLE and rule.unknown is Unknown.KEEP)
    ]
    return [signal for signal in dict.fromkeys(needed) if signal in gone]
