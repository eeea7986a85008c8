"""What each refusal means and what to do about it; the page that a problem's `type` leads to."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop as said

from onym.core.errors import NotFound, Refusal
from onym.web import page


class Meaning(NamedTuple):
    """Two sentences to be translated: what happened, and what one may do now."""

    what: str
    then: str


MEANINGS: dict[str, Meaning] = {
    "malformed": Meaning(
        said("This cannot be read."), said("Correct what is named and send it again.")
    ),
    "idempotency_key_missing": Meaning(
        said("The request has no name of its own."),
        said("Send a new Idempotency-Key with every write, and the same one with a retry."),
    ),
    "not_signed_in": Meaning(
        said("Nobody is signed in."), said("Sign in, or send a token that is still good.")
    ),
    "payment_declined": Meaning(
        said("The payment was declined."),
        said("Nothing was taken. Pay again with another card before the time is up."),
    ),
    "insufficient_funds": Meaning(
        said("There is not enough money in your wallet."),
        said("Put more in, or pay for the sale by card. What is held does not count."),
    ),
    "not_allowed": Meaning(
        said("You may not do this."),
        said("Sign in as the member it is meant for, or ask the handle team."),
    ),
    "staff_may_not": Meaning(
        said("The handle team may not take part in the market."),
        said("This cannot be changed: it is what keeps the market fair."),
    ),
    "second_factor_needed": Meaning(
        said("This needs your second factor."),
        said("Confirm with a passkey or an authenticator app, then send it again."),
    ),
    "second_person_needed": Meaning(
        said("A second person must do this."),
        said("Ask somebody who had no part in it and is not linked to anybody who had."),
    ),
    "screening_held": Meaning(
        said("A person of the handle team has to look at this first."),
        said("You need do nothing; try again in a day or two, or ask the handle team."),
    ),
    "screening_stale": Meaning(
        said("The operator's lists are out of date, so no money moves for the moment."),
        said("Nothing was taken. Please try again later."),
    ),
    "not_found": Meaning(
        said("There is no such thing here."), said("Check the address, or search for the handle.")
    ),
    "sale_slot_taken": Meaning(
        said("This handle is already being sold."),
        said(
            "Look at its page again: if the sale comes to nothing, the handle is free for others."
        ),
    ),
    "already_closed": Meaning(
        said("It is already closed."),
        said("Nothing more can be done here; look at its page again."),
    ),
    "handle_locked": Meaning(
        said("The handle is locked at the moment."),
        said("Wait until the sale, appeal or waiting time that locks it is over."),
    ),
    "phase_closed": Meaning(
        said("The market is not open for this yet."),
        said("Come back when the next phase of the market has begun."),
    ),
    "release_stopped": Meaning(
        said("Inactive names cannot be released at this time."),
        said("Wait until the release stop is lifted; it stands on every page while it is on."),
    ),
    "area_stopped": Meaning(
        said("This part of the market is stopped for now."),
        said("Try again later; nothing is lost, and deadlines that ran move by as long."),
    ),
    "shown_changed": Meaning(
        said("What was shown has changed since."),
        said("Look at it again, and have it proposed anew if it still is what you want."),
    ),
    "idempotency_mismatch": Meaning(
        said("This form was sent before with other words in it."),
        said("Open the page again and send its form; a program uses a new Idempotency-Key."),
    ),
    "in_progress": Meaning(
        said("It is under way already."),
        said("Wait a moment and look again; do not send it twice."),
    ),
    "statement_known": Meaning(
        said("This bank statement, or an entry of it, was imported before."),
        said("Nothing was booked. Import the bank's next statement."),
    ),
    "statement_gap": Meaning(
        said("A bank statement before this one is missing."),
        said("Import the missing one first; nothing was booked."),
    ),
    "account_mismatch": Meaning(
        said("This statement is of another bank account."),
        said("Choose the statement of the market's own account; nothing was booked."),
    ),
    "statement_unbalanced": Meaning(
        said("The sums of this statement do not agree."),
        said("Have the bank make the file anew; nothing was booked."),
    ),
    "expired": Meaning(said("It has expired."), said("Ask whoever sent it to you for a new one.")),
    "handle_malformed": Meaning(
        said("This cannot be a handle here."),
        said("Check its letters and its length against the guidelines."),
    ),
    "handle_unavailable": Meaning(
        said("This handle is not available."), said("Its page says how things stand with it.")
    ),
    "own_handle": Meaning(
        said("This handle is your own."), said("You hold it already; there is nothing to buy.")
    ),
    "currency_mismatch": Meaning(
        said("This market uses another currency."),
        said("Name the amount in the market's currency."),
    ),
    "amount_too_large": Meaning(said("This amount is too large."), said("Name a smaller amount.")),
    "amount_too_small": Meaning(said("This amount is too small."), said("Name a larger amount.")),
    "country_needed": Meaning(
        said("Taxes depend on the country you live in, and it is not known."),
        said("Name your country under My market, Settings; then do it again."),
    ),
    "name_needed": Meaning(
        said("Money moves here only between people whose names are known."),
        said("Give your name, then do it again; if you have given it, the other side has not yet."),
    ),
    "not_linked": Meaning(
        said("No account of the platform is linked to you."),
        said("Link an account first: a handle is moved to an account."),
    ),
    "rate_limited": Meaning(
        said("There were too many requests."), said("Wait a minute, then go on more slowly.")
    ),
    "platform_unavailable": Meaning(
        said("The platform does not answer."), said("Nothing was changed. Please try again later.")
    ),
    "database_unavailable": Meaning(
        said("The market cannot be reached at the moment."),
        said("Nothing was changed. Please try again in a minute."),
    ),
}
"""One row for each code of core/errors."""

STATUSES = {refusal.code: refusal.status for refusal in Refusal.__subclasses__()}

TROUBLES: dict[str, Meaning] = {
    "fault": Meaning(
        said("Something went wrong on our side."),
        said("It was written down for us. Please look again before you repeat what you did."),
    ),
    "form_lost": Meaning(
        said("This form could not be accepted."),
        said("Open the page again and send it anew; cookies must be allowed for that."),
    ),
}
"""What has a page but no code, because it is not a refusal."""


def problem(request: HttpRequest, code: str) -> HttpResponse:
    """Title, meaning and advice. Refuses `not_found` for a code that does not exist."""
    meaning = MEANINGS.get(code)
    if meaning is None:
        raise NotFound("there is no such code")
    return render(request, "problem.html", {"code": code, "status": STATUSES[code]})


def preferred(request: HttpRequest, code: str) -> HttpResponse:
    """The bare address of a problem leads to the visitor's language."""
    return page.led_to(request, f"/problems/{code}")
