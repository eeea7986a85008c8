"""A handle changes hands on a PDS: rename the holder, then assign; undone where that fails.

A PDS has no atomic swap. Each stage is written down before it is asked for, so that a process that
finds it later goes on from there; docs/guides/atproto.md says what that cannot rule out.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any

from onym.core import names
from onym.ports.atproto_accounts import PROFILE, Accounts, Info
from onym.ports.journal import Write
from onym.ports.platform import Answer, Outcome
from onym.ports.xrpc import Said, Xrpc, seconds

TRIES = 8
"""Names to try for an account that is renamed, until one is free."""


class Moves:
    """What a `Write` wishes for, done at the PDS. `quiet` is how many seconds a request without
    an answer may still be under way; nothing is concluded from a read before they are over.
    """

    def __init__(self, *, xrpc: Xrpc, accounts: Accounts, quiet: float) -> None:
        self._xrpc = xrpc
        self._accounts = accounts
        self._quiet = quiet

    # ---- a move

    def move(self, write: Write) -> Outcome:
        """From wherever it stands to its end; unknown where the PDS does not answer."""
        self._wait(write)
        stages = {
            "detach": self._detach,
            "assign": self._assign,
            "keep": self._keep,
            "undo": self._undo,
        }
        told = None if "stage" in write.progress else self._begin(write)
        while told is None:
            told = stages[write.progress["stage"]](write)
        return told

    def _begin(self, write: Write) -> Outcome | None:
        wish, to = write.wish, write.wish["to"]
        held = self._accounts.find(wish["handle"], likely=(wish["expected_holder"], wish["from"]))
        owner = self._accounts.owner(held)
        if owner != wish["expected_holder"]:
            return _refused("stale", code="wrong_holder", account_id=owner)
        if to == owner:  # a bar: nothing but the fence
            return Outcome(Answer.DONE, facts=_facts(wish))
        if owner not in (None, self._accounts.custodian, wish["from"]):
            return _refused("malformed", "from must be the account that holds the handle")
        if held is not None and held.did == self._accounts.custodian:
            return _refused("malformed", "the custodian's own handle stays")
        buyer = self._accounts.info(to)
        if buyer is None:
            return _refused("account_unknown")
        if not self._accounts.is_active(to):
            return _refused("account_unavailable")
        write.note(
            stage="assign" if held is None else "detach",
            displaced=None if held is None else held.did,
            spare=None if held is None else self._spare(held, wish["placeholder"], 0),
            left=self._accounts.label(buyer.handle),
        )
        return None

    def _detach(self, write: Write) -> Outcome | None:
        """Rename the holder; a spare name that is taken is followed by the next."""
        did, full = write.progress["displaced"], self._accounts.full(write.wish["handle"])
        for attempt in range(1, TRIES):
            held = self._accounts.info(did)
            if held is None or held.handle != full:
                break
            said = self._rename(write, did, write.progress["spare"])
            if not said.sure:
                return _unknown(said)
            if said.error:
                write.note(spare=self._spare(held, None, attempt))
        else:
            return _refused("placeholder_taken")
        write.note(stage="assign")
        return None

    def _assign(self, write: Write) -> Outcome | None:
        to, handle = write.wish["to"], write.wish["handle"]
        if self._accounts.owner(self._accounts.find(handle, likely=(to,))) == to:
            write.note(stage="keep")
            return None
        if not self._accounts.is_active(to):
            write.note(stage="undo", why="account_unavailable")
            return None
        if to == self._accounts.custodian:
            said = self._shelve(write, handle)
        else:
            said = self._rename(write, to, handle)
        if not said.sure and not self._arrived_unheard(write):
            return _unknown(said)
        if said.sure and said.error:
            why = "taken_between" if write.progress["displaced"] else "taken"
            write.note(stage="undo", why=why, detail=said.message)
            return None
        if self._accounts.owner(self._accounts.find(handle, likely=(to,))) != to:
            return Outcome(Answer.UNKNOWN, "not_so", "the PDS says done, and it is not")
        write.note(stage="keep")
        return None

    def _arrived_unheard(self, write: Write) -> bool:
        """Whether an assignment without an answer was done all the same, once it cannot be under
        way any more: the market may see so much at once, and would not ask again for the rest.
        """
        self._wait(write)
        to = str(write.wish["to"])
        return self._accounts.owner(self._accounts.find(write.wish["handle"], likely=(to,))) == to

    def _keep(self, write: Write) -> Outcome:
        """Keep the old handle of whoever moved, where that is wished; clear the custodian's."""
        wish, left = write.wish, write.progress["left"]
        kept = False
        if wish["retain"] and left and left != wish["handle"]:
            kept = self._accounts.owner(self._accounts.find(left)) == self._accounts.custodian
            if not kept:
                said = self._shelve(write, left)
                if not said.sure:
                    return _unknown(said)
                kept = said.done
        self._clear(self._accounts.info(write.progress["displaced"]))
        spare = write.progress["spare"]
        return Outcome(Answer.DONE, facts=_facts(wish) | {"placeholder": spare, "retained": kept})

    def _undo(self, write: Write) -> Outcome | None:
        """Give the handle back to whoever was renamed for this move, from whoever has come
        between: it was on its way all the time and nobody else's to take.
        """
        wish, did = write.wish, write.progress["displaced"]
        held = self._accounts.find(wish["handle"], likely=(did, wish["to"]))
        if self._accounts.owner(held) == wish["to"]:
            write.note(stage="keep")  # it had arrived, only its answer had not
            return None
        former = self._accounts.info(did)
        if former is None or (held is not None and held.did == did):
            self._align(write, wish["to"])
            detail = str(write.progress.get("detail", ""))
            return Outcome(Answer.REFUSED, write.progress["why"], detail)
        if held is not None:
            said = self._rename(write, held.did, self._spare(held, None, 1))
            if not said.done:
                return _unknown(said)
        said = self._rename(write, former.did, wish["handle"])
        return None if said.done else _unknown(said)

    def _align(self, write: Write, did: str) -> None:
        """A PDS that failed half-way has told the directory a handle that it did not give: naming
        the account anew, and again as before, makes both say the same.
        """
        told = self._xrpc.ask("com.atproto.repo.describeRepo", repo=did)
        info = self._accounts.info(did)
        if info is None or (told.facts or {}).get("handleIsCorrect") is not False:
            return
        label = self._accounts.label(info.handle)
        if label and self._rename(write, did, self._spare(info, None, 1)).done:
            self._rename(write, did, label)

    def _spare(self, info: Info, wished: str | None, attempt: int) -> str:
        """What the account is called next; one that cannot be a handle is not asked for."""
        if self._accounts.is_custodial(info):
            return names.placeholder(PROFILE, info.did, attempt=attempt + 1)
        if wished and attempt == 0 and names.is_handle(wished, PROFILE):
            return wished
        return names.placeholder(PROFILE, info.did, attempt=attempt)

    def _rename(self, write: Write, did: str, label: str) -> Said:
        wish = {"did": did, "handle": self._accounts.full(label)}
        return self._order(write, "com.atproto.admin.updateAccountHandle", wish)

    def _order(
        self, write: Write, method: str, wish: Mapping[str, Any], *, token: str | None = None
    ) -> Said:
        """Ask, with the time of asking kept until the answer is there."""
        write.note(asked=seconds())
        said = self._xrpc.order(method, wish, token=token)
        if said.sure:
            write.note(asked=0)
        return said

    def _wait(self, write: Write) -> None:
        """Until what was asked without an answer cannot be under way any more."""
        over = float(write.progress.get("asked", 0)) + self._quiet - seconds()
        if 0 < over <= self._quiet:
            time.sleep(over)

    # ---- the custodian

    def reserve(self, write: Write) -> Outcome:
        """Done where the custodian holds it already; refused while an account does."""
        self._wait(write)
        held = self._accounts.find(write.wish["handle"])
        if held is not None:
            is_ours = self._accounts.is_custodial(held)
            return Outcome(Answer.DONE) if is_ours else _refused("handle_held")
        said = self._shelve(write, write.wish["handle"])
        if not said.sure:
            return _unknown(said)
        return Outcome(Answer.DONE) if said.done else _refused("handle_held", said.message)

    def unreserve(self, write: Write) -> Outcome:
        """The account that held it for the custodian is deleted, and the handle is nobody's."""
        held = self._accounts.find(write.wish["handle"])
        if held is None and write.progress.get("stage") == "free":
            return Outcome(Answer.DONE)
        if held is None or not self._accounts.is_custodial(held):
            return _refused("not_reserved")
        write.note(stage="free")
        said = self._clear(held)
        return Outcome(Answer.DONE) if said.done else _unknown(said)

    def _shelve(self, write: Write, label: str) -> Said:
        """Give a free handle to an account made for it, invited in the custodian's name.

        It is made under a name of its own first: a host keeps some handles from everybody but its
        administrator, and a second attempt finds it by that name.
        """
        digest = hashlib.sha256(label.encode()).hexdigest()
        shelf = f"shelf-{digest[:12]}"
        found = self._accounts.find(shelf)
        if found is None:
            said = self._found(write, shelf)
            if not said.done:
                return said
            found = self._accounts.find(shelf)
        if found is None or not self._accounts.is_custodial(found):
            return Said(sure=False, error="NoShelf", message="no account for a kept handle")
        return self._rename(write, found.did, label)

    def _found(self, write: Write, shelf: str) -> Said:
        custodian = self._accounts.info(self._accounts.custodian)
        if custodian is None:
            return Said(sure=True, error="NoCustodian", message="there is no custodian")
        wish = {"useCount": 1, "forAccount": custodian.did}
        invited = self._xrpc.order("com.atproto.server.createInviteCode", wish)
        if not invited.done:
            return invited
        made = {
            "handle": self._accounts.full(shelf),
            "email": f"{shelf}@{custodian.email.rpartition('@')[2]}",
            "password": secrets.token_urlsafe(32),
            "inviteCode": (invited.facts or {}).get("code"),
        }
        return self._order(write, "com.atproto.server.createAccount", made, token="")

    def _clear(self, info: Info | None) -> Said:
        """Delete an account that only held a handle for the custodian, and no other."""
        if info is None or info.did == self._accounts.custodian:
            return Said(sure=True)
        if not self._accounts.is_custodial(info):
            return Said(sure=True)
        return self._xrpc.order("com.atproto.admin.deleteAccount", {"did": info.did})


def _facts(wish: Mapping[str, Any]) -> dict[str, Any]:
    return {"handle": wish["handle"], "account_id": wish["to"], "fence": wish["fence"]}


def _refused(why: str, detail: str = "", **facts: Any) -> Outcome:
    return Outcome(Answer.REFUSED, why, detail, facts)


def _unknown(said: Said) -> Outcome:
    return Outcome(Answer.UNKNOWN, "no_answer", f"{said.error} {said.message}"[:200])
