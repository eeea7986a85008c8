"""Two connections race for one handle over every pair of mechanisms: one wins, the other is told.

Each round has a handle of its own and a barrier from which both start: once with either far ahead,
then almost at once, by a seeded jitter of at most half a millisecond.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection, transaction
from tests import make
from tests import world as worlds
from tests.flows import meeting, reclaiming

from onym.core.errors import Refusal
from onym.core.sale import LIVE
from onym.flows import clock, desk, invitation, listing, offer, payments, reclaim
from onym.store import rowlocks, secrets
from onym.store.models import (
    Entry,
    Handle,
    Invitation,
    Link,
    Listing,
    Payment,
    Sale,
    SaleSlot,
)

ROUNDS = 25
HEAD_START = 0.3  # seconds; so that each side is first at least once on any machine
SOLD = {"sale_slot_taken", "already_closed", "handle_unavailable"}
Act = Callable[[], Any]


@dataclass(slots=True)
class Market:
    """Two buyers who read mail, one seller of many accounts, two of the team."""

    place: Any
    team: list[Any]
    buyers: list[Any]
    seller: Any
    count: int = 0
    mails: list[str] = field(default_factory=list)

    def held(self) -> str:
        """A handle that the seller holds with an account of its own."""
        self.count += 1
        name = f"held_{self.count}"
        make.handle(self.place, name, account_id=f"acc-{name}")
        Link.objects.create(
            namespace=self.place,
            member=self.seller,
            account_id=f"acc-{name}",
            linked_at=make.LONG_AGO,
        )
        return name

    def released(self) -> str:
        self.count += 1
        name = f"free_{self.count}"
        make.handle(self.place, name, state="released", account_id=None)
        return name

    # ---- what a round is made of; each gives the act that starts at the barrier

    def listed(self, handle: str) -> str:
        made = listing.open_(
            namespace=self.place.id, handle=handle, seller=self.seller.id, price=make.usd(400)
        )
        return str(made.id)

    def buys(self, listed: str, buyer: int) -> Act:
        return lambda: listing.buy(listing_id=listed, buyer=self.buyers[buyer].id)

    def withdraws(self, listed: str) -> Act:
        return lambda: listing.withdraw(listing_id=listed, by=self.seller.id)

    def offered(self, handle: str, buyer: int) -> Act:
        """The seller accepts this buyer's offer."""
        made = offer.make(
            namespace=self.place.id,
            handle=handle,
            buyer=self.buyers[buyer].id,
            price=make.usd(400),
        )
        return lambda: offer.accept(offer_id=made.id, by=self.seller.id)

    def invited(self, handle: str) -> list[Act]:
        """Both buyers have a link to the same handle; each takes theirs."""
        people = [invitation.Recipient(mail, "A reader", "en") for mail in self.mails]
        campaign = invitation.propose(
            namespace=self.place.id,
            handle=handle,
            by=self.team[0].id,
            price=make.usd(400),
            criteria="readers",
            recipients=people,
            expires_in_days=7,
        )
        rows = list(Invitation.objects.filter(campaign_id=campaign.id).order_by("position"))
        for row in rows:
            assert invitation.sending(invitation_id=row.id)
        tokens = [
            secrets.open_(bytes(r.token_sealed), place=f"invitation.token/{r.id}") for r in rows
        ]
        return [
            lambda token=token, buyer=buyer: invitation.accept(token=token, by=buyer.id)
            for token, buyer in zip(tokens, self.buyers, strict=True)
        ]

    def lists(self, handle: str) -> Act:
        return lambda: listing.open_(
            namespace=self.place.id, handle=handle, seller=self.seller.id, price=make.usd(400)
        )

    def lists_for_the_house(self, handle: str) -> Act:
        return lambda: listing.open_house(
            namespace=self.place.id, handle=handle, by=self.team[0].id, price=make.usd(400)
        )

    def house_buys(self, handle: str, proposer: int = 0) -> Act:
        one, other = self.team[proposer].id, self.team[1 - proposer].id
        asked = desk.propose_house_purchase(
            namespace=self.place.id, handle=handle, by=one, price=make.usd(400)
        )
        return lambda: desk.approve(approval_id=asked.id, by=other, shown=asked.shown)


def _market(place: Any) -> Market:
    team = [make.member(place, roles="curator") for _ in range(2)]
    mails = ["one@readers.example", "two@readers.example"]
    buyers = [make.member(place, account=f"acc-buyer-{n}", mail=m) for n, m in enumerate(mails)]
    return Market(place, team, buyers, make.member(place, account="acc-seller"), mails=mails)


