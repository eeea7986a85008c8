"""The ways of a sale, each as a client would go it: every write named, so that it can be repeated.

`go` may be run again from its beginning after any crash; what was done stays done.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests import make

from onym.core.errors import Refusal
from onym.core.money import Money
from onym.core.term import Term
from onym.flows import appeal as appeals
from onym.flows import listing, payments, record
from onym.flows import offer as offers
from onym.flows import sale as sales
from onym.store.models import Link, Namespace, Payment, PayoutAccount, Sale

GOOD = "pm_card_visa"
_numbers = itertools.count(1)


def _address(whose: str) -> str:
    """One that nobody else has, on no platform, in no process."""
    return f"{whose}{os.getpid()}-{next(_numbers)}@one.example"


@dataclass(slots=True)
class Way:
    """One handle on its way from seller to buyer; `kind` is its mechanism."""

    kind: str
    world: Any
    handle: str
    buyer: Any
    seller: Any
    price: Money
    staff: Any = None
    ends: str = "accept"
    turn: str = ""
    term: Term = Term.HANDLE

    def once(self, step: str, member: Any, run: Callable[[], Any]) -> str:
        """A write under the client's name for it; the id of what it made."""
        answer = record.once(
            member=member.id,
            route=f"POST /{step}",
            key=f"{self.handle}{self.turn}-{step}",
            payload={"step": step},
            run=lambda: record.Answer(201, {"id": run().id}),
        )
        return str(answer.body["id"])

    def agree(self) -> str:
        """The sale's id."""
        if self.kind == "offer":
            made = self.once("offer", self.buyer, self.offer)
            return self.once(
                "accept", self.seller, lambda: offers.accept(offer_id=made, by=self.seller.id)
            )
        made = self.once("list", self.staff or self.seller, self._list)
        return self.once(
            "buy",
            self.buyer,
            lambda: listing.buy(
                listing_id=made, buyer=self.buyer.id, consents=self.term is Term.ACCOUNT
            ),
        )

    def offer(self) -> Any:
        return offers.make(
            namespace="demo",
            handle=self.handle,
            buyer=self.buyer.id,
            price=self.price,
            term=self.term,
            consents=self.term is Term.ACCOUNT,
        )

    def _list(self) -> Any:
        if self.staff:
            return listing.open_house(
                namespace="demo",
                handle=self.handle,
                by=self.staff.id,
                price=self.price,
                term=self.term,
            )
        return listing.open_(
            namespace="demo",
            handle=self.handle,
            seller=self.seller.id,
            price=self.price,
            term=self.term,
        )

    def pay(self, sale: str, method: str = GOOD) -> str:
        return self.once(
            "pay",
            self.buyer,
            lambda: payments.pay(sale_id=sale, by=self.buyer.id, method=method),
        )

    def accept(self, sale: str) -> None:
        """End the inspection, unless it has ended by itself meanwhile."""
        try:
            self.once("end", self.buyer, lambda: sales.accept(sale_id=sale, by=self.buyer.id))
        except Refusal as refusal:
            if refusal.code != "already_closed" or Sale.objects.get(pk=sale).state != "settled":
                raise

    def cancel(self, sale: str) -> None:
        self.once("end", self.seller, lambda: sales.cancel(sale_id=sale, by=self.seller.id))

    def go(self) -> None:
        """The whole way: agree, pay, cool off, deliver, accept, pay out; or cancel it."""
        sale = self.agree()
        self.pay(sale)
        self.world.drain(hurry=True)
        if self.ends == "cancel":
            self.cancel(sale)
            self.world.drain(hurry=True)
            return
        self.world.pass_time(days=1.1)
        self.accept(sale)
        self.world.drain(hurry=True)
        self.world.pass_time(days=3.1)

    def sale(self) -> Sale | None:
        """What has become of it, if it was ever agreed."""
        return Sale.objects.filter(handle__handle=self.handle).first()

    def was_paid_for(self) -> bool:
        return Payment.objects.filter(sale__handle__handle=self.handle, kind="charge").exists()


@dataclass(slots=True)
class Undoing(Way):
    """What follows once a primary sale has settled: its former holder appeals and is right."""

    holder: Any = None
    account: str = ""
    sold: str = ""

    def go(self) -> None:
        made = self.once("appeal", self.holder, self._appeal)
        decide = lambda: appeals.decide(appeal_id=made, by=self.staff.id, outcome="upheld")  # noqa: E731
        self.once("decide", self.staff, decide)
        self.world.drain(hurry=True)

    def _appeal(self) -> Any:
        return appeals.open_(namespace="demo", handle=self.handle, by=self.holder.id, text="mine")


def undoing(world: Any, *, upheld: str = "return_and_refund", price: float = 400) -> Undoing:
    """A handle that was reclaimed, sold and settled, whose policy undoes sales after an appeal."""
    address = _address("holder")
    account, handle = world.account(last_login_at=None)
    holder = make.member(world.place, account=account, mail=address)
    PayoutAccount.objects.filter(member=holder).update(account=world.out.bank)
    make.released(world.place, handle, now=world.now(), account=account, upheld=upheld)
    buyer, _, _ = world.member(mail=_address("buyer"))
    staff = make.member(world.place, roles="curator reviewer")
    sale = Way("listing", world, handle, buyer, None, make.usd(price), world.team[0])
    way = Undoing("listing", world, handle, buyer, None, make.usd(price), staff)
    way.ends, way.holder, way.account, way.sold = "appeal", holder, account, sale.agree()
    sale.pay(way.sold)
    world.drain(hurry=True)
    sale.accept(way.sold)
    world.drain(hurry=True)
    return way


def trade(world: Any, *, price: float = 600, mail: bool = True, kind: str = "offer") -> Way:
    """A member's handle; dear enough to cool off for a day. The seller reads mail."""
    address = _address("seller") if mail else None
    seller, _, handle = world.holder(mail=address)
    buyer, _, _ = world.member()
    return Way(kind, world, handle, buyer, seller, make.usd(price))


def cancelled(world: Any) -> Way:
    """A trade that its seller ends while it cools off: the money goes back."""
    way = trade(world, mail=False)
    way.ends = "cancel"
    return way


def primary(world: Any, *, price: float = 400) -> Way:
    """A handle of the stock, listed by the team."""
    buyer, _, _ = world.member()
    return Way("listing", world, world.stock(), buyer, None, make.usd(price), world.team[0])


def _with_accounts(world: Any) -> Any:
    """A buyer with an address, where whole accounts are sold."""
    Namespace.objects.update(whole_accounts=True)
    buyer, _, _ = world.member(mail=_address("buyer"))
    return buyer


def account(world: Any, *, price: float = 400, kind: str = "listing") -> Way:
    """A member's whole account, one of two that they have."""
    buyer = _with_accounts(world)
    seller, _, handle = world.holder(mail=_address("seller"))
    Link.objects.create(
        namespace=world.place,
        member=seller,
        account_id=world.account()[0],
        linked_at=make.LONG_AGO,
    )
    return Way(kind, world, handle, buyer, seller, make.usd(price), term=Term.ACCOUNT)


def idle_account(world: Any, *, price: float = 400) -> Way:
    """A reclaimed handle that the platform sells with the idle account that has it."""
    buyer = _with_accounts(world)
    id_, handle = world.account(last_login_at=None, email=_address("idle"))
    make.released(world.place, handle, now=world.now(), account=id_)
    way = Way("listing", world, handle, buyer, None, make.usd(price), world.team[0])
    way.term = Term.ACCOUNT
    return way
