"""Where each column that tells who somebody is comes to an end, and what a member is not given."""

from __future__ import annotations

ERASED, AGED, KEPT = "onym.flows.erasure", "onym.flows.retention", "kept"

COLUMNS: dict[str, tuple[str, str]] = {
    "Member.name_sealed": (ERASED, "Member"),
    "Member.country": (ERASED, "Member"),
    "MailAddress.address_sealed": (ERASED, "MailAddress"),
    "MailAddress.address_index": (ERASED, "MailAddress"),
    "MailCode.address_sealed": (AGED, "MailCode"),
    "MailCode.name_sealed": (AGED, "MailCode"),
    "BankAccount.iban_sealed": (ERASED, "BankAccount"),
    "BankAccount.name_sealed": (ERASED, "BankAccount"),
    "Notice.address_sealed": (ERASED, "Notice"),
    "Notice.address_index": (ERASED, "Notice"),
    "Invitation.recipient_sealed": (ERASED, "Invitation"),
    "Invitation.recipient_index": (ERASED, "Invitation"),
    "Invitation.token_sealed": (AGED, "Invitation"),
    "Appeal.text_sealed": (ERASED, "Appeal"),
    "Webhook.url_sealed": (ERASED, "Webhook"),
    "Webhook.secret_sealed": (ERASED, "Webhook"),
    "Webhook.secret_before_sealed": (AGED, "Webhook"),
    "Token.name": (ERASED, "Token"),
    "Watch.mail": (ERASED, "Watch"),
    "Transfer.address_sealed": ("onym.flows.term", "address_sealed"),
    "Offer.mail_digest": (KEPT, "a digest of the letter's link, which opens nothing once answered"),
    "Suppression.address_index": (KEPT, "what keeps the address from being written to again"),
    "BankLine.text_sealed": (KEPT, "the books: what the bank's statement says"),
    "BankLine.name_sealed": (KEPT, "the books: who paid"),
    "BankLine.iban_sealed": (KEPT, "the books: from where"),
    "BankFile.text_sealed": (KEPT, "the books: the payment file as it was sent"),
    "BankOrder.iban_sealed": (KEPT, "the books: where a payout was sent"),
    "BankOrder.name_sealed": (KEPT, "the books: to whom"),
    "Invoice.facts_sealed": (KEPT, "tax law wants an invoice whole"),
    "OfferAnswer.name_sealed": (AGED, "OfferAnswer"),
    "ScreeningCase.name_sealed": (KEPT, "the law on sanctions wants the case"),
    "ScreeningCase.entry_sealed": (KEPT, "the law on sanctions wants the case"),
}
"""Column → (the module that ends it, the word there), or kept and why."""

NOT_GIVEN: dict[str, str] = {
    "LinkCode": "a code of some minutes",
    "MailCode": "a code of some minutes",
    "Kinship": "what staff noted about two members, in confidence",
    "StaffRole": "staff are no buyers or sellers; the desk shows roles",
    "IdempotentRequest": "ids and figures of answers that the other kinds hold",
    "Approval": "an act of the desk",
    "AreaStop": "an act of the desk",
    "BankStatement": "an act of the desk",
    "BankLine": "the bank's words; the member's part is in deposits and sales",
    "BankFile": "an act of the desk",
    "BankOrder": "an act of the desk; the member's part is in payouts and sales",
    "Campaign": "an act of the desk",
    "Disclosure": "who of the staff looked at what",
    "WalletReference": "a payment reference; what came with it is in the statement",
    "Wallet": "its balance is in the statement",
    "BookAccount": "its entries are in the statement",
    "StopPeriod": "an act of the desk",
    "Plan": "an act of the desk",
    "Reclaim": "a step about a handle, decided by rule; its notices are given",
    "ScreeningCase": "the law forbids to say",
    "Sweep": "an act of the desk",
    "Transfer": "the hand-over of a sale, which is given",
    "ShortlistEntry": "an act of the desk",
}
"""Tables that name a member and are not in the member's export, and why."""
