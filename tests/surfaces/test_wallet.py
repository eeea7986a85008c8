"""The wallet from outside: the shapes over HTTP, the page in three languages, and what is off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from tests import lived_in, make
from tests.surfaces.test_api import Caller
from tests.surfaces.test_query_ceiling import signed_in

from onym.core.sale import PaymentState
from onym.flows import deposit, listing
from onym.store import clock
from onym.store.models import Deposit, Member, Payout, PayoutAccount, Sale

USD_50 = {"minor": 5_000, "currency": "USD"}
WISH = {"amount": USD_50, "payment_method": "pm_card_visa"}


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO, settings.NAMESPACE, settings.WALLET = True, "demo", True
    return make.namespace()


@pytest.fixture
def member(place: Any) -> Caller:
    return Caller(make.member(place, account="acc-nadia", mail="nadia@two.example"))


def answered(state: PaymentState, **said: Any) -> Callable[[], None]:
    """What the provider says, as the job would record it."""

    def answer() -> None:
        row = Deposit.objects.get(state="pending")
        deposit.record_charge(
            deposit_id=row.id, state=state, provider="stripe", provider_id=f"pi_{row.id}", **said
        )

    return answer


def put(member: Caller, answer: Callable[[], None], *, key: str = "put", wish: Any = WISH) -> Any:
    """Put money in while the provider answers a moment later."""

    def later() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and not Deposit.objects.filter(state="pending").exists():
            time.sleep(0.01)
        answer()
        connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        return member.send("POST", "/wallet/deposits", wish, key=key)
    finally:
        thread.join()


def money(minor: int) -> dict[str, Any]:
    return {"minor": minor, "currency": "USD"}


def test_a_deposit_is_answered_with_its_shape_and_once(member: Caller) -> None:
    answer = put(member, answered(PaymentState.PAID))
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["id"].startswith("dep_")
    assert made == {
        "id": made["id"],
        "state": "paid",
        "amount": USD_50,
        "payment_method": "pm_card_visa",
        "made_at": made["made_at"],
        "answered_at": made["answered_at"],
        "reason": None,
        "action_url": None,
    }
    again = member.send("POST", "/wallet/deposits", WISH, key="put")
    assert (again.status_code, again.json()) == (201, made)
    other = member.send("POST", "/wallet/deposits", WISH | {"amount": money(1)}, key="put")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    told = member.send("GET", "/wallet").json()
    line = told.pop("items")[0]
    assert told == {
        "currency": "USD",
        "available": USD_50,
        "held": money(0),
        "takes_proceeds": False,
        "next": None,
    }
    assert (line["kind"], line["ref"], line["amount"]) == ("deposited", made["id"], USD_50)
    assert line["balance"] == USD_50
    assert member.send("GET", f"/wallet/deposits/{made['id']}").json() == made
    assert member.send("GET", "/wallet/deposits").json() == {"items": [made], "next": None}


def test_a_declined_card_is_402_and_may_be_tried_again_under_a_new_key(member: Caller) -> None:
    answer = put(member, answered(PaymentState.DECLINED, reason="generic_decline"), key="first")
    assert (answer.status_code, answer.json()["code"]) == (402, "payment_declined")
    assert answer.json()["reason"] == "generic_decline"
    assert put(member, answered(PaymentState.PAID), key="second").status_code == 201


def test_a_card_whose_bank_asks_is_202_with_the_address(member: Caller) -> None:
    url = "https://bank.example/ask"
    answer = put(member, answered(PaymentState.ACTION, action_url=url))
    assert (answer.status_code, answer.json()["state"]) == (202, "action")
    assert answer.json()["action_url"] == url
    id_ = answer.json()["id"]
    assert member.send("POST", f"/wallet/deposits/{id_}/give-up").status_code == 202
    stranger = Caller(make.member(member.member.namespace))
    assert stranger.send("GET", f"/wallet/deposits/{id_}").status_code == 404
    assert stranger.send("POST", f"/wallet/deposits/{id_}/give-up").status_code == 404


def test_a_payout_is_held_shown_and_stopped(member: Caller) -> None:
    put(member, answered(PaymentState.PAID))
    answer = member.send("POST", "/wallet/payouts", {"amount": money(3_000)})
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["id"].startswith("out_")
    assert made == {
        "id": made["id"],
        "state": "due",
        "amount": money(3_000),
        "due_at": made["due_at"],
        "answered_at": None,
        "reason": None,
    }
    told = member.send("GET", "/wallet").json()
    assert (told["available"], told["held"]) == (money(2_000), money(3_000))
    short = member.send("POST", "/wallet/payouts", {"amount": money(2_001)})
    assert (short.status_code, short.json()["code"]) == (402, "insufficient_funds")
    assert short.json()["available"] == money(2_000)
    assert member.send("GET", "/wallet/payouts").json() == {"items": [made], "next": None}
    stopped = member.send("DELETE", f"/wallet/payouts/{made['id']}").json()
    assert (stopped["state"], stopped["reason"]) == ("withheld", "stopped")
    assert member.send("GET", "/wallet").json()["available"] == USD_50
    assert member.send("GET", f"/wallet/payouts/{made['id']}").json() == stopped


def bought(member: Caller, minor: int = 4_000) -> str:
    place = member.member.namespace
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.member(place, account="acc-moon", mail="seller@one.example")
    listed = listing.open_(
        namespace=place.id, handle="moon", seller=seller.id, price=make.usd(minor / 100)
    )
    made = member.send("POST", f"/listings/{listed.id}/buy")
    assert made.status_code == 201, made.content
    return str(made.json()["id"])


def test_a_sale_is_paid_from_the_wallet_with_the_sale_as_the_answer(member: Caller) -> None:
    sale = bought(member)
    path, wish = f"/sales/{sale}/pay", {"payment_method": "wallet"}
    short = member.send("POST", path, wish, key="pay")
    assert (short.status_code, short.json()["code"]) == (402, "insufficient_funds")
    put(member, answered(PaymentState.PAID))
    answer = member.send("POST", path, wish, key="pay")
    assert (answer.status_code, answer.json()["state"]) == (200, "delivering")
    assert member.send("POST", path, wish, key="pay").json() == answer.json()
    lines = member.send("GET", "/wallet").json()["items"]
    assert [(one["kind"], one["handle"], one["sale"]) for one in lines] == [
        ("set_aside", "moon", sale),
        ("deposited", None, None),
    ]


def test_the_history_is_paged_and_a_spreadsheet_has_all_of_it(member: Caller) -> None:
    for n in range(3):
        wish = WISH | {"amount": money(n + 1)}
        assert put(member, answered(PaymentState.PAID), key=f"{n}", wish=wish).status_code == 201
    first = member.send("GET", "/wallet?limit=2").json()
    second = member.send("GET", f"/wallet?limit=2&cursor={first['next']}").json()
    found = [(one["amount"]["minor"], one["balance"]["minor"]) for one in first["items"]]
    assert found == [(3, 6), (2, 3)]
    assert [one["balance"]["minor"] for one in second["items"]] == [1]
    assert second["next"] is None
    sheet = member.send("GET", "/wallet?format=csv").content.decode().splitlines()
    assert sheet[0].startswith("at,kind,ref,account,amount_minor,balance_minor")
    assert len(sheet) == 4
    assert member.send("GET", "/wallet?cursor=eHg=").status_code in (400, 404)


def test_proceeds_are_sent_where_the_member_says(member: Caller) -> None:
    told = member.send("POST", "/wallet/proceeds", {"to": "wallet"})
    assert (told.status_code, told.json()) == (200, {"to": "wallet"})
    assert member.send("GET", "/wallet").json()["takes_proceeds"] is True
    assert member.send("POST", "/wallet/proceeds", {"to": "moon"}).status_code == 400


def test_a_token_that_may_only_buy_takes_nothing_out(member: Caller) -> None:
    buying = Caller(member.member, scopes="read buy")
    for path, body in (("/wallet/payouts", {"amount": USD_50}), ("/wallet/proceeds", {"to": "x"})):
        assert buying.send("POST", path, body).status_code in (400, 403)


OFF = [
    ("GET", "/wallet", None),
    ("GET", "/wallet/deposits", None),
    ("GET", "/wallet/payouts", None),
    ("POST", "/wallet/deposits", WISH),
    ("POST", "/wallet/payouts", {"amount": USD_50}),
    ("POST", "/wallet/proceeds", {"to": "wallet"}),
    ("POST", "/wallet/transfer", None),
]


@pytest.mark.parametrize(("method", "path", "body"), OFF)
def test_where_wallets_are_off_every_address_says_so(
    member: Caller, settings: Any, method: str, path: str, body: Any
) -> None:
    settings.WALLET = False
    answer = member.send(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "no wallets" in answer.json()["detail"]


# ---- the page


@pytest.fixture
def page(database: Any, settings: Any) -> Client:
    settings.DEMO, settings.NAMESPACE, settings.WALLET = True, "demo", True
    market = lived_in.market()
    PayoutAccount.objects.create(
        member=market.buyer, provider="stripe", account="acct_1", ready_at=make.LONG_AGO
    )
    return signed_in("nadia")


def sent(client: Client, do: str, key: str = "a-form-of-mine", **fields: str) -> Any:
    return client.post("/en/wallet", {"do": do, "key": key, **fields})


def test_the_page_puts_in_takes_out_stops_and_chooses(page: Client) -> None:
    before = page.get("/en/wallet").context["wallet"]["available"].minor
    asked = sent(page, "deposit", amount="12.50", payment_method="pm_card_visa")
    assert (asked.status_code, asked["Location"]) == (302, "/en/wallet")
    assert "under way" in page.get("/en/wallet").content.decode()
    answered(PaymentState.PAID)()
    assert page.get("/en/wallet").context["wallet"]["available"].minor == before + 1_250
    out = sent(page, "payout", key="take-it-out", amount="2.50")
    assert out.status_code == 302, out.content.decode()
    made = Payout.objects.filter(sale=None, state="due").latest("id")
    assert (made.amount_minor, made.state) == (250, "due")
    assert sent(page, "stop", key="stop-it-now", about=made.id).status_code == 302
    made.refresh_from_db()
    assert made.state == "withheld"
    sent(page, "proceeds", key="proceeds-to-it", to="wallet")
    assert page.get("/en/wallet").context["wallet"]["takes_proceeds"] is True


def test_what_is_wrong_is_said_beside_what_was_typed(page: Client) -> None:
    told = sent(page, "payout", amount="999999.00")
    assert told.status_code == 402
    assert 'value="999999.00"' in told.content.decode()
    assert "not enough money" in told.content.decode()


def test_taking_out_leads_to_a_confirmation_when_the_factor_is_not_fresh(page: Client) -> None:
    make.confirmed(page, ago=3_600)
    session = page.session
    session["account_authentication_methods"] = [
        one for one in session["account_authentication_methods"] if time.time() - one["at"] > 900
    ]
    session.save()
    told = sent(page, "payout", amount="2.50")
    assert (told.status_code, told["Location"].split("?")[0]) == (302, "/en/confirm")
    assert not Payout.objects.filter(amount_minor=250).exists()


WORDS = {"en": "Take money out", "fr": "Retirer de l’argent", "ar": "سحب المال"}


@pytest.mark.parametrize("language", WORDS)
def test_the_page_speaks_the_three_languages(page: Client, language: str) -> None:
    assert WORDS[language] in page.get(f"/{language}/wallet").content.decode()


def test_the_tab_is_there_only_while_wallets_are_on(page: Client, settings: Any) -> None:
    assert 'href="/en/wallet"' in page.get("/en/me").content.decode()
    settings.WALLET = False
    assert 'href="/en/wallet"' not in page.get("/en/me").content.decode()
    told = page.get("/en/wallet").content.decode()
    assert "no longer offered" in told
    assert 'value="deposit"' not in told


def test_a_stranger_is_led_to_sign_in_and_without_a_wallet_there_is_no_page(
    place: Any, settings: Any
) -> None:
    assert Client().get("/en/wallet").status_code == 302
    settings.WALLET = False
    made = make.member(place, account="acc-nadia")
    client = Client()
    made.user = User.objects.create_user("without")
    made.save()
    client.force_login(made.user)
    assert client.get("/en/wallet").status_code == 404


def test_a_sales_page_offers_the_wallet_where_it_covers_the_gross(page: Client) -> None:
    member = Deposit.objects.latest("id").member
    place = member.namespace
    seller = make.member(place, account="acc-comet")
    shown = []
    for name, whole in (("comet", 50), ("meteor", 5_000)):
        make.handle(place, name, account_id="acc-comet")
        listed = listing.open_(
            namespace=place.id, handle=name, seller=seller.id, price=make.usd(whole)
        )
        sale = listing.buy(listing_id=listed.id, buyer=member.id)
        shown.append('value="wallet"' in page.get(f"/en/sales/{sale.id}").content.decode())
    assert shown == [True, False]
    sale = Sale.objects.get(handle__handle="comet")
    form = {"do": "wallet", "key": "from-the-wallet"}
    Member.objects.filter(pk=member.id).update(security_changed_at=clock.now())
    assert 'value="wallet"' not in page.get(f"/en/sales/{sale.id}").content.decode()
    assert page.post(f"/en/sales/{sale.id}", form | {"key": "too-soon"}).status_code == 409
    Member.objects.filter(pk=member.id).update(security_changed_at=None)
    assert page.post(f"/en/sales/{sale.id}", form).status_code == 302
    sale.refresh_from_db()
    assert sale.state == "delivering"
