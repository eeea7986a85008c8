"""Does a platform keep the signed-HTTP contract? One verdict a clause; see docs/guides/platform.md.

Reads and signatures are tried with requests that change nothing. What changes something is tried
on two accounts and one free handle that the operator named for it, and put back after each clause.
"""

from __future__ import annotations

from onym.ports.conformance import accounts, handles, notices, reading, signing
from onym.ports.conformance.clause import Clause, Finding, Verdict, judge
from onym.ports.conformance.ground import Ground

CLAUSES: tuple[Clause, ...] = (
    *reading.CLAUSES,
    *signing.CLAUSES,
    *handles.CLAUSES,
    *accounts.CLAUSES,
    *notices.CLAUSES,
    *reading.LAST,
)
__all__ = ["CLAUSES", "Clause", "Finding", "Ground", "Verdict", "judge"]
