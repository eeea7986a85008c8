"""Payment files for the bank: pain.001.001.03, the form that every bank of the SEPA area takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.sax.saxutils import escape

from onym.core import bank as words
from onym.core.money import MINOR_DIGITS
from onym.ports.bank import Bank, Transfer

SPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"


def payment_file(transfers: Sequence[Transfer], *, bank: Bank, id: str, made_at: datetime) -> str:
    """One order of credit transfers. `id` (35 characters at most) names the file for ever."""
    total = sum(one.minor for one in transfers)
    currency = transfers[0].currency
    head = (
        f"<GrpHdr><MsgId>{id}</MsgId><CreDtTm>{made_at:%Y-%m-%dT%H:%M:%S}</CreDtTm>"
        f"<NbOfTxs>{len(transfers)}</NbOfTxs><CtrlSum>{_written(total, currency)}</CtrlSum>"
        f"<InitgPty><Nm>{latin(bank.beneficiary, 70)}</Nm></InitgPty></GrpHdr>"
    )
    agent = _agent(bank.bic)
    body = (
        f"<PmtInf><PmtInfId>{id}</PmtInfId><PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>"
        f"<NbOfTxs>{len(transfers)}</NbOfTxs><CtrlSum>{_written(total, currency)}</CtrlSum>"
        f"<ReqdExctnDt>{made_at:%Y-%m-%d}</ReqdExctnDt>"
        f"<Dbtr><Nm>{latin(bank.beneficiary, 70)}</Nm></Dbtr>"
        f"<DbtrAcct><Id><IBAN>{bank.iban}</IBAN></Id><Ccy>{currency}</Ccy></DbtrAcct>"
        f"<DbtrAgt>{agent}</DbtrAgt><ChrgBr>SLEV</ChrgBr>"
        f"{''.join(map(_transfer, transfers))}</PmtInf>"
    )
    start = '<?xml version="1.0" encoding="UTF-8"?>\n'
    whole = f"<CstmrCdtTrfInitn>{head}{body}</CstmrCdtTrfInitn>"
    return f'{start}<Document xmlns="{SPACE}">{whole}</Document>\n'


def _agent(bic: str) -> str:
    if bic:
        return f"<FinInstnId><BIC>{bic}</BIC></FinInstnId>"
    return "<FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId>"


def _transfer(one: Transfer) -> str:
    return (
        f"<CdtTrfTxInf><PmtId><EndToEndId>{one.id}</EndToEndId></PmtId>"
        f'<Amt><InstdAmt Ccy="{one.currency}">{_written(one.minor, one.currency)}</InstdAmt></Amt>'
        f"<Cdtr><Nm>{latin(one.name, 70)}</Nm></Cdtr>"
        f"<CdtrAcct><Id><IBAN>{one.iban}</IBAN></Id></CdtrAcct>"
        f"<RmtInf><Ustrd>{latin(one.text, 140)}</Ustrd></RmtInf></CdtTrfTxInf>"
    )


def _written(minor: int, currency: str) -> str:
    digits = MINOR_DIGITS[currency]
    text = str(minor).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text


def latin(text: str, longest: int) -> str:
    """Text in the characters that banks pass on, escaped, and cut."""
    return escape(words.latin(text).strip()[:longest] or "-")
