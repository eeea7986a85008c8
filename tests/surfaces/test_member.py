"""A member's pages: selling step by step, offers as a conversation, and what is mine."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import make

from onym.core import ledger as core
from onym.flows import ledger, listing, offer, people, record
from onym.queries import appeal, fees, ground, holding
from onym.store import clock, secrets
from onym.store.models import (
    Appeal,
    Handle,
    Listing,
    Member,
    Notice,
    Offer,
    PayoutAccount,
    Sale,
)

pytestmark = pytest.mark.usefixtures("database")
MOST = 12


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", account_id="acc-leila")
    make.handle(made, "river", account_id="acc-nadia")
    return made


def joined(name: str, *, account: str = "") -> Any:
    made = people.join(
        namespace="demo", name=name, mail=f"{name}@mail.example", password="rope-and-anchor"
    )
    people.link(member=made.id, account_id=account or f"acc-{name}")
    return made


def client(member: Any) -> Any:
    """The member's browser, its second factor fresh."""
    made = Client()
    made.force_login(User.objects.get(username=member.id))
    return make.confirmed(made)


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def press(client: Client, path: str, **fields: str) -> Any:
    """Open the page and send its form."""
    key = re.search(r'name="key" value="([^"]+)"', client.get(path).content.decode())
    assert key, path
    return client.post(path, fields | {"key": key[1]})


# Selling


def test_a_handle_is_listed_in_three_steps_and_taken_back_with_its_price_kept(place: Any) -> None:
    leila = client(joined("leila"))
    assert "/en/sell/moon" in text(leila, "/en/sell")
    page = text(leila, "/en/sell/moon?price=12,500.00")
    assert "$12,500.00" in page
    assert "$13,050.00" in page  # 5 % of 5,000 and 4 % of 7,500 on top
    assert "72 hours" in page
    answer = press(leila, "/en/sell/moon?price=12,500.00", do="list", price="12,500.00")
    assert answer["Location"] == "/en/sell/moon/listed"
    made = Listing.objects.get()
    assert (made.state, made.price_minor) == ("open", 1_250_000)
    assert "is on sale" in text(leila, "/en/sell/moon/listed")
    undone = press(leila, "/en/sell/moon/listed", do="undo", listing=made.id)
    assert undone["Location"] == "/en/sell/moon?price=12500"
    assert Listing.objects.get().state == "withdrawn"
    assert 'value="12500"' in text(leila, "/en/sell/moon?price=12500")
    assert "You took this listing off the market." in text(leila, "/en/sell/moon/listed")


def test_a_second_press_lists_once_and_leads_to_the_same_page(place: Any) -> None:
    leila = client(joined("leila"))
    form = {"do": "list", "price": "10", "key": "a-form-of-its-own"}
    first, again = (leila.post("/en/sell/moon", form) for _ in range(2))
    assert first["Location"] == again["Location"] == "/en/sell/moon/listed"
    assert Listing.objects.count() == 1


def test_who_must_confirm_first_comes_back_to_the_price_that_was_typed(place: Any) -> None:
    made = joined("leila")
    stale = Client()
    stale.force_login(User.objects.get(username=made.id))
    form = {"do": "list", "price": "1250", "key": "a-form-of-its-own"}
    answer = stale.post("/en/sell/moon?price=1250", form)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/en/confirm?next=/en/sell/moon")
    assert not Listing.objects.exists()
    page = text(stale, "/en/sell/moon")
    assert 'value="1250"' in page
    assert "List it at" in page
    listed = make.confirmed(stale).post("/en/sell/moon?price=1250", form)
    assert listed["Location"] == "/en/sell/moon/listed"


