"""A handle changes hands over SCIM: rename the holder, then assign; undone where that fails.

Each stage is written down before it is asked for, so that whoever finds the write goes on from
there. docs/guides/platform-scim.md says what two steps cannot rule out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from onym.core import names
from onym.ports.journal import Write
from onym.ports.platform import Answer, Outcome
from onym.ports.scim_wire import CHANGED, TAKEN, Client, Person, Renamed

TRIES = 8
"""Names to try for an account that is renamed, and times to read anew what had changed."""


class Moves:
    """`quiet` is how many seconds a rename without an answer may still be under way; nothing is
    concluded from a read before they are over.
    """

    def __init__(self, *, client: Client, profile: str, quiet: float) -> None:
        self._client, self._profile, self._quiet = client, profile, quiet

    def move(self, write: Write) -> Outcome:
        """From wherever it stands to its end; unknown where the provider does not answer."""
        self._wait(write)
        stages = {"detach": self._detach, "assign": self._assign, "undo": self._undo}
        told = None if "stage" in write.progress else self._begin(write)
        while told is None:
            told = stages[write.progress["stage"]](write)
        return told

    def _begin(self, write: Write) -> Outcome | None:
        wish = write.wish
        held = self._client.named(wish["handle"])
        owner = None if held is None else held.id
        if owner != wish["expected_holder"]:
            return _refused("stale", code="wrong_holder", account_id=owner)
        if wish["to"] == owner:  # a bar: nothing but the fence
            return Outcome(Answer.DONE, facts=_facts(wish))
        if owner not in (None, wish["from"]):
            return _refused("malformed", "from must be the account that holds the handle")
        taker = self._client.person(wish["to"])
        if taker is None:
            return _refused("account_unknown")
        if not taker.active:
            return _refused("account_unavailable")
        spare = None if owner is None else self._spare(owner, wish["placeholder"], 0)
        write.note(stage="detach" if owner else "assign", displaced=owner, spare=spare)
        return None

    def _detach(self, write: Write) -> Outcome | None:
        """Rename the holder; a spare name that is taken is followed by the next."""
        for attempt in range(1, TRIES):
            held = self._client.person(write.progress["displaced"])
            if held is None or not self._bears(held, write.wish["handle"]):
                write.note(stage="assign")
                return None
            said = self._rename(write, held, write.progress["spare"])
            if not said.sure:
                return _unknown(said)
            if said.why == TAKEN:
                write.note(spare=self._spare(held.id, None, attempt))
        return _refused("placeholder_taken")

    def _assign(self, write: Write) -> Outcome | None:
        """Give it to the taker, who may have it already; whoever came between makes it undone."""
        wish = write.wish
        for _ in range(TRIES):
            held, taker = self._client.named(wish["handle"]), self._client.person(wish["to"])
            if held is not None and held.id == wish["to"]:
                return Outcome(
                    Answer.DONE, facts=_facts(wish) | {"placeholder": write.progress["spare"]}
                )
            if taker is None or not taker.active:
                return self._turn_back(write, "account_unavailable")
            if held is not None:
                return self._turn_back(write, "taken_between")
            said = self._rename(write, taker, wish["handle"])
            if not said.sure:
                return _unknown(said)
            if said.why == TAKEN:
                return self._turn_back(write, "taken_between")
            if said.why not in ("", CHANGED):
                return self._turn_back(write, "account_unknown")
        return Outcome(Answer.UNKNOWN, "not_so", "the provider says done, and it is not")

    def _turn_back(self, write: Write, why: str) -> Outcome | None:
        """From here on it is undone."""
        write.note(stage="undo", why=why)
        return None

    def _undo(self, write: Write) -> Outcome | None:
        """Give the handle back to whoever was renamed for this move, from whoever has come
        between: it was on its way all the time and nobody else's to take.
        """
        wish, why = write.wish, str(write.progress["why"])
        for attempt in range(1, TRIES):
            former = self._client.person(write.progress["displaced"] or "")
            held = self._client.named(wish["handle"])
            if held is not None and held.id == wish["to"]:
                write.note(stage="assign")  # it had arrived, only its answer had not
                return None
            if former is None or (held is not None and held.id == former.id):
                return _refused(why)
            if held is not None:
                said = self._rename(write, held, self._spare(held.id, None, attempt))
            else:
                said = self._rename(write, former, wish["handle"])
            if not said.sure:
                return _unknown(said)
        return Outcome(Answer.UNKNOWN, "not_undone", "the handle does not go back")

    def _bears(self, person: Person, label: str) -> bool:
        known = names.is_handle(person.name, self._profile)
        return known and names.canon(person.name, self._profile) == label

    def _spare(self, account_id: str, wished: str | None, attempt: int) -> str:
        """What the account is called next."""
        return wished or names.placeholder(self._profile, account_id, attempt=attempt)

    def _rename(self, write: Write, person: Person, label: str) -> Renamed:
        """Ask, with the time of asking kept until the answer is there."""
        write.note(asked=time.time())
        said = self._client.rename(person, label)
        if said.sure:
            write.note(asked=0)
        return said

    def _wait(self, write: Write) -> None:
        """Until what was asked without an answer cannot be under way any more."""
        over = float(write.progress.get("asked", 0)) + self._quiet - time.time()
        if 0 < over <= self._quiet:
            time.sleep(over)


def _facts(wish: Mapping[str, Any]) -> dict[str, Any]:
    return {"handle": wish["handle"], "account_id": wish["to"], "fence": wish["fence"]}


def _refused(why: str, detail: str = "", **facts: Any) -> Outcome:
    return Outcome(Answer.REFUSED, why, detail, facts)


def _unknown(said: Renamed) -> Outcome:
    return Outcome(Answer.UNKNOWN, "no_answer", said.detail)
