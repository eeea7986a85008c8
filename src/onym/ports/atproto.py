"""A Bluesky PDS as the platform: XRPC as its administrator; docs/guides/atproto.md.

A PDS keeps no fences and no names of requests, so `Book` keeps them in the market's database.
"""

from __future__ import annotations

import hashlib
import html
import secrets
from collections.abc import Sequence
from typing import Any

from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.ports.account import HandedOver, address_digest
from onym.ports.atproto_accounts import PROFILE, Accounts, checked
from onym.ports.atproto_moves import Moves
from onym.ports.journal import PATIENCE, Book, Journal, Write
from onym.ports.platform import (
    AccountRow,
    Answer,
    Capabilities,
    Holding,
    Notice,
    Outcome,
)
from onym.ports.xrpc import Said, Xrpc

SIGNALS = ("created_at", "last_post_at", "status")
ADDRESS = "email_sha256"
_EMAIL = "com.atproto.admin.updateAccountEmail"
_PASSWORD = "com.atproto.admin.updateAccountPassword"  # noqa: S105 - the name of an order
WIPED: Sequence[str] = ()
"""What a hand-over destroys: a PDS holds neither messages nor contacts."""


class Atproto:
    """`Platform` on a PDS. Without a custodian it reserves and retains nothing.

    `mails` says that the PDS sends mail, so that holders are told through it; else the market is
    given their addresses. `hands_over` lets whole accounts change hands. `quiet` is how many
    seconds a request that was not answered may still be under way, `patience` how many to wait
    for another process's turn.
    """

    def __init__(
        self,
        *,
        xrpc: Xrpc,
        journal: Journal,
        quiet: float,
        custodian: str | None = None,
        mails: bool = False,
        hands_over: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self._xrpc = xrpc
        self._accounts = Accounts(xrpc=xrpc, custodian=custodian, gives_addresses=not mails)
        self._moves = Moves(xrpc=xrpc, accounts=self._accounts, quiet=quiet)
        self._book = Book(journal, self._run, patience=patience)
        self._mails, self._hands_over = mails, hands_over

    def capabilities(self) -> Capabilities:
        """What it can do; asks whether the PDS is there."""
        if not self._accounts.domain:
            raise PlatformUnavailable("the PDS gives no handles of its own")
        keeps = self._accounts.custodian is not None
        return Capabilities(
            profile=PROFILE,
            custodian=self._accounts.custodian,
            atomic_move=False,
            reserve=keeps,
            retain=keeps,
            hand_over=self._hands_over,
            notices=self._mails,
            notice_batch=0,
            signals=SIGNALS if self._mails else (*SIGNALS, "email"),
        )

    def accounts(self, *, cursor: str | None = None) -> tuple[Sequence[AccountRow], str | None]:
        """One page of the activity list; `last_post_at` is the repository's last write."""
        return self._accounts.page(cursor)

    def account(self, *, account_id: str) -> AccountRow | None:
        """The account now, or None; its handle is empty under a name of another domain."""
        return self._accounts.row(account_id)

    def bio(self, *, account_id: str) -> str | None:
        """The description in the account's profile record, or None without one."""
        return self._accounts.bio(account_id)

    def holder(self, *, handle: str) -> Holding:
        """The read-back, suspended holders too. Refused: HandleMalformed."""
        label = checked(handle)
        return Holding(handle, self._accounts.owner(self._accounts.find(label)))

    def move(
        self,
        *,
        handle: str,
        source: str | None,
        to: str | None,
        placeholder: str | None,
        expected_holder: str | None,
        fence: int,
        key: str,
        retain: bool = False,
    ) -> Outcome:
        """Rename the holder, then assign; undone where somebody came between. See `Moves`."""
        if fence < 1 or (to is None and expected_holder is not None):
            return Outcome(Answer.REFUSED, "malformed")
        try:
            label = checked(handle)
            spare = None if placeholder is None else checked(placeholder)
        except HandleMalformed as refusal:
            return Outcome(Answer.REFUSED, refusal.code, refusal.detail)
        wish = {
            "verb": "move",
            "handle": label,
            "from": source,
            "to": to,
            "placeholder": spare,
            "expected_holder": expected_holder,
            "fence": fence,
            "retain": retain,
        }
        people = {f"account:{did}" for did in (source, to) if did}
        return self._book.once(
            key=key, subject=f"handle:{label}", wish=wish, names=people, fence=fence
        )

    def reserve(self, *, handle: str, key: str) -> Outcome:
        """Give a handle that nobody holds to the custodian; refused while an account holds it."""
        return self._keep("reserve", handle, key)

    def unreserve(self, *, handle: str, key: str) -> Outcome:
        """Let the custodian give a handle up, so that nobody holds it."""
        return self._keep("unreserve", handle, key)

    def hand_over(
        self,
        *,
        account_id: str,
        email: str | None,
        fence: int,
        key: str,
        wipe: Sequence[str] = (),
        handle: str | None = None,
        last: int | None = None,
    ) -> Outcome:
        """Hand the whole account to whoever reads `email`; refused unless it is switched on.

        Password, sessions and app passwords are void; tokens of at most two hours run out.
        """
        if not self._hands_over:
            return Outcome(Answer.REFUSED, "not_supported", "whole accounts stay where they are")
        wish: dict[str, Any] = {"verb": "hand_over", "account_id": account_id, "fence": fence}
        wish |= {"wipe": list(wipe), "handle": handle, "last": last}
        if email is not None:
            wish[ADDRESS] = address_digest(email)
        return self._book.once(
            key=key,
            subject=f"account:{account_id}",
            wish=wish,
            names=() if handle is None else {f"handle:{handle}"},
            fence=fence,
            beside={} if email is None else {"email": email},
        )

    def handed_over(self, *, account_id: str) -> HandedOver:
        """The fence is the market's own note, the address the PDS's word."""
        done = self._book.last(f"account:{account_id}", having=ADDRESS)
        info = self._accounts.info(account_id)
        address = address_digest(info.email) if info is not None and info.email else None
        return HandedOver(int(done["fence"]) if done else 0, address)

    def notify(
        self, *, account_id: str, kind: str, text: str, href: str | None, key: str
    ) -> Outcome:
        """Mail the holder through the PDS, once; twice where its answer was lost.

        Nothing of the text is kept: it may hold a link that decides.
        """
        if not self._mails:
            return Outcome(Answer.REFUSED, "not_supported", "the PDS sends no mail")
        content = text if href is None or href in text else f"{text}\n\n{href}"
        digest = hashlib.sha256(f"{kind}\n{content}".encode()).hexdigest()
        wish = {"verb": "notify", "account_id": account_id, "sha256": digest}
        beside = {"content": content}
        return self._book.once(key=key, subject=f"notice:{key}", wish=wish, beside=beside)

    def notify_all(self, *, notices: Sequence[Notice]) -> Sequence[Outcome]:
        """One mail after the other."""
        return [
            self.notify(
                account_id=one.account_id, kind=one.kind, text=one.text, href=one.href, key=one.key
            )
            for one in notices
        ]

    def _sent(self, write: Write) -> Outcome:
        did, content = str(write.wish["account_id"]), write.beside.get("content")
        if content is None:
            return Outcome(Answer.UNKNOWN, "in_progress")
        subject, _, _ = content.strip().partition("\n")
        body = html.escape(content, quote=False).replace("\n", "<br>\n")
        wish = {"recipientDid": did, "content": body, "subject": subject[:120], "senderDid": did}
        said = self._xrpc.order("com.atproto.admin.sendEmail", wish)
        if not said.sure:
            return Outcome(Answer.UNKNOWN, "no_answer", said.message)
        if said.error:
            return Outcome(Answer.REFUSED, "account_unknown", said.message)
        return Outcome(Answer.DONE)

    def _keep(self, verb: str, handle: str, key: str) -> Outcome:
        if self._accounts.custodian is None:
            return Outcome(Answer.REFUSED, "not_supported", "there is no custodian")
        try:
            label = checked(handle)
        except HandleMalformed as refusal:
            return Outcome(Answer.REFUSED, refusal.code, refusal.detail)
        wish = {"verb": verb, "handle": label}
        return self._book.once(key=key, subject=f"handle:{label}", wish=wish)

    def _run(self, write: Write) -> Outcome:
        """Take a write up where it stands; a PDS that is away leaves it open."""
        runs = {
            "move": self._moves.move,
            "reserve": self._moves.reserve,
            "unreserve": self._moves.unreserve,
            "hand_over": self._handed_over,
            "notify": self._sent,
        }
        try:
            return runs[write.wish["verb"]](write)
        except PlatformUnavailable as trouble:
            return Outcome(Answer.UNKNOWN, "no_answer", trouble.detail)

    def _handed_over(self, write: Write) -> Outcome:
        """The address first: the PDS takes none that another of its accounts has, and then nothing
        is done. Once it is changed, the order is taken up again until all is.
        """
        did, email = str(write.wish["account_id"]), write.beside.get("email")
        refusal = "" if write.progress else self._unfit(write)
        if refusal:
            return Outcome(Answer.REFUSED, refusal)
        if ADDRESS not in write.wish:
            return Outcome(Answer.DONE, facts={"account_id": did})
        if email is None:
            return Outcome(Answer.UNKNOWN, "in_progress")
        write.note(began=True)
        said = self._xrpc.order(_EMAIL, {"account": did, "email": email})
        if not said.done and self._accounts.is_anothers(email, than=did):
            return Outcome(Answer.REFUSED, "address_taken", "another account has this address")
        ended = self._shut_out(did, secrets.token_urlsafe(32)) if said.done else said
        info = self._accounts.info(did) if ended.done else None
        if info is None or address_digest(info.email) != write.wish[ADDRESS]:
            return Outcome(Answer.UNKNOWN, "no_answer", ended.message)
        self._xrpc.order("com.atproto.server.requestPasswordReset", {"email": email}, token="")
        return Outcome(Answer.DONE, facts={"account_id": did, "wiped": list(WIPED)})

    def _unfit(self, write: Write) -> str:
        """Why the account is not the one that was meant, before anything is changed."""
        info = self._accounts.info(str(write.wish["account_id"]))
        if info is None:
            return "account_unknown"
        handle, last = write.wish.get("handle"), write.wish.get("last")
        if handle is not None and info.handle != self._accounts.full(handle):
            return "stale"
        return "stale" if last not in (None, self.handed_over(account_id=info.did).fence) else ""

    def _shut_out(self, did: str, password: str) -> Said:
        """A password that nobody knows, and no session or app password beside it."""
        said = self._xrpc.order(_PASSWORD, {"did": did, "password": password})
        return self._end_app_passwords(did, password) if said.done else said

    def _end_app_passwords(self, did: str, password: str) -> Said:
        """They outlive a new password, and only the account itself may end them: so sign in."""
        wish = {"identifier": did, "password": password, "allowTakendown": True}
        session = self._xrpc.order("com.atproto.server.createSession", wish, token="")
        token = str((session.facts or {}).get("accessJwt", ""))
        if not session.done or not token:
            return session if not session.done else Said(sure=False, message="no session")
        listed = self._xrpc.as_holder("com.atproto.server.listAppPasswords", token)
        for one in (listed.facts or {}).get("passwords", ()):
            gone = self._xrpc.order(
                "com.atproto.server.revokeAppPassword", {"name": one["name"]}, token=token
            )
            if not gone.done:
                return gone
        if not listed.done:
            return listed
        refresh = str((session.facts or {}).get("refreshJwt", ""))
        return self._xrpc.order("com.atproto.server.deleteSession", None, token=refresh)
