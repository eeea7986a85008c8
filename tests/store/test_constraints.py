"""The database refuses what the code promises never to do; every named constraint is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction
from tests import make

from onym.flows import listing, offer
from onym.store.models import (
    Approval,
    AreaStop,
    BookAccount,
    Bounce,
    Campaign,
    Chargeback,
    DemoClock,
    Document,
    Entry,
    Event,
    Handle,
    IdempotentRequest,
    Invitation,
    Kinship,
    Link,
    ListEntry,
    Listing,
    MailAddress,
    Member,
    Namespace,
    Notice,
    Offer,
    OfferAnswer,
    Payment,
    Payout,
    PlatformWrite,
    Posting,
    ProviderEvent,
    Recovery,
    Sale,
    StaffRole,
    Suppression,
    Tenure,
    Transfer,
)

pytestmark = pytest.mark.usefixtures("database")
HASH = "0" * 64


@pytest.fixture
def world(database: Any) -> None:
    """One row of everything a sale leaves behind."""
    place = make.namespace()
    seller = make.member(place, account="acc-moon", mail="s@one.example", roles="")
    buyer = make.member(place, account="acc-b", mail="b@two.example")
    staff = make.member(place, roles="curator", id="mbr_staff")
    row = make.handle(place, "moon", account_id="acc-moon")
    PlatformWrite.objects.create(key="k1", namespace=place, subject="moon", fence=1, wish={})
    asked = offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(5))
    OfferAnswer.objects.create(
        id="ans_1", offer=asked, kind="accept", price_minor=1, step=1, code="c", ordered_at=make.NOW
    )
    listed = listing.open_(namespace="demo", handle="moon", seller=seller.id, price=make.usd(10))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    charge = Payment.objects.create(
        id="pay_1", sale=sale, kind="charge", amount_minor=1, currency="USD", made_at=make.NOW
    )
    make.copy(charge, id="pay_2", kind="refund")
    Payout.objects.create(
        id="out_1", sale=sale, member=seller, amount_minor=1, currency="USD", due_at=make.NOW
    )
    Chargeback.objects.create(
        id="cbk_1", sale=sale, provider="stripe", provider_id="dp_1", status="open",
        source="escrow", amount_minor=1, currency="USD", opened_at=make.NOW,
    )  # fmt: skip
    AreaStop.objects.create(namespace=place, area="sales", since=make.NOW, set_by=seller)
    ProviderEvent.objects.create(
        namespace="demo", provider="stripe", event="e", received_at=make.NOW
    )
    Transfer.objects.create(
        id="trf_1", namespace=place, handle=row, sale=sale, source="a", to="b", placeholder="u",
        expected_holder="a", fence=1, started_at=make.NOW,
    )  # fmt: skip
    campaign = Campaign.objects.create(
        id="cmp_1", namespace=place, handle=row, price_minor=1, currency="USD", criteria="",
        root=HASH, expires_in_days=1, proposed_by=staff, committed_at=make.NOW,
    )  # fmt: skip
    Invitation.objects.create(
        id="inv_1", campaign=campaign, position=0, recipient_sealed=b"", recipient_index=HASH,
        salt=b"", token_sealed=b"", token_digest=HASH, state="accepted",
    )  # fmt: skip
    Suppression.objects.create(namespace=place, address_index=HASH, reason="x", at=make.NOW)
    ListEntry.objects.create(
        namespace=place, list="reserved", handle="x", reason="", added_at=make.NOW
    )
    first, second = sorted((seller.id, buyer.id))
    Kinship.objects.create(one_id=first, other_id=second, reason="x")
    IdempotentRequest.objects.create(
        member=buyer, route="r", key="k", payload_sha256=HASH, made_at=make.NOW
    )
    Approval.objects.create(
        id="apr_1", namespace=place, action="list", payload={}, shown=HASH,
        proposed_by=staff, proposed_at=make.NOW,
    )  # fmt: skip
    DemoClock.objects.create(offset_seconds=0)
    account = BookAccount.objects.create(namespace=place, code="x", currency="USD", balance_minor=0)
    other = BookAccount.objects.create(namespace=place, code="y", currency="USD")
    with transaction.atomic():
        entry = Entry.objects.create(
            namespace=place, kind="k", ref="r", provider_id="p", at=make.NOW
        )
        for book, minor in ((account, 5), (other, -5)):
            Posting.objects.create(entry=entry, account=book, minor=minor, currency="USD")


def twin(model: type[models.Model], **changes: Any) -> Callable[[], Any]:
    """A second row like the first but for its key and `changes`."""
    return lambda: make.copy(model._default_manager.order_by("pk").first(), **changes)


def update(model: type[models.Model], **changes: Any) -> Callable[[], Any]:
    return lambda: model._default_manager.all().update(**changes)


def not_zero() -> None:
    entry = make.copy(Entry.objects.get(), ref="r2", provider_id=None)
    account = BookAccount.objects.first()
    Posting.objects.create(entry=entry, account=account, minor=0, currency="USD")


def unbalanced() -> None:
    entry = make.copy(Entry.objects.get(), ref="r2", provider_id=None)
    account = BookAccount.objects.first()
    Posting.objects.create(entry=entry, account=account, minor=1, currency="USD")


def overlapping() -> None:
    Tenure.objects.update(held_to=make.NOW)
    make.copy(Tenure.objects.get(), held_to=make.NOW + make.days(1))


def recovery(**changes: Any) -> Recovery:
    owed, paid = Chargeback.objects.get(), Payout.objects.get()
    told = {"id": "rec_1", "minor": 1, "currency": "USD", "at": make.NOW}
    return Recovery.objects.create(chargeback=owed, payout=paid, **told | changes)


def bounce(**changes: Any) -> Bounce:
    """Its line of the bank's statement is looked for at the commit only."""
    told = {"id": "bnc_1", "line_id": 1, "provider_id": "x", "booked_as": "bank", "minor": 1}
    told |= {"currency": "USD", "at": make.NOW}
    return Bounce.objects.create(payout=Payout.objects.get(), **told | changes)


