"""The books: entries that balance by construction. See docs/concepts/ledger.md.

Signs: a positive posting gives to an account, a negative one takes from it; an entry sums to zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onym.core.money import Money


class Unbalanced(ValueError):
    """A fault: an entry that does not sum to zero was about to be booked."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` and `ref` name the fact once; `postings` map book-account codes to minor units."""

    kind: str
    ref: str
    currency: str
    postings: Mapping[str, int]
    provider_id: str | None = None

    def __post_init__(self) -> None:
        if sum(self.postings.values()) != 0:
            raise Unbalanced(f"{self.kind} {self.ref} sums to {sum(self.postings.values())}")


RECEIVABLE = "receivable"
"""What others owe the house: negative while they do."""


def world(provider: str) -> str:
    return f"world:{provider}"


def escrow(sale: str) -> str:
    return f"escrow:{sale}"


def payable(member: str) -> str:
    return f"member:{member}:payable"


def available(member: str) -> str:
    """A wallet's money that its member may use."""
    return f"member:{member}:available"


def held(member: str) -> str:
    """A wallet's money that waits for what it is held for."""
    return f"member:{member}:held"


def funded(*, sale: str, gross: Money, provider: str, provider_id: str) -> Entry:
    """The buyer's money arrives in the sale's escrow."""
    moves = {world(provider): -gross.minor, escrow(sale): gross.minor}
    return Entry("funded", sale, gross.currency, moves, provider_id)


def settled(
    *, sale: str, gross: Money, parts: Mapping[str, int], seller: str, seller_is_house: bool
) -> Entry:
    """Escrow is shared out; `parts` (proceeds, commission, fee, tax, share) sum to `gross`."""
    to = {
        "proceeds": "revenue:primary" if seller_is_house else payable(seller),
        "commission": "revenue:commission",
        "fee": "revenue:fee",
        "tax": "tax",
        "share": "suspense",
    }
    moves = {to[name]: minor for name, minor in parts.items() if minor}
    return Entry("settled", sale, gross.currency, {escrow(sale): -gross.minor, **moves})


def reversed_(settled: Entry) -> Entry:
    """The settlement taken back, posting by posting: the gross lies in the sale's escrow again."""
    moves = {code: -minor for code, minor in settled.postings.items()}
    return Entry("reversed", settled.ref, settled.currency, moves)


def refunded(*, sale: str, amount: Money, provider: str, provider_id: str, part: str = "") -> Entry:
    """The buyer's money goes back where it came from: the gross, or the part of it named `part`."""
    moves = {escrow(sale): -amount.minor, world(provider): amount.minor}
    return Entry("refunded", part or sale, amount.currency, moves, provider_id)


def paid_out(*, payout: str, amount: Money, out_of: str, provider: str, provider_id: str) -> Entry:
    """Proceeds (`out_of` payable) or a wallet's money (held) leave for the member's own account."""
    moves = {out_of: -amount.minor, world(provider): amount.minor}
    return Entry("paid_out", payout, amount.currency, moves, provider_id)


def deposited(
    *, deposit: str, amount: Money, member: str, out_of: str, provider_id: str | None
) -> Entry:
    """Money came into a wallet: `out_of` the world, or suspense where a bank transfer lay."""
    moves = {out_of: -amount.minor, available(member): amount.minor}
    return Entry("deposited", deposit, amount.currency, moves, provider_id)


def hold(*, hold: str, amount: Money, member: str) -> Entry:
    """Set aside for what the hold names."""
    moves = {available(member): -amount.minor, held(member): amount.minor}
    return Entry("set_aside", hold, amount.currency, moves)


def voided(*, hold: str, amount: Money, member: str) -> Entry:
    """What was set aside may be used again."""
    moves = {held(member): -amount.minor, available(member): amount.minor}
    return Entry("voided", hold, amount.currency, moves)


def funded_from_wallet(*, sale: str, gross: Money, member: str) -> Entry:
    """What was held for a sale is the sale's."""
    moves = {held(member): -gross.minor, escrow(sale): gross.minor}
    return Entry("funded", sale, gross.currency, moves)


def refunded_to_wallet(*, sale: str, gross: Money, member: str) -> Entry:
    """The buyer's money goes back to the wallet that it came from."""
    moves = {escrow(sale): -gross.minor, available(member): gross.minor}
    return Entry("refunded", sale, gross.currency, moves)


def kept(*, payout: str, amount: Money, member: str) -> Entry:
    """Proceeds go to the seller's wallet instead of leaving."""
    moves = {payable(member): -amount.minor, available(member): amount.minor}
    return Entry("to_wallet", payout, amount.currency, moves)


