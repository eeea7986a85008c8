"""Payment methods by their test names: Stripe's own, and `pm_onym_…` for unknown outcomes."""

from __future__ import annotations

from dataclasses import dataclass

from onym_demo.payments.wire import JSON, missing

DECLINED = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True, slots=True)
class Method:
    """What a test method does when it is charged.

    `outcome` is paid, declined or action; `delay` 0 means at once, -1 never, else it stays
    *processing* for that many of the server's settle periods. `fault` names what happens to the
    answer (faults.py).
    """

    brand: str = "visa"
    last4: str = "4242"
    outcome: str = "paid"
    code: str = ""
    decline_code: str = ""
    delay: int = 0
    fault: str = ""
    dispute: str = ""
    refund: str = "succeeded"


def _declined(code: str, decline_code: str = "", last4: str = "0002") -> Method:
    return Method(outcome="declined", code=code, decline_code=decline_code, last4=last4)


METHODS = {
    "pm_card_visa": Method(),
    "pm_card_visa_debit": Method(last4="5556"),
    "pm_card_mastercard": Method(brand="mastercard", last4="4444"),
    "pm_card_amex": Method(brand="amex", last4="8431"),
    "pm_card_discover": Method(brand="discover", last4="1117"),
    "pm_card_bypassPending": Method(last4="0077"),
    "pm_card_chargeDeclined": _declined("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclined": _declined("card_declined", "generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": _declined(
        "card_declined", "insufficient_funds", "9995"
    ),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _declined(
        "card_declined", "insufficient_funds", "9995"
    ),
    "pm_card_visa_chargeDeclinedLostCard": _declined("card_declined", "lost_card", "9987"),
    "pm_card_visa_chargeDeclinedStolenCard": _declined("card_declined", "stolen_card", "9979"),
    "pm_card_chargeDeclinedFraudulent": _declined("card_declined", "fraudulent", "0019"),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": _declined(
        "card_declined", "card_velocity_exceeded", "6975"
    ),
    "pm_card_chargeCustomerFail": _declined("card_declined", "generic_decline", "0341"),
    "pm_card_chargeDeclinedExpiredCard": _declined("expired_card", last4="0069"),
    "pm_card_chargeDeclinedIncorrectCvc": _declined("incorrect_cvc", last4="0127"),
    "pm_card_chargeDeclinedProcessingError": _declined("processing_error", last4="0119"),
    "pm_card_authenticationRequired": Method(outcome="action", last4="3155"),
    "pm_card_threeDSecure2Required": Method(outcome="action", last4="3220"),
    "pm_card_threeDSecureRequired": Method(outcome="action", last4="3063"),
    "pm_card_createDispute": Method(dispute="fraudulent", last4="0259"),
    "pm_card_createDisputeProductNotReceived": Method(dispute="product_not_received", last4="2685"),
    "pm_card_pendingRefund": Method(refund="pending", last4="7726"),
    "pm_card_refundFail": Method(refund="failed", last4="5126"),
    # Ours: Stripe has no test methods for an answer that never comes.
    "pm_onym_processing": Method(delay=1),
    "pm_onym_processingThenDeclined": Method(
        outcome="declined", code="card_declined", decline_code="generic_decline", delay=1
    ),
    "pm_onym_unknownThenPaid": Method(delay=1, fault="lost"),
    "pm_onym_unknownThenDeclined": Method(
        outcome="declined",
        code="card_declined",
        decline_code="generic_decline",
        delay=1,
        fault="lost",
    ),
    "pm_onym_unknownForEver": Method(delay=-1, fault="lost"),
    "pm_onym_lostAnswer": Method(fault="lost"),
    "pm_onym_lostRequest": Method(fault="silent"),
    "pm_onym_serverError": Method(fault="error"),
    "pm_onym_paidThenServerError": Method(fault="error_after"),
}


def find(name: str) -> Method:
    if name not in METHODS:
        raise missing(noun="PaymentMethod", identity=name, param="payment_method", status=400)
    return METHODS[name]


def wire(name: str, *, created: int) -> JSON:
    """The PaymentMethod object of a test name."""
    method = find(name)
    return {
        "id": name,
        "object": "payment_method",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": {
            "brand": method.brand,
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "funding": "credit",
            "last4": method.last4,
        },
        "created": created,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }
