"""The market's codes in words that a page can show: states, tiers, factors, causes, reasons."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_noop as said

WORDS = {
    # tiers
    "standard": said("standard"),
    "priority": said("priority"),
    "rare": said("rare"),
    # factors of an appraisal
    "length": said("length"),
    "characters": said("kinds of characters"),
    "word": said("dictionary word"),
    "first_name": said("first name"),
    "last_name": said("last name"),
    "full_name": said("full name"),
    "phrase": said("phrase"),
    "sound": said("easy to say"),
    "trade": said("word of trade"),
    "look_alike": said("looks like another"),
    "age": said("age"),
    "references": said("references to it"),
    "demand": said("demand"),
    # how a tenure began
    "registered": said("registered"),
    "primary": said("sold by the platform"),
    "trade_sale": said("sold by its holder"),
    "house": said("bought by the operator"),
    "platform": said("changed on the platform"),
    "retained": said("kept for its last holder"),
    "let_go": said("given free"),
    "granted": said("granted"),
    "appeal": said("given back after an appeal"),
    # entries of the books
    "funded": said("payment received"),
    "settled": said("sale settled"),
    "refunded": said("payment sent back"),
    "charged_back": said("the bank took the money back"),
    "reinstated": said("the bank gave the money back"),
    "absorbed": said("claim met"),
    "reversed": said("settlement taken back"),
    "paid_out": said("paid out"),
    "compensated": said("compensation"),
    "deposited": said("put in"),
    "set_aside": said("held for something"),
    "to_wallet": said("proceeds into the wallet"),
    "recovered": said("a bank's loss met"),
    "voided": said("no longer held"),
    "pending": said("under way"),
    "action": said("waits for your word at the bank"),
    "stopped": said("you stopped it"),
    "shared": said("share of a sale"),
    "invoice": said("Invoice"),
    "credit_note": said("Credit note"),
    # screening
    "cleared": said("another person"),
    "confirmed": said("held for good"),
    # money at the bank
    "exact": said("exact amount"),
    "partial": said("part of the amount"),
    "over": said("more than the amount"),
    "unknown": said("names no sale"),
    "not_now": said("may not go into the wallet that it names"),
    "late": said("too late"),
    "back": said("a payout came back"),
    "bounced": said("a payout came back"),
    "payout": said("payout"),
    "refund": said("refund"),
    "return": said("sent back"),
    "no_place": said("account unknown"),
    "waiting": said("waits for a file"),
    "filed": said("in a file"),
    "bank_money": said("Money from the bank"),
    "bank_order": said("Where money is sent"),
    "ends_in": said("its account ends in"),
    "receiver": said("digest of account, holder and who named them"),
    "like_listed": said("its name is like a listed one"),
    "outcome": said("what it was found to be"),
    "rest": said("left of it, in the smallest unit"),
    "waits": said("waits for its sale"),
    # why a sale ended
    "cancelled": said("cancelled by a party"),
    "holder_returned": said("its holder came back"),
    "holder_unfit": said("the account may not change hands"),
    "appeal_upheld": said("an appeal was right"),
    "not_delivered": said("the platform could not move the handle"),
    "taken_between": said("somebody else took the handle while it moved; it was given back"),
    "not_paid": said("it was not paid in time"),
    "late_payment": said("the payment came too late"),
    # why a message was not heard
    "timeout": said("too slow"),
    "tls": said("no valid certificate"),
    "no_answer": said("no answer"),
    "unresolved": said("its name leads nowhere"),
    "not_public": said("not a public address"),
    # what a hook ends
    "sessions": said("sessions"),
    "tokens": said("tokens of programs"),
    "mail-aliases": said("mail addresses of that name"),
    "webhooks": said("webhooks"),
    # phases
    "closed": said("closed"),
    "invited": said("invited"),
    "open": said("open"),
    # where findings stand
    "held": said("held"),
    "warned": said("warned"),
    "resting": said("resting"),
    "released": said("released"),
    "retired": said("retired"),
    "kept": said("kept"),
    "woke": said("woke up in time"),
    "returned": said("came back later"),
    "protected": said("protected"),
    "upheld": said("appeal upheld"),
    "rejected": said("appeal rejected"),
    "gone": said("handle given up"),
    # campaigns and invitations
    "draft": said("committed, not sent"),
    "sending": said("being sent"),
    "sent": said("sent"),
    "committed": said("not sent yet"),
    "accepted": said("accepted"),
    "declined": said("declined"),
    "expired": said("lapsed"),
    # what is proposed to a second person
    "list": said("List a handle"),
    "campaign": said("Private offers"),
    "house_purchase": said("House purchase"),
    "edit_list": said("Change a list"),
    "adopt_plan": said("Take a sweep into use"),
    "lift_stop": said("Lift the release stop"),
    "lift_area": said("Let an area go on"),
    "write_off": said("Give a claim up"),
    # ways of selling
    "listing": said("fixed price"),
    "invitation": said("private offer"),
    "offer": said("negotiated"),
    # legal texts
    "imprint": said("Imprint"),
    "terms": said("Terms"),
    "privacy": said("Privacy"),
    # verdicts
    "keep": said("in use"),
    "warn": said("would be warned"),
    "reclaim": said("could be freed"),
    "retire": said("would be retired"),
    # people of the demonstration
    "buyer": said("Buyer"),
    "seller": said("Seller"),
    "acme": said("Acme, a firm"),
    "limited": said("Sample: new, with limits"),
    "screened": said("Sample: name on the list"),
    "team1": said("Handle team, first person"),
    "team2": said("Handle team, second person"),
    "operator": said("Operator"),
    # what two people see of what they decide about
    "state": said("state"),
    "account_id": said("account that holds it"),
    "locked_by": said("locked by"),
    "appeal_open": said("an appeal about it is open"),
    "release_stop": said("release stop"),
    "area_stopped": said("the area is stopped"),
    "findings": said("findings"),
    "verdicts": said("verdicts"),
    "policy": said("policy"),
    "as_of": said("as of"),
    "root": said("root"),
    "count": said("handles on the list"),
    # what the clock does next in a plan
    "reclaim.tell": said("a notice to its holders"),
    "reclaim.rest": said("the notice period ends"),
    "reclaim.release": said("handles are released"),
    # reasons that protect an account, or leave it alone
    "memorial": said("the account is a memorial"),
    "verified": said("the account is verified"),
    "public_body": said("the account belongs to a public body"),
    "legal_hold": said("the account is under a legal hold"),
    "minor": said("the account belongs to a minor"),
    "dispute_open": said("a dispute about it is open"),
    "subscriber": said("the account pays for a subscription"),
    "protected_list": said("the handle is on the protected list"),
    "reserved_list": said("the handle is on the reserved list"),
    "not_held": said("nobody holds it"),
    "changed_hands": said("it has changed hands"),
}

EVENTS = {
    "AppealDecided": said("Appeals decided"),
    "Appraised": said("Appraisals shown with a price"),
    "Approved": said("Approvals by a second person"),
    "CandidatesCommitted": said("Lists of candidates sealed"),
    "ClaimDecided": said("Claims decided"),
    "DirectoryImported": said("Account tables imported"),
    "DrawCommitted": said("Draws sealed"),
    "Drawn": said("Draws held"),
    "FeesPublished": said("Fee schedules published"),
    "GuidelinesPublished": said("Guidelines published"),
    "TaxPublished": said("Tax rates published"),
    "LimitsPublished": said("Payment limits published"),
    "HandleWarned": said("Holders warned"),
    "HousePurchase": said("House purchases"),
    "InvitationAccepted": said("Private offers accepted"),
    "InvitationClosed": said("Private offers ended"),
    "InvitationSent": said("Private offers sent"),
    "Kept": said("Handles kept"),
    "KeyRotated": said("Keys of the log changed"),
    "ListingOpened": said("Handles put up for sale"),
    "LotClosed": said("Lots closed"),
    "LotOpened": said("Lots opened"),
    "OfferAccepted": said("Offers accepted"),
    "Overridden": said("Rules set aside by two people"),
    "PhaseSet": said("Changes of phase"),
    "PolicyPublished": said("Policies published"),
    "PriceSet": said("Prices set by the team"),
    "ProtectedListChanged": said("Changes of the protected list"),
    "ReleaseAnnounced": said("Releases announced"),
    "Released": said("Handles released"),
    "ReleaseStopSet": said("Release stop switched"),
    "AreaStopSet": said("Area stopped or started"),
    "WholeAccountsSet": said("Sale of whole accounts switched"),
    "LogResumed": said("Log resumed after a restore"),
    "LogSucceeded": said("Log begun in place of one that lost entries"),
    "Resting": said("Handles at rest"),
    "Restored": said("Handles given back"),
    "Retired": said("Handles retired"),
    "SaleAgreed": said("Sales agreed"),
    "SaleClosed": said("Sales ended without a transfer"),
    "SaleFunded": said("Sales paid"),
    "SaleRefunded": said("Payments sent back"),
    "SaleSettled": said("Sales settled"),
    "StaffSetCommitted": said("Sets of staff sealed"),
    "SweepRecorded": said("Sweeps recorded"),
    "TransferReadBack": said("Handles moved on the platform"),
}
"""Kinds of event, as the heading of a count."""

REASONS = {
    "name that everybody knows": said("name that everybody knows"),
    "name of a brand": said("name of a brand"),
    "word with digits that reads": said("word with digits that reads"),
    "no mark of a rarer tier": said("no mark of a rarer tier"),
    "short: four letters": said("short: four letters"),
    "first name": said("first name"),
    "last name": said("last name"),
    "full name": said("full name"),
}
"""Sentences of the built-in policies' tiers."""

COUNTED: dict[str, Callable[[int], str]] = {
    r"dictionary word of (\S+) letters?": lambda count: ngettext(
        "dictionary word of %(count)s letter", "dictionary word of %(count)s letters", count
    ),
    r"phrase of (\S+) words?": lambda count: ngettext(
        "phrase of %(count)s word", "phrase of %(count)s words", count
    ),
    r"short: (\S+) characters?": lambda count: ngettext(
        "short: %(count)s character", "short: %(count)s characters", count
    ),
}
"""Sentences with a number in them, as the policies write them, and how each language counts."""

SMALL = "zero,one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve".split(",")  # noqa: SIM905


def tier_reason(sentence: str) -> str:
    """Why a tier was given, in the page's language; an operator's own sentence as it stands."""
    if sentence in REASONS:
        return gettext(REASONS[sentence])
    for pattern, counted in COUNTED.items():
        found = re.fullmatch(pattern, sentence)
        count = _count(found[1]) if found else None
        if count is not None and get_language() != "en":
            return counted(count) % {"count": count}
    return sentence


def _count(written: str) -> int | None:
    if written in SMALL:
        return SMALL.index(written)
    return int(written) if written.isascii() and written.isdigit() else None
