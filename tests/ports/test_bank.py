"""Statements of banks as they come, and payment files against the published schema."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources

import pytest
import xmlschema

from onym.core.bank import Statement
from onym.core.errors import Malformed
from onym.ports import bank_file
from onym.ports.bank import MOST_NODES, Bank, Transfer, read_statement
from onym_demo.bank import Movement, sent, statement

ACCOUNT = Bank(iban="DE89370400440532013000", beneficiary="Plaza Märkte & Söhne <GmbH>")
PAIN = "schemas/pain.001.001.03.xsd"


def read(text: str) -> Statement:
    return read_statement(io.BytesIO(text.encode()))


MOVEMENTS = (
    Movement(Decimal("420.00"), "B1", "for the handle RF18 …"),
    Movement(Decimal("-12.5"), "B2", "charges", end_to_end="bor01", name="The bank", iban=""),
)


@pytest.mark.parametrize("version", ["02", "08"])
def test_both_versions_of_a_statement_say_the_same(version: str) -> None:
    said = read(statement(MOVEMENTS, id="S1", opening=Decimal(10), version=version))
    assert (said.id, said.iban, said.currency) == ("S1", ACCOUNT.iban, "USD")
    assert (said.opening_minor, said.closing_minor) == (1_000, 41_750)
    one, two = said.lines
    assert (one.ref, one.minor, one.booked_on) == ("B1", 42_000, date(2026, 11, 27))
    assert (one.text, one.name) == ("for the handle RF18 …", "Nadia Roux")
    assert one.iban == "FR1420041010050500013M02606"
    assert (two.minor, two.end_to_end, two.name, two.iban) == (-1_250, "bor01", "The bank", "")


def test_a_batch_is_read_payment_by_payment_and_must_give_its_own_sum() -> None:
    whole = statement([Movement(Decimal(30), "B1")], id="S1")
    parts = "".join(
        f'<TxDtls><Amt Ccy="USD">{amount}</Amt><RmtInf><Ustrd>{amount}</Ustrd></RmtInf></TxDtls>'
        for amount in ("10.00", "20.00")
    )
    start, end = whole.index("<TxDtls>"), whole.index("</NtryDtls>")
    said = read(whole[:start] + parts + whole[end:])
    assert [(line.ref, line.minor, line.text) for line in said.lines] == [
        ("B1/1", 1_000, "10.00"),
        ("B1/2", 2_000, "20.00"),
    ]
    with pytest.raises(Malformed, match="do not give"):
        read(whole[:start] + parts.replace("20.00", "20.01") + whole[end:])


def test_what_is_only_announced_is_not_booked() -> None:
    text = statement([Movement(Decimal(30), "B1")], id="S1")
    assert read(text.replace("<Cd>BOOK</Cd>", "<Cd>PDNG</Cd>")).lines == ()


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))
GOOD = statement([Movement(Decimal(30), "B1")], id="S1")
BAD = {
    "no XML": "PK\x03\x04 nothing",
    "nothing": "",
    "cut off": GOOD[: len(GOOD) // 2],
    "another schema": GOOD.replace("camt.053", "camt.052"),
    "a billion laughs": GOOD.replace("<Document", f"<!DOCTYPE x [{LAUGHS}]><Document").replace(
        "Nadia", "&l8;"
    ),
    "a file of the machine": GOOD.replace(
        "<Document", '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Document'
    ).replace("Nadia", "&f;"),
    "no closing balance": GOOD.replace("CLBD", "ITBD"),
    "two statements": GOOD.replace("</Stmt>", "</Stmt><Stmt></Stmt>"),
    "an amount in words": GOOD.replace('<Amt Ccy="USD">30</Amt>', '<Amt Ccy="USD">thirty</Amt>'),
    "a third of a cent": GOOD.replace('<Amt Ccy="USD">30</Amt>', '<Amt Ccy="USD">30.003</Amt>'),
    "no number": GOOD.replace('<Amt Ccy="USD">30</Amt>', '<Amt Ccy="USD">NaN</Amt>'),
    "a negative amount": GOOD.replace('<Amt Ccy="USD">30</Amt>', '<Amt Ccy="USD">-30</Amt>'),
    "an amount beyond all numbers": GOOD.replace(">30</Amt>", ">1e999999</Amt>"),
    "an amount with an exponent": GOOD.replace(">30</Amt>", ">3e1</Amt>"),
    "an amount in other digits": GOOD.replace(">30</Amt>", ">\u0663\u0660</Amt>"),
    "a currency of nowhere": GOOD.replace('Ccy="USD"', 'Ccy="ZZZ"'),
    "no reference": GOOD.replace("AcctSvcrRef", "Other"),
    "no day": GOOD.replace("BookgDt", "Other"),
    "very deep": GOOD.replace("<Ustrd>", "<a>" * 60).replace("</Ustrd>", "</a>" * 60),
    "a very long text": GOOD.replace("<Ustrd>", "<Ustrd>" + "x" * 10_000),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_whole_statement_is_refused(what: str) -> None:
    with pytest.raises(Malformed):
        read(BAD[what])


def test_what_is_kept_of_a_file_at_once_is_bounded_entry_by_entry() -> None:
    few, many = "<a/>" * 1_000, "<a/>" * (MOST_NODES - 1_000)
    announced = f"<Ntry><Sts>PDNG</Sts>{many}</Ntry>"
    assert len(read(GOOD.replace("</Stmt>", f"{announced}{few}</Stmt>")).lines) == 1
    with pytest.raises(Malformed, match="too large"):
        read(GOOD.replace("</Stmt>", f"{few}{many}</Stmt>"))


TRANSFERS = (
    Transfer("bor0001", 42_000, "USD", "FR1420041010050500013M02606", "Nadia Roux", "Return of B1"),
    Transfer("bor0002", 5, "USD", "DE89370400440532013000", "نادية <&> Ünal", "Payout sal_1"),
)


def test_a_payment_file_is_valid_against_the_published_schema() -> None:
    text = bank_file.payment_file(
        TRANSFERS, bank=ACCOUNT, id="pfl0001", made_at=datetime(2026, 11, 27, tzinfo=UTC)
    )
    schema = xmlschema.XMLSchema(str(resources.files("sepaxml") / PAIN))
    schema.validate(text)
    assert "<CtrlSum>420.05</CtrlSum>" in text
    assert not schema.is_valid(text.replace("<PmtMtd>TRF</PmtMtd>", ""))
    told = [(row.end_to_end, row.amount) for row in sent(text, prefix="S2")]
    assert told == [("bor0001", Decimal("-420.00")), ("bor0002", Decimal("-0.05"))]


def test_amounts_are_written_with_their_currencys_digits() -> None:
    written = [
        bank_file._written(minor, currency)
        for minor, currency in ((5, "USD"), (1_234_567, "USD"), (1_500, "JPY"), (7, "KWD"))
    ]
    assert written == ["0.05", "12345.67", "1500", "0.007"]