@pytest.mark.parametrize("typed", ["abc", "-1", "0", "0.10", "1.234", "9" * 30])
def test_a_price_that_cannot_be_is_said_beside_its_field_and_kept(place: Any, typed: str) -> None:
    leila = client(joined("leila"))
    page = text(leila, f"/en/sell/moon?price={typed}")
    assert f'value="{typed}"' in page
    assert 'aria-invalid="true"' in page
    assert "List it at" not in page
    form = {"do": "list", "price": typed, "key": "a-form-of-its-own"}
    answer = leila.post("/en/sell/moon", form)
    assert answer.status_code in (400, 422)
    assert f'value="{typed}"' in answer.content.decode()
    assert not Listing.objects.exists()


PREVENTED = [
    ({"cool_off_until": "later"}, "may not be sold before"),
    ({"dispute_open": True}, "A dispute about it is open."),
    ({"appeal_open": True}, "An appeal about it is open."),
    ({"locked_by": "sal_x"}, "It is being sold."),
    ({"state": "warned"}, "keep it first"),
    ({"retained_until": "later"}, "It is kept for its last holder."),
]


@pytest.mark.parametrize(("changes", "said"), PREVENTED)
def test_what_keeps_a_handle_from_being_sold_is_said(
    place: Any, changes: dict[str, Any], said: str
) -> None:
    later = clock.now() + make.days(3)
    Handle.objects.filter(handle="moon").update(
        **{name: later if value == "later" else value for name, value in changes.items()}
    )
    leila = client(joined("leila"))
    for path in ("/en/sell", "/en/me/holding", "/en/sell/moon?price=10"):
        assert said in text(leila, path), path
    assert "List it at" not in text(leila, "/en/sell/moon?price=10")
    refused = leila.post("/en/sell/moon", {"do": "list", "price": "10", "key": "a-form-of-its-own"})
    assert refused.status_code in (409, 422)
    assert said in refused.content.decode()


def test_a_changed_address_stops_every_sale_for_thirty_days(place: Any) -> None:
    made = joined("leila")
    Member.objects.filter(pk=made.id).update(security_changed_at=clock.now())
    assert "nothing of yours is sold before" in text(client(made), "/en/sell")
    assert "List it at" not in text(client(made), "/en/sell/moon?price=10")


def test_who_holds_nothing_is_told_what_to_do_and_nobody_sells_what_is_anothers(place: Any) -> None:
    made = people.join(namespace="demo", name="x", mail="x@mail.example", password="rope-and-hat")
    assert "No account is linked yet." in text(client(made), "/en/sell")
    assert client(made).get("/en/sell/moon").status_code == 403
    assert client(joined("nadia")).get("/en/sell/moon").status_code == 403
    assert client(joined("eve")).get("/en/sell/moon/listed").status_code == 404


def test_the_sums_are_those_that_the_sale_will_have(place: Any) -> None:
    leila, nadia = joined("leila"), joined("nadia")
    made = listing.open_(namespace="demo", handle="moon", seller=leila.id, price=make.usd(777.77))
    shown = fees.sums("demo", price=make.usd(777.77))
    sale = listing.buy(listing_id=made.id, buyer=nadia.id)
    assert sale.money("gross") == shown.gross
    assert sale.money("proceeds") == shown.proceeds
    assert sale.money("commission") == shown.commission == shown.by_buyer + shown.by_seller


def test_an_account_holds_what_row_or_import_say_and_a_sold_handle_is_gone(place: Any) -> None:
    leila = joined("leila")
    make.handle(place, "older", account_id="acc-leila")
    looked = ground.of("demo")
    names = [one.handle for one in holding.holding(looked, accounts=("acc-leila", "acc-x"))]
    assert sorted(names) == ["moon", "older"]
    Handle.objects.filter(handle="moon").update(account_id="acc-nadia")
    assert "moon" not in text(client(leila), "/en/me/holding")


# Offers


def asked(price: float = 100) -> tuple[Client, Client, Offer]:
    leila, nadia = joined("leila"), joined("nadia")
    made = offer.make(namespace="demo", handle="moon", buyer=nadia.id, price=make.usd(price))
    return client(leila), client(nadia), made


