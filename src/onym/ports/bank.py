"""The operator's account at a bank, read from files and written to by files (ISO 20022).

A statement is read in one pass, entry by entry; a document type, and with it every entity, is
refused where it begins. docs/guides/bank-transfer.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import BinaryIO
from xml.parsers import expat

from onym.core.bank import Line, Statement
from onym.core.errors import Malformed
from onym.core.money import MAX_MINOR, MINOR_DIGITS

KNOWN = re.compile(r"urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.(02|04|08)")
DEEPEST = 40
LONGEST_TEXT = 4_000
PIECE = 65_536
MOST_BYTES = 64_000_000
MOST_NODES = 500_000
"""Elements kept at once: those of the entry being read, and those around the entries."""
AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Bank:
    """Our account: where buyers send money to and payouts leave from. `name` is the books'."""

    iban: str
    beneficiary: str
    bic: str = ""
    name: str = "bank"


class Node:
    """One element as read: its text and its children by name."""

    __slots__ = ("children", "has", "name", "text")

    def __init__(self, name: str, has: dict[str, str]) -> None:
        self.name = name
        self.has = has
        self.text = ""
        self.children: list[Node] = []

    def all(self, path: str) -> Iterator[Node]:
        """Every node at a path such as `Acct/Id/IBAN`."""
        here, _, rest = path.partition("/")
        for child in self.children:
            if child.name == here:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def one(self, path: str) -> str:
        """The text at a path, empty when there is none."""
        return next((node.text.strip() for node in self.all(path)), "")


