"""Statements as different banks write them: each is read the same, or refused by its code."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Callable
from decimal import Decimal

import pytest

from onym.core import bank
from onym.core.bank import Line
from onym.core.errors import Malformed
from onym.ports.bank import read_statement
from onym_demo.bank import IBAN, PAYER, Movement, statement

REFERENCE = bank.reference("sal_1")
OTHER = "GB29NWBK60161331926819"
GOOD = statement([Movement(Decimal(30), "B1", REFERENCE, name="Zoë")], id="S1")
TWO = statement([Movement(Decimal(30), "B1"), Movement(Decimal(5), "B2")], id="S1")


def lines(file: bytes) -> list[Line]:
    return list(read_statement(io.BytesIO(file)).lines)


def changed(*pairs: tuple[str, str], text: str = GOOD) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def declared(name: str, codec: str) -> bytes:
    return GOOD.replace('encoding="UTF-8"', f'encoding="{name}"').encode(codec)


def prefixed() -> str:
    """Every element under a prefix, as some banks write them."""
    head, _, body = GOOD.partition("\n")
    body = body.replace("</", "</c:").replace("<", "<c:").replace("<c:/c:", "</c:")
    return head + body.replace("xmlns=", "xmlns:c=")


STRUCTURED = (
    f"<Ustrd>{REFERENCE}</Ustrd>",
    f"<Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry><Issr>ISO</Issr></Tp>"
    f"<Ref>{REFERENCE.lower()}</Ref></CdtrRefInf></Strd>",
)
FORMS: dict[str, Callable[[], bytes]] = {
    "version 02": lambda: statement(
        [Movement(Decimal(30), "B1", REFERENCE, name="Zoë")], id="S1", version="02"
    ).encode(),
    "version 04": lambda: changed(
        ("001.08", "001.04"),
        ("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>"),
        ("<Pty>", ""),
        ("</Pty>", ""),
    ).encode(),
    "the day before's closing balance as the opening one": lambda: changed(
        ("OPBD", "PRCD")
    ).encode(),
    "Latin-1": lambda: declared("ISO-8859-1", "iso-8859-1"),
    "Windows-1252": lambda: declared("windows-1252", "cp1252"),
    "UTF-16": lambda: declared("UTF-16", "utf-16"),
    "UTF-8 with a mark": lambda: b"\xef\xbb\xbf" + GOOD.encode(),
    "every element under a prefix": lambda: prefixed().encode(),
    "a structured reference": lambda: changed(STRUCTURED).encode(),
    "the words in the entry's own text": lambda: changed(
        ("<RmtInf><Ustrd>", "<AddtlTxInf>"), ("</Ustrd></RmtInf>", "</AddtlTxInf>")
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_however_a_bank_writes_it_it_says_the_same(form: str) -> None:
    (line,) = lines(FORMS[form]())
    assert (line.ref, line.minor, line.name) == ("B1", 3_000, "Zoë")
    assert bank.find_reference(line.text) == REFERENCE


def test_what_is_taken_back_names_the_other_side_and_never_ourselves() -> None:
    ours = changed(("<Dbtr><Pty><Nm>Zoë", "<Dbtr><Pty><Nm>Plaza"), (PAYER[1], IBAN))
    assert [(line.name, line.iban) for line in lines(ours.encode())] == [("", "")]
    sides = (
        f"<Cdtr><Pty><Nm>Leila</Nm></Pty></Cdtr><CdtrAcct><Id><IBAN>{OTHER}</IBAN></Id></CdtrAcct>"
        "</RltdPties>"
    )
    both = changed(("</RltdPties>", sides), text=ours)
    assert [(line.name, line.iban) for line in lines(both.encode())] == [("", "")]
    back = changed(("<Sts><Cd>BOOK", "<RvslInd>true</RvslInd><Sts><Cd>BOOK"), text=both)
    assert [(line.minor, line.name, line.iban) for line in lines(back.encode())] == [
        (3_000, "Leila", OTHER)
    ]
    left = changed(
        (
            "</Amt><CdtDbtInd>CRDT</CdtDbtInd><RvslInd>",
            "</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>",
        ),
        text=back,
    )
    assert [(line.minor, line.name, line.iban) for line in lines(left.encode())] == [
        (-3_000, "", "")
    ]


def batch(*parts: str) -> bytes:
    start, end = GOOD.index("<TxDtls>"), GOOD.index("</NtryDtls>")
    return (
        GOOD[:start] + "".join(f"<TxDtls>{one}</TxDtls>" for one in parts) + GOOD[end:]
    ).encode()


def part(amount: str, sign: str = "", currency: str = "USD") -> str:
    told = f"<CdtDbtInd>{sign}</CdtDbtInd>" if sign else ""
    return f'<Amt Ccy="{currency}">{amount}</Amt>{told}'


def test_a_batch_may_hold_both_directions_and_only_the_accounts_currency() -> None:
    said = lines(batch(part("31.50", "CRDT"), part("1.50", "DBIT")))
    assert [(line.ref, line.minor) for line in said] == [("B1/1", 3_150), ("B1/2", -150)]
    for bad in ((part("31.50"), part("1.50")), (part("15"), part("15", currency="EUR")), ("", "")):
        with pytest.raises(Malformed):
            lines(batch(*bad))


def test_an_announced_entry_is_left_out_beside_a_booked_one() -> None:
    some = TWO[: TWO.rindex("BOOK")] + "PDNG" + TWO[TWO.rindex("BOOK") + 4 :]
    assert [line.ref for line in lines(some.encode())] == ["B1"]


@pytest.mark.parametrize(
    "encoding", ["x-nobody-knows", "shift_jis", "utf-7", "rot13", "idna", "UTF-16"]
)
def test_an_encoding_that_is_none_is_refused(encoding: str) -> None:
    with pytest.raises(Malformed):
        lines(declared(encoding, "utf-8"))


def test_fifty_megabytes_are_read_entry_by_entry_and_more_than_the_most_is_refused() -> None:
    start, end = GOOD.index("<Ntry>"), GOOD.index("</Stmt>")
    entry, count = GOOD[start:end], 4_000
    rows = "".join(entry.replace("B1", f"B{n}") for n in range(count))
    padding = "<!--" + "x" * 1_000_000 + "-->"
    whole = (GOOD[:start] + rows + padding * 48 + GOOD[end:]).encode()
    assert 49_000_000 < len(whole) < 52_000_000
    began = time.monotonic()
    tracemalloc.start()
    said = lines(whole)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(said), peak < 30_000_000, time.monotonic() - began < 60) == (count, True, True)
    with pytest.raises(Malformed, match="too large"):
        lines(whole + b"<!--" + b" " * 16_000_000 + b"-->")
