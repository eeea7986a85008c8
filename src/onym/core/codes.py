"""A code sent by mail: good once, for ten minutes, for five guesses; docs/concepts/sign-in.md."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta

LIFE = timedelta(minutes=10)
GUESSES = 5


@dataclass(frozen=True, slots=True)
class MailCode:
    """`digest` is what is kept of the code; a spent one is good for nothing."""

    digest: str
    ordered_at: datetime
    guesses: int = 0
    spent: bool = False

    def is_open(self, *, now: datetime) -> bool:
        return not self.spent and self.guesses < GUESSES and now < self.ordered_at + LIFE


def guess(code: MailCode, *, digest: str, now: datetime) -> tuple[MailCode, bool]:
    """One guess: the code as it is afterwards, and whether it was right.

    Too late, too often and a second time are told apart from a wrong guess by nobody.
    """
    if not code.is_open(now=now):
        return code, False
    right = digest == code.digest
    return dataclasses.replace(code, guesses=code.guesses + 1, spent=right), right
