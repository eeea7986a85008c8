"""A disputed sale is decided one way or the other; money and handle never end on one side."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from tests import make
from tests.demo.servers import free_port
from tests.flows.test_sale import balance, moved, paid, people, place, sold

from onym import ports
from onym.core.errors import AlreadyClosed, InProgress, Malformed, NotAllowed
from onym.core.sale import State
from onym.core.transfer import State as TransferState
from onym.flows import dispute, sale
from onym.jobs import dispute as jobs
from onym.ports.signed_http import SignedHttp
from onym.queries import audit
from onym.store.models import Handle, Payment, Sale, Tenure, Transfer

__all__ = ["people", "place"]
pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def disputed(place: Any, people: Any) -> Sale:
    made = moved(paid(sold(place, people)))
    sale.dispute(sale_id=made.id, by=made.buyer_id)
    return made


@pytest.fixture
def judge(place: Any) -> str:
    return str(make.member(place, roles="reviewer").id)


def test_decided_for_the_seller_the_sale_settles(disputed: Sale, judge: str) -> None:
    dispute.decide(sale_id=disputed.id, by=judge, outcome="settle")
    assert Sale.objects.get().state == State.SETTLED
    assert balance(f"member:{disputed.seller_id}:payable") == disputed.proceeds_minor
    row = Handle.objects.get(handle="moon")
    assert (row.dispute_open, row.locked_by, row.account_id) == (False, None, "acc-nadia")


def test_decided_for_the_buyer_the_handle_goes_back_before_the_money(
    disputed: Sale, judge: str
) -> None:
    dispute.decide(sale_id=disputed.id, by=judge, outcome="return")
    with pytest.raises(InProgress):
        dispute.decide(sale_id=disputed.id, by=judge, outcome="settle")
    order = Transfer.objects.order_by("fence").last()
    assert order is not None
    assert (order.source, order.to, order.expected_holder) == ("acc-nadia", "acc-moon", "acc-nadia")
    assert dispute.asking(transfer_id=order.id)
    answered = {"transfer_id": order.id, "state": TransferState.UNKNOWN}
    assert not dispute.record_return(**answered, holder="acc-nadia")  # type: ignore[arg-type]  # a table
    assert not dispute.record_return(**answered, holder="acc-moon")  # type: ignore[arg-type]  # a table
    assert not Payment.objects.filter(kind="refund").exists(), "a read alone may be old news"
    answered["state"] = TransferState.DONE
    assert not dispute.record_return(**answered, holder="acc-nadia")  # type: ignore[arg-type]  # a table
    assert dispute.record_return(**answered, holder="acc-moon")  # type: ignore[arg-type]  # a table
    assert Sale.objects.get().state == State.REFUNDING
    assert Payment.objects.filter(kind="refund").count() == 1
    row = Handle.objects.get(handle="moon")
    assert (row.dispute_open, row.locked_by, row.account_id) == (False, None, "acc-moon")
    held = Tenure.objects.filter(handle=row).order_by("held_from")
    assert [tenure.account_id for tenure in held] == ["acc-moon", "acc-nadia", "acc-moon"]
    (once,) = [check for check in audit.run() if check.id == "Q1"]
    assert once.verdict is audit.Verdict.OK, str(once)


def test_a_refused_return_leaves_it_for_the_desk_to_decide_anew(disputed: Sale, judge: str) -> None:
    dispute.decide(sale_id=disputed.id, by=judge, outcome="return")
    order = Transfer.objects.order_by("fence").last()
    assert order is not None
    dispute.asking(transfer_id=order.id)
    assert dispute.record_return(
        transfer_id=order.id, state=TransferState.REFUSED, holder="acc-nadia"
    )
    assert Sale.objects.get().state == State.DISPUTED
    dispute.decide(sale_id=disputed.id, by=judge, outcome="settle")
    assert Sale.objects.get().state == State.SETTLED


def waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from procrastinate_jobs"
            " where task_name = 'dispute.take_back' and (args ->> 'attempt')::int = 1"
        )
        return int(cursor.fetchone()[0])


def test_a_platform_that_cannot_be_reached_is_asked_again_and_no_money_moves(
    disputed: Sale, judge: str
) -> None:
    nobody = SignedHttp(
        base=f"http://127.0.0.1:{free_port()}",
        key_id="test",
        private_key=Ed25519PrivateKey.generate(),
        timeout=1.0,
    )
    ports.install(platforms={disputed.namespace_id: nobody})
    dispute.decide(sale_id=disputed.id, by=judge, outcome="return")
    order = Transfer.objects.order_by("fence").last()
    assert order is not None
    jobs.take_back(transfer_id=order.id)
    assert waiting() == 1
    assert Sale.objects.get().state == State.DISPUTED
    assert not Payment.objects.filter(kind="refund").exists()
    assert dispute.record_return(transfer_id=order.id, state=TransferState.DONE, holder="acc-moon")
    jobs.take_back(transfer_id=order.id)
    assert waiting() == 1, "an order that is finished is not asked about"


def test_only_the_desk_decides_only_disputes_and_only_one_of_two_ways(
    disputed: Sale, judge: str
) -> None:
    with pytest.raises(NotAllowed):
        dispute.decide(sale_id=disputed.id, by=disputed.buyer_id, outcome="return")
    with pytest.raises(Malformed):
        dispute.decide(sale_id=disputed.id, by=judge, outcome="toss")
    dispute.decide(sale_id=disputed.id, by=judge, outcome="settle")
    with pytest.raises(AlreadyClosed):
        dispute.decide(sale_id=disputed.id, by=judge, outcome="settle")
