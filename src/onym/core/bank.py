"""Money by bank transfer: account numbers, payment references, and what an arrival is good for.

Statements are checked as a whole before anything is believed. See docs/guides/bank-transfer.md.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from onym.core.errors import (
    AccountMismatch,
    CurrencyMismatch,
    Malformed,
    StatementGap,
    StatementUnbalanced,
)
from onym.core.money import Money

METHOD = "bank_transfer"
"""The payment method's name, beside the provider's own names of cards."""

ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""What references are written in: no I or O, which are read as 1 and 0."""
REFERENCE_LETTERS = 14
REFERENCE = re.compile(r"RF[0-9]{2}[0-9A-Z]{1,21}")
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}")


def _mod_97(text: str) -> int:
    """The remainder of ISO 7064 (mod 97-10), letters counted from A = 10."""
    return int("".join(str(int(letter, 36)) for letter in text)) % 97


def iban(typed: str) -> str:
    """An account number without spaces, its check digits right (ISO 13616). Refuses `malformed`."""
    text = re.sub(r"\s", "", typed).upper()
    if not text.isascii() or not IBAN.fullmatch(text) or _mod_97(text[4:] + text[:4]) != 1:
        raise Malformed("this is not an IBAN: look at its digits again")
    return text


def reference(about: str) -> str:
    """The creditor reference of a sale, or a member's wallet (ISO 11649), the same for ever."""
    number = int.from_bytes(hashlib.sha256(b"reference/" + about.encode()).digest())
    letters = ""
    for _ in range(REFERENCE_LETTERS):
        number, place = divmod(number, len(ALPHABET))
        letters += ALPHABET[place]
    return f"RF{98 - _mod_97(letters + 'RF00'):02}{letters}"


def find_reference(text: str) -> str | None:
    """The first creditor reference in what a payer wrote, in whatever groups; None without one."""
    plain = re.sub(r"[^0-9A-Z]", "", text.upper())
    for found in re.finditer(rf"(?=(RF[0-9]{{2}}[0-9A-Z]{{{REFERENCE_LETTERS}}}))", plain):
        if _mod_97(found[1][4:] + found[1][:4]) == 1:
            return found[1]
    return None


FOLD = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
    | {"æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"}
    | {"đ": "d", "Đ": "D", "ð": "d", "þ": "th", "ı": "i", "’": "'"}
)
PASSED_ON = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ ")
LONGEST_HOLDER = 70


def latin(text: str) -> str:
    """In the characters that banks pass on, without marks; what has none is a full stop."""
    folded = unicodedata.normalize("NFKD", text.translate(FOLD))
    letters = (letter for letter in folded if not unicodedata.combining(letter))
    return "".join(letter if letter in PASSED_ON else "." for letter in letters)


def holder(typed: str) -> str:
    """An account holder's name, as a bank can be told it. Refuses `malformed`."""
    text = " ".join(typed.split())
    told = sum(letter.isalpha() for letter in latin(text))
    if told < 2 or told * 2 < len(text) or len(text) > LONGEST_HOLDER:
        raise Malformed(
            f"write the account holder's name in Latin letters, as the bank has it, "
            f"{LONGEST_HOLDER} at most"
        )
    return text


@dataclass(frozen=True, slots=True)
class Line:
    """One booked movement of a statement: `minor` > 0 came in, < 0 left.

    `ref` is the bank's own name of it, `end_to_end` ours if the payment was ours. What the other
    side is called stays confidential.
    """

    ref: str
    minor: int
    currency: str
    booked_on: date
    text: str = ""
    end_to_end: str = ""
    name: str = ""
    iban: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a bank says of one account over some days; balances in minor units."""

    id: str
    iban: str
    currency: str
    opening_minor: int
    closing_minor: int
    lines: Sequence[Line]


def check(statement: Statement, *, iban: str, currency: str, closing_minor: int | None) -> None:
    """Refuse a statement that is not ours, not whole, or does not follow the last one.

    `closing_minor` is where the last one ended; None: there was none. Refuses `account_mismatch`,
    `currency_mismatch`, `statement_unbalanced`, `statement_gap`.
    """
    if statement.iban != iban:
        raise AccountMismatch("the statement is of another account")
    if {statement.currency, *(line.currency for line in statement.lines)} != {currency}:
        raise CurrencyMismatch(f"this namespace deals in {currency}", expected=currency)
    moved = sum(line.minor for line in statement.lines)
    if statement.opening_minor + moved != statement.closing_minor:
        raise StatementUnbalanced("opening balance and entries do not give the closing balance")
    if closing_minor is not None and statement.opening_minor != closing_minor:
        raise StatementGap("a statement between the last one and this one is missing")


class Arrival(StrEnum):
    """What money that came in is good for."""

    EXACT = "exact"  # it funds the sale that it names
    PARTIAL = "partial"  # it waits until the rest is there
    OVER = "over"  # it funds the sale, and the rest is set aside
    WALLET = "wallet"  # it is put into the wallet that it names
    NOT_NOW = "not_now"  # it names a wallet, and may not go there now: a person decides
    UNKNOWN = "unknown"  # it names no sale and no wallet: a person decides
    BACK = "back"  # it is a payout of ours that the other bank did not take
    LATE = "late"  # its sale waits for no money (any more): it goes back


def match(*, gross: Money | None, waits: bool, before_minor: int, minor: int) -> Arrival:
    """What `minor` more is good for, when `before_minor` wait for the same sale already.

    `gross` is None when no sale is named; `waits` says whether the sale can still be funded.
    """
    if gross is None:
        return Arrival.UNKNOWN
    if not waits:
        return Arrival.LATE
    total = before_minor + minor
    if total < gross.minor:
        return Arrival.PARTIAL
    return Arrival.EXACT if total == gross.minor else Arrival.OVER


def draw(wanted: int, rests: Sequence[int]) -> list[int]:
    """How much of each rest, the oldest first, makes up `wanted`; they must suffice."""
    taken = []
    for rest in rests:
        taken.append(min(rest, wanted))
        wanted -= taken[-1]
    if wanted:
        raise ValueError("the rests do not suffice")
    return taken


RETURNS_WITHIN = timedelta(days=14)
"""For so long after a payment has left, the other bank may send it back."""


class OrderState(StrEnum):
    """Money that we send by the bank."""

    NO_PLACE = "no_place"  # nobody knows the account to send it to: a person asks
    WAITING = "waiting"  # goes into the next payment file
    FILED = "filed"  # in a payment file; the next statement says whether it left
    DONE = "done"  # a statement shows that it left
    RETURNED = "returned"  # a later statement shows that it came back