def test_an_offer_is_a_conversation_in_which_each_sees_their_own_side(place: Any) -> None:
    leila, nadia, made = asked()
    path = f"/en/offers/{made.id}"
    theirs, mine = text(leila, path), text(nadia, path)
    assert "The buyer offered" in theirs
    assert "It is your turn." in theirs
    assert "You receive" in theirs
    assert "You offered" in mine
    assert "The holder's answer is awaited." in mine
    assert "$105.00" in mine  # what the buyer would pay
    assert 'value="accept"' not in mine
    sums = text(leila, f"{path}?price=200")
    assert "Answer with" in sums
    assert press(leila, f"{path}?price=200", do="counter", price="200").status_code == 302
    assert "The holder named another price" in text(nadia, path)
    answer = press(nadia, path, do="accept")
    assert answer["Location"] == f"/en/sales/{Sale.objects.get().id}"
    assert f"/en/sales/{Sale.objects.get().id}" in text(leila, path)


def test_offers_stand_by_whose_answer_is_awaited(place: Any) -> None:
    leila, nadia, made = asked()
    assert "your turn" in text(leila, "/en/offers")
    assert "Nobody waits for you." in text(nadia, "/en/me/offers")
    assert "Answer" in text(leila, "/en/me")
    Offer.objects.update(expires_at=make.LONG_AGO)
    page = text(leila, "/en/offers")
    assert "Nobody waits for you." in page
    assert "lapsed" in page
    assert 'value="accept"' not in text(leila, f"/en/offers/{made.id}")


def test_a_counter_that_is_no_price_is_kept_beside_its_field(place: Any) -> None:
    leila, _, made = asked()
    answer = press(leila, f"/en/offers/{made.id}", do="counter", price="a lot")
    assert answer.status_code == 400
    assert 'value="a lot"' in answer.content.decode()
    assert "This is no amount." in answer.content.decode()


# What is mine

MINE = "holding buying selling offers alerts statement notices appeals settings".split()  # noqa: SIM905
OWN = ["sell", "sell/moon", "sell/moon?price=12", "offers", "me", *(f"me/{tab}" for tab in MINE)]


@pytest.mark.parametrize("path", OWN)
def test_a_members_page_is_for_members_and_asks_at_most_twelve_times(place: Any, path: str) -> None:
    leila, nadia = joined("leila"), joined("nadia")
    make.reclaimed(place, "sunset")
    for name in ("sea", "lake"):
        make.handle(place, name, account_id="acc-leila")
        offer.make(namespace="demo", handle=name, buyer=nadia.id, price=make.usd(100))
    on_sale = listing.open_(namespace="demo", handle="sea", seller=leila.id, price=make.usd(10))
    listing.buy(listing_id=on_sale.id, buyer=nadia.id)
    PayoutAccount.objects.create(member_id=leila.id, provider="stripe", account="acct_1")
    nobody = Client().get(f"/en/{path}")
    assert nobody.status_code == 302
    assert nobody["Location"].startswith("/en/sign-in?next=/en/")
    own = client(leila)
    text(own, f"/en/{path}")
    with CaptureQueriesContext(connection) as asked:
        text(own, f"/en/{path}")
    assert len(asked) <= MOST, "\n".join(query["sql"][:150] for query in asked)
    staff = make.member(place, roles="curator")
    staff.user = User.objects.create_user(username=staff.id, password=None)
    staff.save()
    seen = client(staff).get(f"/en/{path}")
    assert seen.status_code == (403 if path.startswith("sell/") else 200)
    assert "$10.00" not in seen.content.decode()


def test_a_notice_is_read_by_the_one_it_was_sent_to_and_nobody_else(place: Any) -> None:
    leila, nadia, _ = asked()
    told = Notice.objects.filter(kind="offer_made").first()
    assert told is not None
    assert "Somebody offers to buy the handle moon" in text(leila, "/en/me/notices")
    assert "Handle Team" in text(leila, f"/en/me/notices/{told.id}")
    assert nadia.get(f"/en/me/notices/{told.id}").status_code == 404
    assert "Nothing was sent to you yet." in text(nadia, "/en/me/notices")