def read_statement(file: BinaryIO) -> Statement:
    """A camt.053.001.02, .04 or .08 with one statement of one account. Refuses `malformed`."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        read = 0
        while piece := file.read(PIECE):
            read += len(piece)
            if read > MOST_BYTES:
                raise Malformed("the file is too large")
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: of its encoding
        raise Malformed(f"the file is not XML: {error}") from None
    return reader.statement()


def _refuse_doctype(*_: object) -> None:
    raise Malformed("a statement has no document type")


class _Reader:
    """Builds one small tree at a time: an entry is read and forgotten before the next."""

    def __init__(self) -> None:
        self.path: list[Node] = []
        self.heads: list[Node] = []
        self.lines: list[Line] = []
        self.kept = self.around = 0

    def start(self, name: str, has: dict[str, str]) -> None:
        space, _, plain = name.rpartition(" ")
        if not self.path and (plain != "Document" or not KNOWN.fullmatch(space)):
            raise Malformed("the file is no camt.053.001.02, .04 or .08")
        if len(self.path) >= DEEPEST:
            raise Malformed("the file is nested too deeply")
        if plain == "Ntry" and self.path[-1].name == "Stmt":
            self.around = self.kept
        self.kept += 1
        if self.kept > MOST_NODES:
            raise Malformed("an entry of the file, or what stands around them, is too large")
        node = Node(plain, has)
        if self.path:
            self.path[-1].children.append(node)
        self.path.append(node)
        if plain == "Stmt":
            self.heads.append(node)

    def characters(self, text: str) -> None:
        node = self.path[-1]
        if len(node.text) + len(text) > LONGEST_TEXT:
            raise Malformed("a text of the file is too long")
        node.text += text

    def end(self, _: str) -> None:
        node = self.path.pop()
        if node.name == "Ntry" and self.path and self.path[-1].name == "Stmt":
            self.path[-1].children.remove(node)
            self.kept = self.around
            if _status(node) == "BOOK":
                self.lines.extend(_lines(node))

    def statement(self) -> Statement:
        if len(self.heads) != 1:
            raise Malformed("a file holds one statement")
        head = self.heads[0]
        balances = {_code(node): node for node in head.all("Bal")}
        begins = balances.get("OPBD") or balances.get("PRCD")  # where the one before it ended
        if begins is None or "CLBD" not in balances:
            raise Malformed("the statement lacks its opening or its closing balance")
        opening, currency = _amount(begins)
        closing, other = _amount(balances["CLBD"])
        if currency != other:
            raise Malformed("the balances are in two currencies")
        return Statement(
            id=_need(head.one("Id"), "the statement's Id", 60),
            iban=_need(head.one("Acct/Id/IBAN"), "the account's IBAN", 34),
            currency=currency,
            opening_minor=opening,
            closing_minor=closing,
            lines=tuple(_of_another(line, own=head.one("Acct/Id/IBAN")) for line in self.lines),
        )


def _of_another(line: Line, *, own: str) -> Line:
    """Without the other side where the bank wrote ours there: nothing is to be sent to us."""
    return replace(line, name="", iban="") if line.iban == own else line


def _code(balance: Node) -> str:
    return balance.one("Tp/CdOrPrtry/Cd")


def _status(entry: Node) -> str:
    """camt.053.001.02 says it in `Sts`, .08 in `Sts/Cd`."""
    return entry.one("Sts/Cd") or entry.one("Sts")


def _need(text: str, what: str, longest: int) -> str:
    if not text or len(text) > longest:
        raise Malformed(f"{what} is missing or too long")
    return text


def _amount(node: Node, path: str = "Amt") -> tuple[int, str]:
    """Signed minor units and currency; credit is positive."""
    found = next(node.all(path), None)
    if found is None:
        raise Malformed(f"an {node.name} lacks its amount")
    currency, sign = found.has.get("Ccy", ""), node.one("CdtDbtInd")
    if sign not in ("CRDT", "DBIT"):
        raise Malformed("an amount says neither credit nor debit")
    minor = minor_of(found.text.strip(), currency)
    return (minor if sign == "CRDT" else -minor), currency


def minor_of(text: str, currency: str) -> int:
    """A decimal amount as minor units. Refuses `malformed`, also for an unknown currency."""
    if currency not in MINOR_DIGITS:
        raise Malformed(f"no table for the currency {currency[:8]!r}")
    exact = Decimal(text).scaleb(MINOR_DIGITS[currency]) if AMOUNT.fullmatch(text) else None
    if exact is None or exact != int(exact) or exact > MAX_MINOR:
        raise Malformed(f"{text[:40]!r} is no amount in {currency}")
    return int(exact)


def _lines(entry: Node) -> Iterator[Line]:
    """The payments of one entry: itself, or each of a batch whose amounts must give its own."""
    minor, currency = _amount(entry)
    parts = list(entry.all("NtryDtls/TxDtls"))
    ref = _need(entry.one("AcctSvcrRef") or entry.one("NtryRef"), "an entry's reference", 60)
    booked = _day(entry.one("BookgDt/Dt") or entry.one("BookgDt/DtTm")[:10])
    is_back = entry.one("RvslInd") in ("true", "1")
    if len(parts) < 2:
        yield _line(parts[0] if parts else entry, ref, minor, currency, booked, is_back)
        return
    split = [_part(part, "DBIT" if minor < 0 else "CRDT", currency) for part in parts]
    if sum(split) != minor:
        raise Malformed(f"the parts of the entry {ref} do not give its amount")
    for number, (part, amount) in enumerate(zip(parts, split, strict=True), start=1):
        own = part.one("Refs/AcctSvcrRef") or f"{ref}/{number}"
        own = _need(own, "an entry's reference", 80)
        yield _line(part, own, amount, currency, booked, is_back)


def _part(part: Node, sign: str, currency: str) -> int:
    """What one payment of a batch moves, in the entry's direction unless it says another."""
    node = next(part.all("Amt"), None) or next(part.all("AmtDtls/TxAmt/Amt"), None)
    if node is None or node.has.get("Ccy", "") != currency:
        raise Malformed("a payment of a batch lacks its amount in the account's currency")
    minor = minor_of(node.text.strip(), currency)
    return minor if (part.one("CdtDbtInd") or sign) == "CRDT" else -minor


def _line(node: Node, ref: str, minor: int, currency: str, booked: date, is_back: bool) -> Line:
    """What one payment says; `node` is its details, or the entry when it has none. One that is
    taken back (`is_back`) names the sides of what it takes back."""
    side = "Dbtr" if (minor >= 0) is not is_back else "Cdtr"
    paths = ("RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Ustrd", "AddtlTxInf", "AddtlNtryInf")
    told = [each.text.strip() for path in paths for each in node.all(path)]
    name = node.one(f"RltdPties/{side}/Nm") or node.one(f"RltdPties/{side}/Pty/Nm")
    return Line(
        ref=ref,
        minor=minor,
        currency=currency,
        booked_on=booked,
        text=" ".join(told)[:500],
        end_to_end=node.one("Refs/EndToEndId")[:40],
        name=name[:140],
        iban=node.one(f"RltdPties/{side}Acct/Id/IBAN")[:34],
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Malformed("an entry lacks its booking date") from None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money to be sent: `id` comes back as EndToEndId; `text` is what the receiver reads."""

    id: str
    minor: int
    currency: str
    iban: str
    name: str
    text: str