SUSPENSE = "suspense"
"""Money that is nobody's yet: a person, or what it waits for, decides."""


def received(*, arrival: str, amount: Money, bank: str, ref: str) -> Entry:
    """Money came in by the bank; what it is for is decided by further entries."""
    moves = {world(bank): -amount.minor, SUSPENSE: amount.minor}
    return Entry("received", arrival, amount.currency, moves, ref)


def funded_from_suspense(*, sale: str, gross: Money) -> Entry:
    """What came in by the bank, in one part or several, is the sale's."""
    return Entry(
        "funded", sale, gross.currency, {SUSPENSE: -gross.minor, escrow(sale): gross.minor}
    )


def returned(*, order: str, amount: Money, bank: str, ref: str) -> Entry:
    """Money that came in by the bank went back."""
    moves = {SUSPENSE: -amount.minor, world(bank): amount.minor}
    return Entry("returned", order, amount.currency, moves, ref)


def taken(*, arrival: str, amount: Money, bank: str, ref: str) -> Entry:
    """The bank took money that we did not order to be sent: a charge of its own, say."""
    moves = {SUSPENSE: -amount.minor, world(bank): amount.minor}
    return Entry("taken", arrival, amount.currency, moves, ref)


def shared(*, sale: str, amount: Money, member: str) -> Entry:
    """A displaced holder has come for the share that was set aside."""
    moves = {SUSPENSE: -amount.minor, payable(member): amount.minor}
    return Entry("shared", sale, amount.currency, moves)


def charged_back(
    *, chargeback: str, amount: Money, out_of: str, provider: str, provider_id: str
) -> Entry:
    """The buyer's bank has taken the money back, `out_of` escrow or as a claim of the house."""
    moves = {out_of: -amount.minor, world(provider): amount.minor}
    return Entry("charged_back", chargeback, amount.currency, moves, provider_id)


def deposit_charged_back(
    *, chargeback: str, amount: Money, there: Money, member: str, provider: str, provider_id: str
) -> Entry:
    """The member's bank has taken a deposit back: `there` of it lay in the wallet, the rest is a
    claim of the house."""
    parts = {available(member): -there.minor, RECEIVABLE: there.minor - amount.minor}
    moves = {code: minor for code, minor in parts.items() if minor}
    moves[world(provider)] = amount.minor
    return Entry("charged_back", chargeback, amount.currency, moves, provider_id)


def reinstated(taken: Entry) -> Entry:
    """The bank has given it back, to where it was taken from."""
    moves = {code: -minor for code, minor in taken.postings.items()}
    return Entry("reinstated", taken.ref, taken.currency, moves, taken.provider_id)


def absorbed(
    *, chargeback: str, sale: str, left: Money, given_up: Money, met: Money, met_by: str
) -> Entry:
    """A claim for what the bank took is met by what lies in the sale's escrow: what was left of it,
    the loss of what had been given up, and what `met_by` had met of it before."""
    parts = {RECEIVABLE: left.minor, LOSS: given_up.minor, met_by: met.minor}
    moves = {code: minor for code, minor in parts.items() if minor}
    moves[escrow(sale)] = -(left + given_up + met).minor
    return Entry("absorbed", chargeback, left.currency, moves)


def bounced(*, bounce: str, amount: Money, to: str) -> Entry:
    """A payout that the other bank sent back is owed again, or is in its wallet again."""
    return Entry("bounced", bounce, amount.currency, {SUSPENSE: -amount.minor, to: amount.minor})


LOSS = "loss"
"""What the house has given up."""


def recovered(*, recovery: str, amount: Money, out_of: str) -> Entry:
    """A claim of the house is met, in part or whole, out of what its debtor would have had."""
    moves = {out_of: -amount.minor, RECEIVABLE: amount.minor}
    return Entry("recovered", recovery, amount.currency, moves)


def written_off(*, chargeback: str, amount: Money) -> Entry:
    """Two people have given the rest of a claim up."""
    moves = {LOSS: -amount.minor, RECEIVABLE: amount.minor}
    return Entry("written_off", chargeback, amount.currency, moves)


def compensated(*, appeal: str, amount: Money, member: str | None) -> Entry:
    """A holder whose handle was sold wrongly has a part of the price, set aside if unknown."""
    to = payable(member) if member else "suspense"
    moves = {"revenue:primary": -amount.minor, to: amount.minor}
    return Entry("compensated", appeal, amount.currency, moves)