REFUSED: dict[str, Callable[[], Any]] = {
    "namespace_phase": update(Namespace, phase="ajar"),
    "document_version": twin(Document),
    "document_kind": update(Document, kind="poem"),
    "one_row_per_handle": twin(Handle),
    "handle_state": update(Handle, state="lost"),
    "nobody_holds_a_free_handle": update(Handle, state="free"),
    "one_open_tenure": twin(Tenure, held_from=make.NOW),
    "tenure_forward": update(Tenure, held_to=make.LONG_AGO),
    "tenures_do_not_overlap": overlapping,
    "listed_once": twin(ListEntry),
    "list_known": update(ListEntry, list="grey"),
    "one_house_member": update(Member, is_house=True),
    "one_member_per_address": twin(MailAddress),
    "one_member_per_account": twin(Link),
    "one_primary_account": lambda: (
        Link.objects.filter(account_id="acc-b").update(is_primary=True),
        make.copy(Link.objects.get(account_id="acc-b"), account_id="acc-c"),
    ),
    "primary_is_linked": update(Link, is_primary=True, unlinked_at=make.NOW),
    "kinship_once": twin(Kinship),
    "kinship_ordered": lambda: Kinship.objects.update(one_id="mbr_zzz", other_id="mbr_aaa"),
    "role_once": twin(StaffRole),
    "campaign_state": update(Campaign, state="lost"),
    "invitation_position": twin(Invitation, id="inv_2", token_digest="1", state="sent"),
    "one_acceptance_per_campaign": twin(Invitation, id="inv_2", token_digest="1", position=1),
    "invitation_state": update(Invitation, state="lost"),
    "suppressed_once": twin(Suppression),
    "one_book_account": twin(BookAccount),
    "member_balance_not_negative": update(BookAccount, balance_minor=-1),
    "one_entry_per_fact": twin(Entry, provider_id=None),
    "one_entry_per_payment": twin(Entry, ref="r2"),
    "posting_not_zero": not_zero,
    "entry_sums_to_zero": unbalanced,
    "store_posting_immutable": update(Posting, minor=1),
    "store_entry_immutable": lambda: Entry.objects.all()._raw_delete("default"),
    "event_immutable": update(Event, entry=b"x"),
    "one_open_listing": lambda: (
        Listing.objects.update(state="open"),
        make.copy(Listing.objects.get(), id="lst_2"),
    ),
    "listing_state": update(Listing, state="lost"),
    "listing_price": update(Listing, price_minor=0),
    "listing_term": update(Listing, term="house"),
    "offer_term": update(Offer, term="account"),
    "sale_term": update(Sale, term="account"),
    "one_open_offer_per_buyer": twin(Offer, id="off_2", token_digest="1"),
    "offer_state": update(Offer, state="lost"),
    "offer_turn": update(Offer, turn="nobody"),
    "offer_price": update(Offer, price_minor=0),
    "answer_kind": update(OfferAnswer, kind="shrug"),
    "answer_price": update(OfferAnswer, price_minor=0),
    "one_request": twin(IdempotentRequest),
    "approval_state": update(Approval, state="lost"),
    "two_people": update(Approval, approved_by_id="mbr_staff"),
    "approved_by_somebody": update(Approval, state="approved"),
    "one_notice": twin(Notice, id="ntc_2"),
    "notice_state": update(Notice, state="lost"),
    "one_clock": twin(DemoClock, id=2),
    "sale_state": update(Sale, state="lost"),
    "sale_kind": update(Sale, kind="gift"),
    "gross_adds_up": update(Sale, gross_minor=1),
    "settled_was_read_back": update(Sale, state="settled", read_back_account_id="acc-moon"),
    "not_with_oneself": lambda: Sale.objects.update(buyer=models.F("seller")),
    "one_live_sale_per_handle": twin(Sale, id="sal_2"),
    "payment_kind": update(Payment, kind="gift"),
    "payment_state": update(Payment, state="lost"),
    "checkout_has_an_end": update(Payment, method="checkout", checkout_until=None),
    "one_open_charge_per_sale": twin(Payment, id="pay_3", state="paid"),
    "one_refund_per_sale": lambda: make.copy(Payment.objects.get(pk="pay_2"), id="pay_3"),
    "payout_state": update(Payout, state="lost"),
    "payout_positive": update(Payout, amount_minor=0),
    "chargeback_once": twin(Chargeback, id="cbk_2"),
    "chargeback_status": update(Chargeback, status="late"),
    "chargeback_source": update(Chargeback, source="pocket"),
    "chargeback_positive": update(Chargeback, amount_minor=0),
    "one_area_stop_at_a_time": twin(AreaStop),
    "area_stop_forward": update(AreaStop, until=make.LONG_AGO),
    "area_known": update(AreaStop, area="weather"),
    "event_once": twin(ProviderEvent),
    "delivery_outcome": update(ProviderEvent, outcome="believed"),
    "transfer_state": update(Transfer, state="lost"),
    "one_transfer_per_fence": twin(Transfer, id="trf_2"),
    "platform_write_answer": update(PlatformWrite, answer="maybe"),
    "one_open_write_per_subject": twin(PlatformWrite, key="k2", fence=2),
    "a_fence_is_used_once": twin(PlatformWrite, key="k2", answer="done"),
}
REFUSED |= {
    "payout_recovered_within": update(Payout, recovered_minor=10**9),
    "chargeback_wallet_within": update(Chargeback, wallet_minor=-1),
    "chargeback_of_one_payment": update(Chargeback, sale=None),
    "chargeback_met_within": update(Chargeback, written_off_minor=-1),
    "recovery_positive": lambda: recovery(minor=0),
    "recovery_once": lambda: [recovery(id=id_) for id_ in ("rec_1", "rec_2")],
    "bounce_positive": lambda: bounce(minor=0),
    "bounce_once": lambda: [bounce(id=f"bnc_{n}", line_id=n) for n in (1, 2)],
}
TRIGGERS = {"entry_sums_to_zero", "store_posting_immutable", "store_entry_immutable"}
TRIGGERS |= {"event_immutable"}
ELSEWHERE = {"stopperiod", "plan", "planpart", "reclaim", "appeal", "watch", "watchhit"}
ELSEWHERE |= {"sweep", "shortlistentry", "breakerstate", "webhook", "delivery", "hookcall"}
ELSEWHERE |= {"wallet", "deposit", "hold"}
ELSEWHERE |= {"invoice", "invoiceseries", "screeningcase", "displacedshare"}
ELSEWHERE |= {
    "bankaccount",
    "bankdraw",
    "bankfile",
    "bankline",
    "bankorder",
    "bankreference",
    "bankstatement",
}
"""Tables of reclaim: tests/store/test_reclaim.py; of watches: tests/surfaces/test_watch.py; of the
desk: tests/store/test_desk.py; of breakers: tests/surfaces/test_breakers.py; of calls to the
outside: tests/store/test_outside.py; of the bank: tests/store/test_bank.py; of invoices:
tests/flows/test_invoice.py; of screening: tests/flows/test_screening.py; of shares:
tests/flows/test_share.py; of wallets: tests/store/test_wallet.py.
"""


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(world: None, name: str) -> None:
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        REFUSED[name]()
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's


def test_every_named_constraint_has_its_row_here() -> None:
    named = {
        constraint.name
        for model in apps.get_app_config("store").get_models()
        if model._meta.model_name not in ELSEWHERE
        for constraint in model._meta.constraints
    }
    assert named == set(REFUSED) - TRIGGERS


def test_the_migrations_make_what_the_models_say(database: Any) -> None:
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.state import ProjectState

    graph = MigrationExecutor(connection).loader
    made = MigrationAutodetector(graph.project_state(), ProjectState.from_apps(apps))
    assert not made.changes(graph=graph.graph).get("store")
