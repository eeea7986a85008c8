"""What the desk leaves in the log: its prices with what was shown beside them, and its staff."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import connection
from tests import make
from tests.surfaces.test_api import Caller
from tests.surfaces.test_desk import sign_in, text_of

from onym.cli import desk as cli
from onym.core import events, record
from onym.core.errors import NotFound
from onym.core.leaves import Check
from onym.core.people import staff_root
from onym.core.sale import PaymentState
from onym.core.transfer import State as TransferState
from onym.flows import invitation, payments, people, sale, transfer
from onym.queries import appraisal as model
from onym.queries import names
from onym.store.models import Event, Invitation, Payment, Transfer
from onym.web.templatetags.market import money

DEAR = {"minor": 1_500_000, "currency": "USD"}
CHEAP = {"minor": 40_000, "currency": "USD"}


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    made = make.namespace()
    make.handle(made, "moon", state="released", account_id=None)
    return made


@pytest.fixture
def team(place: Any) -> list[Caller]:
    found = [make.member(place), make.member(place)]
    for member in found:
        people.grant(member=member.id, role="curator")
    return [Caller(member) for member in found]


def leaves(*types: str) -> list[events.Entry]:
    rows = Event.objects.filter(type__in=types).order_by("seq")
    return [events.read(bytes(row.entry)) for row in rows]


def checks() -> dict[str, Check]:
    entries = [bytes(row.entry) for row in Event.objects.order_by("seq")]
    return {check.name: check for check in record.check(entries)}


def violated() -> list[str]:
    return [f"{c.name}: {c.detail}" for c in checks().values() if c.status == "violated"]


def approve(asked: Any, by: Caller) -> Any:
    proposal = asked.json()["approval"]
    path = f"/desk/approvals/{proposal['id']}/approve"
    answer = by.send("POST", path, {"shown": proposal["shown"]})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_listing_follows_its_price_and_the_appraisal_shown_with_it(team: list[Caller]) -> None:
    answer = team[0].send("POST", "/listings", {"handle": "Moon", "price": CHEAP})
    assert answer.status_code == 201, answer.content
    told = leaves("Appraised", "PriceSet", "ListingOpened")
    assert [leaf.type for leaf in told] == ["Appraised", "PriceSet", "ListingOpened"]
    assert {leaf.ref for leaf in told} == {answer.json()["id"]}
    seen, price, _ = (leaf.body for leaf in told)
    shown = team[0].send("GET", "/handles/moon").json()
    worth = {name: str(shown["appraisal"][name]["minor"]) for name in ("low", "mid", "high")}
    assert {name: seen[name]["minor"] for name in worth} == worth
    assert seen["tier"] == shown["tier"]["name"]
    assert seen["model"] == price["model"] == f"onym/{model.model().version}"
    assert price["price"] == {"minor": "40000", "currency": "USD"}
    assert violated() == []
    assert checks()["staff's prices were set before"].status == "ok"


def test_a_dear_price_is_approved_with_the_appraisal_and_names_the_approval(
    team: list[Caller],
) -> None:
    asked = team[0].send("POST", "/listings", {"handle": "moon", "price": DEAR})
    assert (asked.status_code, leaves("PriceSet")) == (202, [])
    approve(asked, team[1])
    told = leaves("Approved", "Appraised", "PriceSet", "ListingOpened")
    assert [leaf.type for leaf in told] == ["Approved", "Appraised", "PriceSet", "ListingOpened"]
    assert told[2].body["approval"] == told[0].ref
    assert violated() == []


def test_the_desks_page_shows_the_appraisal_that_the_log_will_name(place: Any) -> None:
    page = text_of(sign_in("amal", "curator"), "/en/desk/handles/moon")
    worth = names.beside_price("demo", "moon")
    for figure in ("low", "mid", "high"):
        assert money(worth[figure]) in page


def drafted(team: list[Caller], mail: str) -> str:
    """A dear campaign that two people agreed on, its mails sent; the one link."""
    wish = {
        "handle": "moon",
        "price": DEAR,
        "criteria": "they asked",
        "recipients": [{"mail": mail}],
    }
    campaign = approve(team[0].send("POST", "/desk/campaigns", wish), team[1])
    assert team[0].send("POST", f"/desk/campaigns/{campaign['id']}/send").status_code == 200
    row = Invitation.objects.get()
    assert invitation.sending(invitation_id=row.id)
    return row.token


def test_a_campaign_commits_handle_and_price_and_the_settlement_opens_them(
    place: Any, team: list[Caller]
) -> None:
    buyer = Caller(make.member(place, account="acc-ada", mail="ada@one.example"))
    token = drafted(team, "ada@one.example")
    hidden = leaves("Appraised", "PriceSet", "CandidatesCommitted")
    assert [leaf.type for leaf in hidden] == ["Appraised", "PriceSet", "CandidatesCommitted"]
    said = json.dumps([leaf.body for leaf in hidden])
    assert "moon" not in said
    assert "minor" not in said
    assert len({leaf.ref for leaf in hidden}) == 1
    made = buyer.send("POST", f"/invitations/{token}/accept").json()
    settle(made["id"], buyer.member.id)
    (settled,) = leaves("SaleSettled")
    opened = {(item["type"], item["field"]): item["value"] for item in settled.body["opens"]}
    price = {"minor": "1500000", "currency": "USD"}
    for type_ in ("PriceSet", "InvitationSent", "SaleAgreed"):
        assert opened[type_, "price"] == price
    assert ("Appraised", "mid") in opened
    assert violated() == []
    assert checks()["staff stay out of sales"].status == "ok"


def settle(sale_id: str, buyer: str) -> None:
    payment = payments.pay(sale_id=sale_id, by=buyer, method="pm_card_visa")
    payments.record_charge(
        payment_id=payment.id, state=PaymentState.PAID, provider="stripe", provider_id="pi_1"
    )
    assert Payment.objects.get().state == "paid"
    order = Transfer.objects.get(sale_id=sale_id)
    transfer.look(transfer_id=order.id, holder=None, last_seen=None, vacated=None)
    transfer.record_move(transfer_id=order.id, state=TransferState.DONE)
    transfer.record_read_back(transfer_id=order.id, holder="acc-ada")
    sale.accept(sale_id=sale_id, by=buyer)


def test_each_change_of_the_staff_commits_the_whole_set_by_its_root(place: Any) -> None:
    one, two = make.member(place).id, make.member(place, mail="two@team.example").id
    people.grant(member=one, role="curator")
    people.grant(member=two, role="reviewer")
    people.grant(member=two, role="reviewer")
    people.grant(member=one, role="auditor")
    people.withdraw(member=one, role="curator")
    done = CliRunner().invoke(
        cli.command, ["remove", "two@team.example", "--role", "reviewer", "--namespace", "demo"]
    )
    assert done.exit_code == 0, done.output
    with pytest.raises(NotFound):
        people.withdraw(member=two, role="reviewer")
    sets = [{one}, {one, two}, {one, two}, {one, two}, {one}]
    assert [leaf.body for leaf in leaves("StaffSetCommitted")] == [
        {"root": staff_root(staff).hex(), "count": len(staff)} for staff in sets
    ]


def test_two_grants_at_once_leave_a_root_that_knows_both(place: Any) -> None:
    members = [make.member(place).id for _ in range(8)]

    def grant(member: str) -> None:
        people.grant(member=member, role="curator")
        connection.close()

    threads = [threading.Thread(target=grant, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = leaves("StaffSetCommitted")[-1].body
    assert last == {"root": staff_root(members).hex(), "count": 8}
