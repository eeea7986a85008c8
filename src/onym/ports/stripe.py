"""`Payments` over Stripe's API with the official SDK; docs/guides/payments.md.

Anything in Stripe's wire format will do: the demo's own provider is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from onym.core.errors import IdempotencyMismatch
from onym.core.money import Money
from onym.core.reconcile import Line
from onym.ports import inbox, stripe_checkout, stripe_lines
from onym.ports import stripe_answers as answers
from onym.ports.payments import (
    NOT_CONFIRMED,
    NOT_FOUND,
    Account,
    Charge,
    Chargeback,
    Checkout,
    Effect,
    Visit,
    Webhook,
    webhook,
)
from onym.ports.stripe_answers import attempt

if TYPE_CHECKING:
    import stripe

CONFIRMATIONS = 3
"""Keys tried for one confirmation. A payment is captured once, whatever its keys are."""


class StripePayments:
    """`Payments` over Stripe's API with the official SDK, or over anything in its wire format."""

    name = "stripe"

    def __init__(
        self,
        *,
        api_key: str,
        api_base: str = "https://api.stripe.com",
        webhook_secrets: Sequence[str] = (),
        timeout: float = 20.0,
    ) -> None:
        """`timeout` is in seconds. The SDK never retries: retries are the caller's, by key."""
        import stripe  # some 20 MB, which a process that takes no payments need not hold

        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base, "connect": api_base, "files": api_base},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=timeout),
        ).v1
        self._webhook_secrets = tuple(webhook_secrets)

    # ---- a buyer's money in

    def charge(
        self,
        *,
        key: str,
        amount: Money,
        method: str,
        sale_id: str,
        description: str,
        intent_id: str | None = None,
        return_url: str = "",
    ) -> Charge:
        """Ask; and if no confirmation has arrived so far, confirm: at most once under `key`.

        So an unknown is never answered by guessing, and calling again is as good as asking. Refuses
        `idempotency_mismatch` when the key was used for another amount or sale, or for another
        method that has not been answered.
        """
        known = self.ask(key=key, amount=amount, sale_id=sale_id, intent_id=intent_id)
        if known.reason != NOT_CONFIRMED or known.intent_id is None:
            return known
        self._describe(known.intent_id, description)
        return self._confirm(known.intent_id, key, method, amount, sale_id, return_url)

    def _create(
        self, *, key: str, amount: Money, sale_id: str
    ) -> stripe.PaymentIntent | answers.No:
        """The payload follows from key, amount and sale alone, so that asking can repeat it."""
        return attempt(
            lambda: self._client.payment_intents.create(
                {
                    "amount": amount.minor,
                    "currency": amount.currency.lower(),
                    "allowed_payment_method_types": ["card"],
                    "capture_method": "automatic",
                    "transfer_group": sale_id,
                    "metadata": {"sale_id": sale_id, "key": key},
                },
                {"idempotency_key": f"{key}:create"},
            )
        )

    def _describe(self, intent_id: str, description: str) -> None:
        """Words for people. A payment without them is still right, so no answer is read."""
        if description:
            attempt(
                lambda: self._client.payment_intents.update(
                    intent_id, {"description": description[:500]}
                )
            )

    def _confirm(
        self,
        intent_id: str,
        key: str,
        method: str,
        amount: Money,
        sale_id: str,
        return_url: str,
    ) -> Charge:
        params: stripe.params.PaymentIntentConfirmParams = {"payment_method": method}
        if return_url:
            params["return_url"] = return_url
        for turn in range(CONFIRMATIONS):
            name = f"{key}:confirm" + (f":{turn}" if turn else "")
            confirm = partial(self._client.payment_intents.confirm, intent_id, params)
            intent = attempt(partial(confirm, options={"idempotency_key": name}))
            if not (isinstance(intent, answers.No) and intent.remembered):
                break
        if not isinstance(intent, answers.No):
            return answers.charge(intent, amount=amount, sale_id=sale_id)
        if intent.reason == "payment_intent_unexpected_state":
            return self._look(intent_id, amount=amount, sale_id=sale_id)
        return Charge("declined" if intent.sure else "unknown", intent_id, intent.reason)

    def ask(self, *, key: str, amount: Money, sale_id: str, intent_id: str | None = None) -> Charge:
        """What became of a charge under `key`; takes no money. Without `intent_id` it is learnt.

        `unknown` with `not_confirmed` means that no confirmation has arrived so far: only
        `cancel` makes that final.
        Refuses `idempotency_mismatch` when the key was used for another amount or sale.
        """
        if intent_id is None:
            found = self._charged(key=key, amount=amount, sale_id=sale_id)
            if isinstance(found, answers.No):
                return Charge("unknown", None, found.reason)
            intent_id = found
        if intent_id:
            return self._look(intent_id, amount=amount, sale_id=sale_id)
        intent = self._create(key=key, amount=amount, sale_id=sale_id)
        if isinstance(intent, answers.No):
            return Charge("declined" if intent.sure else "unknown", None, intent.reason)
        if answers.is_remembered(
            intent.last_response
        ):  # then it shows the payment as it was at first
            return self._look(intent.id, amount=amount, sale_id=sale_id)
        return answers.charge(intent, amount=amount, sale_id=sale_id)

    def _look(self, intent_id: str, *, amount: Money, sale_id: str) -> Charge:
        intent = attempt(lambda: self._client.payment_intents.retrieve(intent_id))
        if isinstance(intent, answers.No):
            return Charge("unknown", intent_id, intent.reason)
        return answers.charge(intent, amount=amount, sale_id=sale_id)

    def _charged(self, *, key: str, amount: Money, sale_id: str) -> str | answers.No | None:
        """The payment that a charge under this key was attempted for, if there was one.

        The provider forgets idempotency keys after a day, but not its charges. Listing by
        transfer group is consistent at once, where Stripe's search lags behind.
        """
        charges = attempt(
            lambda: list(
                self._client.charges.list(
                    {"transfer_group": sale_id, "limit": 100}
                ).auto_paging_iter()
            )
        )
        if isinstance(charges, answers.No):
            return charges
        ours = [one for one in charges if answers.note(one.metadata, "key") == key]
        for one in ours:
            answers.expect(one.amount, one.currency, one.metadata, amount, sale_id)
        ours.sort(key=lambda one: one.status != "succeeded")
        return answers.identity(ours[0].payment_intent) if ours else None

    def cancel(self, *, key: str, intent_id: str) -> Charge:
        """Make it final: `cancelled`, or `paid` if it was paid meanwhile, else `unknown`.

        What is final is this payment. Whoever charges under the key again must name it: a day later
        the provider no longer knows that the key was used, and a charge that names none makes a new
        payment. No idempotency key goes along: a refusal now must not answer for a try later.
        """
        del key
        intent = attempt(lambda: self._client.payment_intents.cancel(intent_id))
        if isinstance(intent, answers.No) and intent.reason == "payment_intent_unexpected_state":
            intent = attempt(lambda: self._client.payment_intents.retrieve(intent_id))
        if isinstance(intent, answers.No):
            return Charge("unknown", intent_id, intent.reason)
        return answers.charge(intent)

    # ---- a card entered on the provider's own page

    def check_out(self, *, visit: Visit, checkout_id: str = "") -> Checkout:
        """Open the page, at most once under the visit's key; or look at the one already opened."""
        return stripe_checkout.look(self._client, visit, checkout_id)

    def end_checkout(self, *, visit: Visit, checkout_id: str) -> Checkout:
        """Close the page to the buyer: `expired`, or `complete` if the buyer was there first."""
        return stripe_checkout.end(self._client, visit, checkout_id)

    def capture(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Charge:
        """Take what the buyer agreed to on the page: `paid`, or what else became of it.

        A payment is captured once, however often it is asked for. So no idempotency key goes along:
        a refusal now must not answer for a try later.
        """
        del key
        intent = attempt(lambda: self._client.payment_intents.capture(intent_id))
        if isinstance(intent, answers.No) and intent.sure:
            return self._look(intent_id, amount=amount, sale_id=sale_id)
        if isinstance(intent, answers.No):
            return Charge("unknown", intent_id, intent.reason)
        return answers.charge(intent, amount=amount, sale_id=sale_id)

    # ---- money out

    def refund(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Effect:
        """Give back `amount` of a paid payment, at most once under `key`: asks, then acts."""
        known = self.ask_refund(key=key, intent_id=intent_id, amount=amount, sale_id=sale_id)
        if known != NOT_FOUND:
            return known
        made = attempt(
            lambda: self._client.refunds.create(
                {
                    "payment_intent": intent_id,
                    "amount": amount.minor,
                    "metadata": {"sale_id": sale_id, "key": key},
                },
                {"idempotency_key": f"{key}:refund"},
            )
        )
        return answers.refused(made) if isinstance(made, answers.No) else answers.refund(made)

    def ask_refund(self, *, key: str, intent_id: str, amount: Money, sale_id: str) -> Effect:
        """What became of a refund under `key`; `unknown` with `not_found` if there is none so far.

        Refuses `idempotency_mismatch` when the key belongs to a refund of another amount or sale.
        """
        refunds = attempt(
            lambda: list(
                self._client.refunds.list(
                    {"payment_intent": intent_id, "limit": 100}
                ).auto_paging_iter()
            )
        )
        if isinstance(refunds, answers.No):
            return Effect("unknown", None, refunds.reason)
        for refund in refunds:
            if answers.note(refund.metadata, "key") == key:
                answers.expect(refund.amount, refund.currency, refund.metadata, amount, sale_id)
                return answers.refund(refund)
        return NOT_FOUND

    def pay_out(self, *, key: str, account: str, amount: Money, sale_id: str) -> Effect:
        """Transfer to a seller's connected account, at most once under `key`: asks, then acts.

        `refused` is final for this key; after its cause is gone a new key is needed.
        """
        known = self.ask_pay_out(key=key, account=account, amount=amount, sale_id=sale_id)
        if known != NOT_FOUND:
            return known
        made = attempt(
            lambda: self._client.transfers.create(
                {
                    "amount": amount.minor,
                    "currency": amount.currency.lower(),
                    "destination": account,
                    "transfer_group": sale_id,
                    "metadata": {"sale_id": sale_id, "key": key},
                },
                {"idempotency_key": f"{key}:pay_out"},
            )
        )
        return answers.refused(made) if isinstance(made, answers.No) else Effect("done", made.id)

    def ask_pay_out(self, *, key: str, account: str, amount: Money, sale_id: str) -> Effect:
        """What became of a payout under `key`; `unknown` with `not_found` if there is none so far.

        Refuses `idempotency_mismatch` when the key belongs to another amount, account or sale.
        """
        transfers = attempt(
            lambda: list(
                self._client.transfers.list(
                    {"transfer_group": sale_id, "limit": 100}
                ).auto_paging_iter()
            )
        )
        if isinstance(transfers, answers.No):
            return Effect("unknown", None, transfers.reason)
        for one in transfers:
            if answers.note(one.metadata, "key") == key:
                answers.expect(one.amount, one.currency, one.metadata, amount, sale_id)
                if answers.identity(one.destination) != account:
                    raise IdempotencyMismatch("the key was used for another account")
                return Effect("done", one.id)
        return NOT_FOUND

    # ---- what others did, and everything that happened

    def chargebacks(self, *, intent_id: str) -> tuple[Chargeback, ...] | None:
        """Every chargeback of a payment as it stands now; None when there is no answer."""
        found = attempt(
            lambda: list(
                self._client.disputes.list(
                    {"payment_intent": intent_id, "limit": 100}
                ).auto_paging_iter()
            )
        )
        return None if isinstance(found, answers.No) else stripe_lines.chargebacks(found)

    def lines(self, *, since: int, until: int) -> tuple[Line, ...] | None:
        """Every movement of money made in [since, until), in seconds, and what waits to be captured
        or released; None without an answer.
        """
        found = attempt(lambda: stripe_lines.read(self._client, since=since, until=until))
        return None if isinstance(found, answers.No) else found

    # ---- sellers' accounts

    def connect(self, *, key: str, mail: str) -> str:
        """The id of a new connected account for a seller; the same one again under `key`.

        Refuses `malformed` if the provider does not take the address, and
        `platform_unavailable` if it does not answer (try again under the same key).
        """
        account = attempt(
            lambda: self._client.accounts.create(
                {
                    "type": "express",
                    "email": mail,
                    "capabilities": {"transfers": {"requested": True}},
                    "metadata": {"key": key},
                },
                {"idempotency_key": f"{key}:connect"},
            )
        )
        return answers.answered(account).id

    def account(self, account: str) -> Account:
        """May this account be paid now, and what is missing? Refuses as `connect` does."""
        return stripe_lines.account(
            answers.answered(attempt(lambda: self._client.accounts.retrieve(account)))
        )

    def account_link(self, *, account: str, return_url: str, refresh_url: str) -> str:
        """Where the seller gives identity and bank details to the provider, once.

        `refresh_url` is where the provider leads to when the link was used or is too old.
        """
        link = attempt(
            lambda: self._client.account_links.create(
                {
                    "account": account,
                    "type": "account_onboarding",
                    "return_url": return_url,
                    "refresh_url": refresh_url,
                }
            )
        )
        return answers.answered(link).url

    def refused_key(self) -> str:
        """Why the provider does not answer to our key; empty when it does."""
        found = attempt(lambda: self._client.balance.retrieve())
        return found.reason if isinstance(found, answers.No) else ""

    def refused_checkout(self) -> str:
        """Why our key may not ask for the page for cards; empty when it may."""
        found = attempt(lambda: self._client.checkout.sessions.list({"limit": 1}))
        return found.reason if isinstance(found, answers.No) else ""

    # ---- hints

    def read_webhook(self, *, payload: bytes, signature: str, now: float) -> Webhook:
        """Check who signed and when, then read which payment or account it is about.

        `now` is the machine's clock in seconds. Refuses `not_signed_in` and `malformed`.
        """
        inbox.check(payload=payload, signature=signature, keys=self._webhook_secrets, now=now)
        return webhook(inbox.read(payload))