def test_a_notice_that_is_kept_by_its_address_alone_is_its_members(place: Any) -> None:
    leila = joined("leila")
    record.notify(
        namespace="demo",
        kind="sale_closed",
        about="sal_x",
        now=clock.now(),
        member=leila.id,
        facts={"handle": "moon", "sale": "sal_x"},
    )
    assert Notice.objects.get().address_index == secrets.index("leila@mail.example", purpose="mail")
    assert "The sale of moon has ended" in text(client(leila), "/en/me/notices")


def test_a_member_appeals_once_and_sees_where_it_stands(place: Any) -> None:
    process = make.reclaimed(place, "sunset", state="resting")
    made = joined("amal", account=process.account_id)
    own = client(made)
    empty = press(own, "/en/me/appeals", do="appeal", handle="sunset", text=" ")
    assert empty.status_code == 400
    assert "Write at least a word" in empty.content.decode()
    answer = press(own, "/en/me/appeals", do="appeal", handle="sunset", text="I was <at> sea")
    assert answer["Location"] == "/en/me/appeals"
    page = text(own, "/en/me/appeals")
    assert "I was &lt;at&gt; sea" in page
    assert "waiting for a decision" in page
    assert "Nothing was decided about a handle of yours" in page
    again = {"do": "appeal", "handle": "sunset", "text": "I was", "key": "another-form"}
    assert own.post("/en/me/appeals", again).status_code == 409
    stranger = client(joined("eve")).post("/en/me/appeals", again)
    assert stranger.status_code == 403
    assert Appeal.objects.count() == 1
    assert appeal.mine(made.id, namespace="demo")[0]["text"] == "I was <at> sea"
    assert appeal.lost(made.id, namespace="demo") == ["sunset"]


def test_what_needs_a_member_stands_first(place: Any) -> None:
    leila, nadia = joined("leila"), joined("nadia")
    assert "Nothing waits for you." in text(client(nadia), "/en/me")
    made = listing.open_(namespace="demo", handle="moon", seller=leila.id, price=make.usd(10))
    sale = listing.buy(listing_id=made.id, buyer=nadia.id)
    page = text(client(nadia), "/en/me")
    assert "Agreed, not paid yet." in page
    assert f"/en/sales/{sale.id}" in page
    Sale.objects.update(state="inspection", inspection_until=clock.now() + make.days(1))
    assert "It has moved" in text(client(nadia), "/en/me")
    process = make.reclaimed(place, "sunset")
    warned = client(joined("amal", account=process.account_id))
    assert "It is about to be freed. You may still take it back." in text(warned, "/en/me")
    assert warned.post("/en/@sunset", {"do": "keep", "key": "a-form-of-its-own"})
    assert "Nothing waits for you." in text(warned, "/en/me")


def test_a_statement_is_narrowed_to_a_month(place: Any) -> None:
    leila = joined("leila")
    for n, at in enumerate((make.NOW, make.NOW + make.days(40))):
        entry = core.Entry(
            "settled",
            f"sal_{n}",
            "USD",
            {f"member:{leila.id}:payable": 100 + n, f"escrow:sal_{n}": -100 - n},
        )
        with transaction.atomic():
            ledger.book(entry, namespace="demo", at=at)
    own = client(leila)
    both = text(own, "/en/me/statement")
    assert "$1.00" in both
    assert "$2.01" in both  # the balance after both
    one = text(own, "/en/me/statement?month=2026-07")
    assert "$1.01" in one
    assert "/api/v1/statement?format=csv&amp;month=2026-07" in one
    lines = own.get("/api/v1/statement?format=csv&month=2026-07").content.decode().splitlines()
    assert len(lines) == 2
    assert "Nothing moved in this month." in text(own, "/en/me/statement?month=2020-01")
    assert text(own, "/en/me/statement?month=nonsense").count("$1.00") >= 1
