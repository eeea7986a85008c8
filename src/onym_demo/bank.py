"""The demo's bank: writes a statement (camt.053) of what came in and what a payment file sent.

`python -m onym_demo.bank OUT.xml --opening 0.00 --paid "RF18…=412.00" --sent pain.xml`
"""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

IBAN = "DE89370400440532013000"
PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.03}"
PAYER = ("Nadia Roux", "FR1420041010050500013M02606")


@dataclass(frozen=True, slots=True)
class Movement:
    """`amount` > 0 came in. `text` is what the payer wrote, `end_to_end` the orderer's own name."""

    amount: Decimal
    ref: str
    text: str = ""
    end_to_end: str = "NOTPROVIDED"
    name: str = PAYER[0]
    iban: str = PAYER[1]


def statement(
    movements: Iterable[Movement],
    *,
    id: str,
    opening: Decimal = Decimal(0),
    closing: Decimal | None = None,
    iban: str = IBAN,
    currency: str = "USD",
    version: str = "08",
    day: str = "2026-11-27",
) -> str:
    """A whole camt.053 file; `closing` other than the sum makes one that is wrong."""
    rows = list(movements)
    end = opening + sum((row.amount for row in rows), Decimal(0)) if closing is None else closing
    space = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{space}"><BkToCstmrStmt>'
        f"<GrpHdr><MsgId>{escape(id)}</MsgId><CreDtTm>{made}</CreDtTm></GrpHdr>"
        f"<Stmt><Id>{escape(id)}</Id><CreDtTm>{made}</CreDtTm>"
        f"<Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy></Acct>"
        f"{_balance('OPBD', opening, currency, day)}{_balance('CLBD', end, currency, day)}"
        f"{''.join(_entry(row, currency, version, day) for row in rows)}"
        "</Stmt></BkToCstmrStmt></Document>\n"
    )


def _balance(code: str, amount: Decimal, currency: str, day: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount, currency)}"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _amount(amount: Decimal, currency: str) -> str:
    sign = "CRDT" if amount >= 0 else "DBIT"
    return f'<Amt Ccy="{currency}">{abs(amount):f}</Amt><CdtDbtInd>{sign}</CdtDbtInd>'


def _entry(row: Movement, currency: str, version: str, day: str) -> str:
    status = "<Sts>BOOK</Sts>" if version == "02" else "<Sts><Cd>BOOK</Cd></Sts>"
    side = "Dbtr" if row.amount >= 0 else "Cdtr"
    name = f"<Nm>{escape(row.name)}</Nm>"
    party = name if version == "02" else f"<Pty>{name}</Pty>"
    account = f"<{side}Acct><Id><IBAN>{row.iban}</IBAN></Id></{side}Acct>" if row.iban else ""
    return (
        f"<Ntry>{_amount(row.amount, currency)}{status}<BookgDt><Dt>{day}</Dt></BookgDt>"
        f"<ValDt><Dt>{day}</Dt></ValDt><AcctSvcrRef>{escape(row.ref)}</AcctSvcrRef>"
        "<BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd><NtryDtls><TxDtls>"
        f"<Refs><EndToEndId>{escape(row.end_to_end)}</EndToEndId></Refs>"
        f"<RltdPties><{side}>{party}</{side}>{account}</RltdPties>"
        f"<RmtInf><Ustrd>{escape(row.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def sent(payment_file: str, *, prefix: str) -> list[Movement]:
    """Every transfer of a payment file as the bank books it."""
    rows = ET.fromstring(payment_file.encode()).iter(f"{PAIN}CdtTrfTxInf")  # noqa: S314 # nosec B314 - ours
    return [
        Movement(
            amount=-Decimal(row.findtext(f"{PAIN}Amt/{PAIN}InstdAmt", "0")),
            ref=f"{prefix}-{number}",
            end_to_end=row.findtext(f"{PAIN}PmtId/{PAIN}EndToEndId", ""),
            name=row.findtext(f"{PAIN}Cdtr/{PAIN}Nm", ""),
            iban=row.findtext(f"{PAIN}CdtrAcct/{PAIN}Id/{PAIN}IBAN", ""),
        )
        for number, row in enumerate(rows, start=1)
    ]


def main() -> None:
    """Write one statement."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("out", type=Path)
    ask.add_argument("--opening", type=Decimal, default=Decimal(0), help="the last one's closing")
    ask.add_argument("--paid", action="append", default=[], metavar="TEXT=AMOUNT")
    ask.add_argument("--sent", action="append", default=[], type=Path, metavar="PAIN.xml")
    ask.add_argument("--currency", default="USD")
    given = ask.parse_args()
    id_ = datetime.now(UTC).strftime("STMT%Y%m%d%H%M%S%f")
    rows = [
        Movement(Decimal(amount), f"{id_}-in-{number}", text)
        for number, (text, _, amount) in enumerate(
            (one.rpartition("=") for one in given.paid), start=1
        )
    ]
    for number, file in enumerate(given.sent, start=1):
        rows += sent(file.read_text(), prefix=f"{id_}-out-{number}")
    text = statement(rows, id=id_, opening=given.opening, currency=given.currency)
    given.out.write_text(text)
    total = given.opening + sum((row.amount for row in rows), Decimal(0))
    print(f"{given.out}: {len(rows)} movements, closing balance {total}")


if __name__ == "__main__":
    main()
