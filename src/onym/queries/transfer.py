"""What a job must know to ask the platform about a transfer."""

from __future__ import annotations

from dataclasses import dataclass

from onym.core import sale as sales
from onym.core.names import placeholder
from onym.core.term import wiped
from onym.core.transfer import Bar, State, is_kept
from onym.store import clock
from onym.store.models import Handle, Transfer


@dataclass(frozen=True, slots=True)
class Account:
    """A whole account on its way: to whom, what is destroyed, whether the time for it is over."""

    address: str
    wipe: tuple[str, ...]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Order:
    """`id` names the request at the platform for ever."""

    id: str
    namespace: str
    state: State
    handle: str
    source: str | None
    to: str
    placeholder: str
    expected_holder: str | None
    fence: int
    retain: bool
    bar: Bar | None
    account: Account | None = None


def order(transfer_id: str) -> Order | None:
    """The order, or None once nothing is left to be asked: the sale has gone on or given up."""
    row = Transfer.objects.select_related("handle", "sale", "namespace").get(pk=transfer_id)
    if row.state == State.ABANDONED:
        return None
    if row.sale is not None and not sales.awaits(row.sale.snapshot(), to=row.to):
        return None
    return _order(row)


def read(transfer_id: str) -> Order:
    """The order as it was written, whatever became of its sale."""
    return _order(
        Transfer.objects.select_related("handle", "sale", "namespace").get(pk=transfer_id)
    )


def _order(row: Transfer) -> Order:
    return Order(
        id=row.id,
        namespace=row.namespace_id,
        state=State(row.state),
        handle=row.handle.handle,
        source=row.source,
        to=row.to,
        placeholder=row.placeholder,
        expected_holder=row.expected_holder,
        fence=row.fence,
        retain=row.retains
        and is_kept(row.vacated, placeholder=placeholder(row.namespace.profile, row.to)),
        bar=row.bar(),
        account=_account(row),
    )


def _account(row: Transfer) -> Account | None:
    if row.hands_to_id is None or row.sale is None:
        return None
    is_first, until = row.hands_to_id == row.sale.buyer_id, row.sale.delivery_until
    return Account(
        address=row.address if row.address_sealed else "",
        wipe=wiped(is_primary=is_first and row.sale.kind == sales.Kind.PRIMARY),
        is_over=until is not None and clock.now() >= until,
    )


def handle(handle_id: int) -> tuple[str, str]:
    """Namespace and canonical handle of a row."""
    return Handle.objects.values_list("namespace_id", "handle").get(pk=handle_id)
