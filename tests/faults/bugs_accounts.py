"""Seeded bugs of whole accounts that change hands; test_account_controls.py shows each one seen."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from tests.faults.handing import Port

from onym import ports
from onym.core import term as core
from onym.flows import term
from onym.jobs import transfer as jobs
from onym.ports import atproto
from onym.ports.xrpc import Said, Xrpc
from onym.queries import transfer as orders


def a_hand_over_is_believed_without_proof() -> None:
    """What the platform answers is enough."""
    core.is_handed = lambda **_: True


def the_fence_proves_nothing() -> None:
    """An address that was the buyer's all along shows a hand-over."""
    core.is_handed = lambda *, address, told_address, **_: told_address == address


def the_address_in_force_is_not_looked_at() -> None:
    """A platform that noted the fence has done the rest."""
    core.is_handed = lambda *, fence, told_fence, **_: told_fence == fence


def a_return_is_proved_by_its_fence_alone() -> None:
    """As if its time were always over."""
    account = orders._account

    def hasty(row: Any) -> Any:
        found, is_return = account(row), row.hands_to_id != row.sale.buyer_id
        return dataclasses.replace(found, is_over=True) if found and is_return else found

    orders._account = hasty


def nothing_is_destroyed() -> None:
    """The platform is asked to keep what it must destroy."""

    class Sparing(Port):
        def hand_over(self, **asked: Any) -> Any:
            return self._port.hand_over(**asked | {"wipe": ()})

    ports.install(platforms={"demo": Sparing(ports.platform("demo"))})


def what_both_consented_to_is_destroyed() -> None:
    """Between members, too."""
    orders.wiped = term.core.wiped = lambda **_: core.WIPED


def each_asking_is_an_order_of_its_own() -> None:
    """Under another key and with another fence, so that the platform does it again."""
    more = itertools.count(1)

    class Renaming(Port):
        def hand_over(self, **asked: Any) -> Any:
            turn = next(more)
            key, fence = f"{asked['key']}-{turn}", asked["fence"] + turn
            return self._port.hand_over(**asked | {"key": key, "fence": fence})

    ports.install(platforms={"demo": Renaming(ports.platform("demo"))})


def it_is_handed_to_whoever_sold_it() -> None:
    """The address is that of the wrong party."""
    address = term._address

    def of_the_other(member: Any) -> str:
        sale = member.bought.select_related("seller").first()
        return address(sale.seller if sale else member)

    term._address = of_the_other


def the_address_is_looked_up_anew() -> None:
    """Each asking goes to whatever the buyer's address is by then."""
    account = orders._account

    def anew(row: Any) -> Any:
        found = account(row)
        return found and dataclasses.replace(found, address=term._address(row.hands_to))

    orders._account = anew


def whatever_the_account_holds_is_handed_over() -> None:
    """The order does not name the handle."""
    ask = jobs.ask
    jobs.ask = lambda order, platform: ask(dataclasses.replace(order, handle=None), platform)


def an_account_that_may_not_is_handed_over() -> None:
    """Nobody looks at what the platform says of it now."""
    jobs.terms.unfit = lambda _: ""


def the_seller_stays_linked() -> None:
    """And could list, keep or sell what is somebody else's."""
    term._unlink = lambda *_, **__: None


def the_address_is_kept() -> None:
    """Sealed, and for no purpose any more."""
    term.forget_address = lambda _: None


def fences_are_the_handles_alone() -> None:
    """What the account was handed over with under another handle is forgotten."""

    def own(row: Any) -> int:
        row.fence += 1
        row.save(update_fields=["fence"])
        return int(row.fence)

    term.next_fence = own


def whoever_has_the_handle_has_the_account() -> None:
    """The account keeps its handle throughout, so that tells nothing."""
    term.with_whom = lambda _, *, holder: holder


# ---- on a PDS


def old_passwords_and_sessions_live_on() -> None:
    """Only the address is changed."""
    atproto.Atproto._shut_out = lambda *_: Said(sure=True)  # type: ignore[method-assign]  # of this process alone


def app_passwords_live_on() -> None:
    """They outlive a new password unless they are ended one by one."""
    atproto.Atproto._end_app_passwords = lambda *_: Said(sure=True)  # type: ignore[method-assign]  # of this process alone


def the_address_is_not_replaced_and_not_read_back() -> None:
    """The port takes its own word for it."""
    order, digest = Xrpc.order, atproto.address_digest

    def idle(self: Any, method: str, wish: Any, **more: Any) -> Any:
        return Said(sure=True) if method == atproto._EMAIL else order(self, method, wish, **more)

    Xrpc.order = idle  # type: ignore[method-assign]  # of this process alone
    wanted: list[str] = []

    def told(email: str) -> str:
        wanted.append(digest(email))
        return wanted[0]

    atproto.address_digest = told