@pytest.fixture
def market(database: str, settings: Any) -> Market:
    settings.DEMO = True
    return _market(make.namespace())


def two_buys(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    listed = m.listed(handle)
    return handle, m.buys(listed, 0), m.buys(listed, 1)


def buy_and_offer(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    accepts = m.offered(handle, 1)
    return handle, m.buys(m.listed(handle), 0), accepts


def two_offers(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    return handle, m.offered(handle, 0), m.offered(handle, 1)


def offer_and_withdrawal(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    accepts = m.offered(handle, 0)
    return handle, accepts, m.withdraws(m.listed(handle))


def buy_and_withdrawal(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    listed = m.listed(handle)
    return handle, m.buys(listed, 0), m.withdraws(listed)


def two_invitations(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    one, other = m.invited(handle)
    return handle, one, other


def invitation_and_listing(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    return handle, m.invited(handle)[0], m.lists_for_the_house(handle)


def house_and_invitation(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    return handle, m.house_buys(handle), m.invited(handle)[0]


def two_listings(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    return handle, m.lists(handle), m.lists(handle)


def offer_and_listing(m: Market) -> tuple[str, Act, Act]:
    handle = m.held()
    return handle, m.offered(handle, 0), m.lists(handle)


def two_house_listings(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    return handle, m.lists_for_the_house(handle), m.lists_for_the_house(handle)


def house_and_listing(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    return handle, m.house_buys(handle), m.lists_for_the_house(handle)


def two_house_purchases(m: Market) -> tuple[str, Act, Act]:
    handle = m.released()
    return handle, m.house_buys(handle), m.house_buys(handle, proposer=1)


PAIRS: list[Callable[[Market], tuple[str, Act, Act]]] = [
    two_buys,
    buy_and_offer,
    two_offers,
    buy_and_withdrawal,
    two_invitations,
    invitation_and_listing,
    house_and_invitation,
    two_listings,
    two_house_listings,
    two_house_purchases,
]


@dataclass(slots=True)
class Went:
    """How one side of a round went: what it got or why not, and when."""

    made: Any = None
    code: str = ""
    fault: BaseException | None = None
    began: float = 0.0
    ended: float = 0.0


def starts() -> Iterator[tuple[float, float]]:
    """Seconds that each side waits: either first by far, once each; then both almost at once."""
    yield from ((0.0, HEAD_START), (HEAD_START, 0.0))
    jitter = random.Random(7)
    for _ in range(ROUNDS - 2):
        late = jitter.uniform(0, 0.0005)
        yield (0.0, late) if jitter.random() < 0.5 else (late, 0.0)


def race(one: Act, other: Act, waits: tuple[float, float]) -> tuple[Went, Went]:
    """Start both from one barrier, each on a connection of its own."""
    barrier = threading.Barrier(2, timeout=20)
    went = (Went(), Went())
    threads = [
        threading.Thread(target=_run, args=(act, said, wait, barrier))
        for act, said, wait in zip((one, other), went, waits, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive(), "a deadlock"
    for said in went:
        if said.fault is not None:
            raise said.fault
    return went


def _run(act: Act, said: Went, wait: float, barrier: threading.Barrier) -> None:
    try:
        connection.ensure_connection()
        barrier.wait()
        time.sleep(wait)
        said.began = time.monotonic()
        said.made = act()
    except Refusal as refusal:
        said.code = refusal.code
    except BaseException as fault:
        said.fault = fault
    finally:
        said.ended = time.monotonic()
        connection.close()


def collided(one: Went, other: Went) -> bool:
    return one.began < other.ended and other.began < one.ended


def one_sale_at_most(handle: str, *, sold: bool) -> None:
    """One slot, filled by what won; one live sale or none; not a cent moved."""
    row = Handle.objects.get(handle=handle)
    sales = Sale.objects.filter(handle=row, state__in=sorted(LIVE))
    listings = Listing.objects.filter(handle=row, state="open")
    assert sales.count() == int(sold)
    assert sales.count() + listings.count() <= 1
    slots = SaleSlot.objects.filter(handle=row).values_list("ref", flat=True)
    assert set(slots) == {found.id for found in (*sales, *listings)}
    assert not Entry.objects.exists()
    assert not Payment.objects.exists()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.__name__)
def test_of_two_ways_to_a_handle_exactly_one_wins_and_the_loser_is_told_why(
    market: Market, pair: Callable[[Market], tuple[str, Act, Act]]
) -> None:
    orders, met = Counter[str](), 0
    for waits in starts():
        handle, one, other = pair(market)
        went = race(one, other, waits)
        codes = [said.code for said in went]
        assert codes.count("") == 1, codes
        assert set(codes) - {""} <= SOLD, codes
        winner = went[codes.index("")].made
        one_sale_at_most(handle, sold=isinstance(winner, Sale))
        orders["one" if codes[0] == "" else "other"] += 1
        met += collided(*went)
    assert len(orders) == 2, f"one side always won: {orders}"
    assert met >= ROUNDS // 2, f"they met {met} times only"


def test_an_accepted_offer_and_a_withdrawn_listing_leave_one_sale_whoever_is_first(
    market: Market,
) -> None:
    orders = Counter[str]()
    for waits in starts():
        handle, accepts, withdraws = offer_and_withdrawal(market)
        accepted, withdrew = race(accepts, withdraws, waits)
        assert accepted.code == ""
        assert withdrew.code in ("", "already_closed")
        state = "closed" if withdrew.code else "withdrawn"
        assert Listing.objects.get(handle__handle=handle).state == state
        one_sale_at_most(handle, sold=True)
        orders[state] += 1
    assert len(orders) == 2, orders


@pytest.mark.parametrize(
    "pair", [offer_and_listing, house_and_listing], ids=lambda pair: pair.__name__
)
def test_what_takes_over_the_sellers_own_listing_leaves_one_sale_whoever_is_first(
    market: Market, pair: Callable[[Market], tuple[str, Act, Act]]
) -> None:
    """It closes the listing that came before it, and bars the one that comes after."""
    orders = Counter[str]()
    for waits in starts():
        handle, takes, lists = pair(market)
        taken, listed = race(takes, lists, waits)
        assert taken.code == ""
        assert listed.code in ({""} | SOLD)
        one_sale_at_most(handle, sold=True)
        orders[listed.code] += 1
    assert len(orders) == 2, orders


def test_time_spent_waiting_for_the_lock_counts(market: Market) -> None:
    """Asked in time, served too late: the clock is read after the row lock, so it is refused."""
    handle = market.held()
    sale = market.buys(market.listed(handle), 0)()
    said, barrier = Went(), threading.Barrier(1)
    act = lambda: payments.pay(sale_id=sale.id, by=sale.buyer_id, method="pm_card_visa")  # noqa: E731
    with transaction.atomic():
        rowlocks.handle(namespace="demo", handle=handle)
        thread = threading.Thread(target=_run, args=(act, said, 0.0, barrier))
        thread.start()
        meeting.it_waits()
        clock.set_ahead(to=sale.funding_until)
    thread.join(timeout=20)
    assert (said.fault, said.code) == (None, "expired")
    assert not Payment.objects.exists()


def test_a_returning_holder_and_a_buyer_leave_the_handle_with_the_holder(
    database: str, settings: Any, tmp_path: Any
) -> None:
    """Until money is in escrow the holder wins, before the buyer or after."""
    out = worlds.outside()
    out.calm()
    box = reclaiming.Mailbox(out.mailbox, out.smtp)
    world = reclaiming.world(tmp_path, out.plaza, box, settings)
    idle = [world.idle() for _ in range(ROUNDS)]
    world.adopt(*idle)
    world.go(days=62)
    market = _market(world.place)
    orders = Counter[str]()
    for account, waits in zip(idle, starts(), strict=True):
        reclaim.prepare_sale(namespace=world.place.id, handle=account.handle)
        holder = make.member(world.place, account=account.account_id)
        listed = listing.open_house(
            namespace=world.place.id,
            handle=account.handle,
            by=market.team[0].id,
            price=make.usd(400),
        )
        kept, bought = race(
            lambda a=account, h=holder: reclaim.keep(namespace="demo", handle=a.handle, by=h.id),
            market.buys(str(listed.id), 0),
            waits,
        )
        assert kept.code == ""
        assert bought.code in {"", *SOLD, "handle_locked"}
        one_sale_at_most(account.handle, sold=False)
        row = Handle.objects.get(handle=account.handle)
        assert (row.state, row.account_id) == ("held", account.account_id)
        orders["bought first" if bought.code == "" else "kept first"] += 1
    assert len(orders) == 2, orders
