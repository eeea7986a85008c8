"""All tables in one place, as Django wants them; each is defined in the file of its noun."""

from onym.store.area import AreaStop
from onym.store.bank import (
    BankAccount,
    BankDraw,
    BankFile,
    BankLine,
    BankOrder,
    BankReference,
    BankStatement,
    Bounce,
    WalletReference,
)
from onym.store.breaker import BreakerState
from onym.store.chargeback import Chargeback
from onym.store.desk import Document, Namespace
from onym.store.disclosure import Disclosure
from onym.store.hook import HookCall
from onym.store.inbox import ProviderEvent
from onym.store.invitation import Campaign, Invitation, Suppression
from onym.store.invoice import Invoice, InvoiceSeries
from onym.store.ledger import BookAccount, Entry, Posting
from onym.store.limits import RateWindow
from onym.store.listing import Listing
from onym.store.names import DirectoryImport, Handle, ListEntry, SaleSlot, Tenure
from onym.store.offer import Offer, OfferAnswer, OfferMove
from onym.store.people import (
    Kinship,
    Link,
    LinkCode,
    MailAddress,
    MailCode,
    Member,
    PayoutAccount,
    StaffRole,
    Token,
)
from onym.store.platform import PlatformWrite
from onym.store.reclaim import Appeal, Plan, PlanPart, Reclaim, StopPeriod
from onym.store.reconcile import Reconciliation
from onym.store.record import Approval, DemoClock, Event, IdempotentRequest, Notice
from onym.store.recovery import Recovery
from onym.store.sale import Payment, Payout, Sale
from onym.store.screening import ScreeningCase
from onym.store.share import DisplacedShare
from onym.store.shortlist import ShortlistEntry
from onym.store.sweep import Sweep
from onym.store.transfer import Transfer
from onym.store.wallet import Deposit, Hold, Wallet
from onym.store.watch import Watch, WatchCursor, WatchHit
from onym.store.webhook import Delivery, Webhook

__all__ = [
    "Appeal",
    "Approval",
    "AreaStop",
    "BankAccount",
    "BankDraw",
    "BankFile",
    "BankLine",
    "BankOrder",
    "BankReference",
    "BankStatement",
    "BookAccount",
    "Bounce",
    "BreakerState",
    "Campaign",
    "Chargeback",
    "Delivery",
    "DemoClock",
    "Deposit",
    "DirectoryImport",
    "Disclosure",
    "DisplacedShare",
    "Document",
    "Entry",
    "Event",
    "Handle",
    "Hold",
    "HookCall",
    "IdempotentRequest",
    "Invitation",
    "Invoice",
    "InvoiceSeries",
    "Kinship",
    "Link",
    "LinkCode",
    "ListEntry",
    "Listing",
    "MailAddress",
    "MailCode",
    "Member",
    "Namespace",
    "Notice",
    "Offer",
    "OfferAnswer",
    "OfferMove",
    "Payment",
    "Payout",
    "PayoutAccount",
    "Plan",
    "PlanPart",
    "PlatformWrite",
    "Posting",
    "ProviderEvent",
    "RateWindow",
    "Reclaim",
    "Reconciliation",
    "Recovery",
    "Sale",
    "SaleSlot",
    "ScreeningCase",
    "ShortlistEntry",
    "StaffRole",
    "StopPeriod",
    "Suppression",
    "Sweep",
    "Tenure",
    "Token",
    "Transfer",
    "Wallet",
    "WalletReference",
    "Watch",
    "WatchCursor",
    "WatchHit",
    "Webhook",
]
