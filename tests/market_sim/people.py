"""What members and staff may try next; refusals are part of the game and are written down."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.market_sim.outside import DECLINED, Plaza

from onym.core.money import Money
from onym.flows import appeal, invitation, listing, offer, payments, sale
from onym.queries import clock
from onym.store.models import Appeal, Campaign, Handle, Invitation, Listing, Member, Offer, Sale

PLACE = "demo"
METHODS = ("pm_card", "pm_card", "pm_card", DECLINED)


class People:
    """Picks one act after the other from the seed; never looks at ids, which are random."""

    def __init__(self, draw: random.Random, plaza: Plaza) -> None:
        self.draw, self.plaza = draw, plaza
        self.acts: list[tuple[int, Callable[[], str]]] = [
            (5, self.list_own),
            (3, self.list_house),
            (8, self.buy),
            (6, self.make_offer),
            (8, self.answer_offer),
            (10, self.pay),
            (2, self.cancel),
            (5, self.end_inspection),
            (2, self.invite),
            (5, self.answer_invitation),
            (1, self.withdraw_listing),
            (1, self.log_in),
            (5, self.appeal),
            (5, self.decide_appeal),
        ]

    def act(self) -> str:
        """Do one thing; answers what it was, without ids."""
        weights = [weight for weight, _ in self.acts]
        act = self.draw.choices([act for _, act in self.acts], weights)[0]
        return f"{act.__name__} {act()}"

    def member(self) -> Member:
        rows = Member.objects.filter(id__startswith="mbr_sim").order_by("id")
        return self.draw.choice(list(rows))

    def some(self, rows: Any) -> Any:
        """One of `rows`, which come in an order that has nothing random in it."""
        found = list(rows)
        return self.draw.choice(found) if found else None

    def price(self) -> Money:
        return Money(self.draw.choice((500, 40_000, 60_000, 120_000)), "USD")

    def list_own(self) -> str:
        who = self.member()
        name = self.plaza.handle_of(f"acc-{who.id[4:]}")
        if name is None:
            return "nothing"
        listing.open_(namespace=PLACE, handle=name, seller=who.id, price=self.price())
        return name

    def list_house(self) -> str:
        row = self.some(Handle.objects.filter(state="released").order_by("handle"))
        if row is None:
            return "nothing"
        listing.open_house(namespace=PLACE, handle=row.handle, by="mbr_staff", price=self.price())
        return str(row.handle)

    def buy(self) -> str:
        row = self.some(Listing.objects.filter(state="open").order_by("handle__handle"))
        who = self.member()
        if row is None:
            return "nothing"
        listing.buy(listing_id=row.id, buyer=who.id)
        return f"{row.handle.handle} by {who.id}"

    def withdraw_listing(self) -> str:
        row = self.some(Listing.objects.filter(state="open").order_by("handle__handle"))
        if row is None:
            return "nothing"
        by = "mbr_staff" if row.seller.is_house else row.seller_id
        listing.withdraw(listing_id=row.id, by=by)
        return str(row.handle.handle)

    def make_offer(self) -> str:
        row = self.some(Handle.objects.filter(state="held").order_by("handle"))
        who = self.member()
        if row is None:
            return "nothing"
        offer.make(namespace=PLACE, handle=row.handle, buyer=who.id, price=self.price())
        return f"{row.handle} by {who.id}"

    def answer_offer(self) -> str:
        row = self.some(Offer.objects.filter(state="open").order_by("made_at"))
        if row is None:
            return "nothing"
        by = row.buyer_id if row.turn == "buyer" else f"mbr_{row.holder_account_id[4:]}"
        step = self.draw.choice(("accept", "accept", "counter", "decline"))
        if not Member.objects.filter(pk=by).exists():
            return "nobody"
        if step == "counter":
            offer.counter(offer_id=row.id, by=by, price=self.price())
        else:
            getattr(offer, step)(offer_id=row.id, by=by)
        return f"{row.handle.handle} {step}"

    def pay(self) -> str:
        row = self.some(Sale.objects.filter(state="funding").order_by("agreed_at"))
        if row is None:
            return "nothing"
        payments.pay(sale_id=row.id, by=row.buyer_id, method=self.draw.choice(METHODS))
        return str(row.handle.handle)

    def cancel(self) -> str:
        live = Sale.objects.filter(state__in=("funding", "cooling", "delivering", "inspection"))
        row = self.some(live.order_by("agreed_at"))
        if row is None:
            return "nothing"
        sale.cancel(sale_id=row.id, by=self.draw.choice((row.buyer_id, row.seller_id)))
        return str(row.handle.handle)

    def end_inspection(self) -> str:
        row = self.some(Sale.objects.filter(state="inspection").order_by("agreed_at"))
        if row is None:
            return "nothing"
        step = self.draw.choice((sale.accept, sale.accept, sale.accept, sale.dispute))
        step(sale_id=row.id, by=row.buyer_id)
        return f"{row.handle.handle} {step.__name__}"

    def invite(self) -> str:
        row = self.some(Handle.objects.filter(state="released").order_by("handle"))
        if row is None:
            return "nothing"
        names = sorted({self.member().id for _ in range(3)})
        recipients = [invitation.Recipient(f"{n}@mail.example", n, "en") for n in names]
        made = invitation.propose(
            namespace=PLACE,
            handle=row.handle,
            by="mbr_staff",
            price=Money(30_000, "USD"),
            criteria="short handles",
            recipients=recipients,
            expires_in_days=5,
        )
        if isinstance(made, Campaign):
            invitation.send(campaign_id=made.id, by="mbr_staff")
        return str(row.handle)

    def answer_invitation(self) -> str:
        rows = Invitation.objects.filter(state="sent")
        row = self.some(rows.order_by("campaign__committed_at", "position"))
        if row is None:
            return "nothing"
        who = self.member()
        if self.draw.random() < 0.2:
            invitation.decline(token=row.token)
            return f"{row.campaign.handle.handle} declined"
        invitation.accept(token=row.token, by=who.id)
        return f"{row.campaign.handle.handle} by {who.id}"

    def log_in(self) -> str:
        """The holder of a released handle comes back to the platform."""
        row = self.some(Handle.objects.filter(state="released").order_by("handle"))
        if row is None or row.account_id is None:
            return "nothing"
        self.plaza.seen[row.account_id] = clock.now()
        return str(row.handle)

    def appeal(self) -> str:
        """Whoever lost a handle objects, mostly once it is sold."""
        sold = Sale.objects.filter(kind="primary", state__in=("inspection", "settled"))
        row = self.some(sold.order_by("agreed_at"))
        if row is None:
            return "nothing"
        name = row.handle.handle
        appeal.open_(namespace=PLACE, handle=name, by=f"mbr_{name}", text="It is mine.")
        return str(name)

    def decide_appeal(self) -> str:
        row = self.some(Appeal.objects.filter(state="open").order_by("opened_at"))
        if row is None:
            return "nothing"
        outcome = self.draw.choice(("upheld", "upheld", "upheld", "rejected"))
        appeal.decide(appeal_id=row.id, by="mbr_judge", outcome=outcome)
        return f"{row.handle.handle} {outcome}"
