"""The API from a client's side: shapes, codes, idempotency and scopes, word for word."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.core.sale import PaymentState
from onym.flows import payments
from onym.store.models import Approval, Handle, Listing, Payment, Sale

pytestmark = pytest.mark.usefixtures("database")
_keys = itertools.count(1)


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    return make.namespace()


class Caller:
    """A member with a token of all scopes, talking JSON."""

    def __init__(self, member: Any, scopes: str = "read buy sell desk") -> None:
        self.member = member
        self.token = make.token(member, scopes=scopes)
        self.client = Client()

    def send(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        if method != "GET":
            headers["Idempotency-Key"] = key or f"key-{next(_keys)}"
        return self.client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers=headers,
        )


@pytest.fixture
def seller(place: Any) -> Caller:
    make.handle(place, "moon", account_id="acc-moon")
    return Caller(make.member(place, account="acc-moon", mail="seller@one.example"))


@pytest.fixture
def buyer(place: Any) -> Caller:
    return Caller(make.member(place, account="acc-nadia", mail="buyer@two.example"))


USD_400 = {"minor": 40_000, "currency": "USD"}


def listed(seller: Caller) -> str:
    answer = seller.send("POST", "/listings", {"handle": "Moon", "price": USD_400})
    assert answer.status_code == 201, answer.content
    return str(answer.json()["id"])


def test_a_listing_is_bought_and_the_sale_has_its_shape(seller: Caller, buyer: Caller) -> None:
    answer = buyer.send("POST", f"/listings/{listed(seller)}/buy")
    assert answer.status_code == 201
    sale = answer.json()
    assert sale == buyer.send("GET", f"/sales/{sale['id']}").json()
    assert (sale["state"], sale["mechanism"], sale["handle"]) == ("funding", "listing", "moon")
    assert sale["price"] == USD_400
    assert sale["gross"] == {"minor": 42_000, "currency": "USD"}
    assert sale["commission"] == {"minor": 2_000, "currency": "USD"}
    assert sale["proceeds"] == USD_400
    assert sale["tax"] == {"minor": 0, "currency": "USD"}
    assert sale["versions"]["fees"] == "onym-2026/1"
    assert sale["receipt"] == f"/sales/{sale['id']}/receipt.tlog-proof"
    assert set(sale["clocks"]) >= {"funding", "delivery", "inspection"}
    assert sale["read_back"] is None


def test_every_write_needs_a_key_and_a_retry_gets_the_first_answer(
    seller: Caller, buyer: Caller
) -> None:
    path = f"/listings/{listed(seller)}/buy"
    nameless = buyer.client.post(
        f"/api/v1{path}", headers={"Authorization": f"Bearer {buyer.token}"}
    )
    assert (nameless.status_code, nameless.json()["code"]) == (400, "idempotency_key_missing")
    first = buyer.send("POST", path, key="one")
    again = buyer.send("POST", path, key="one")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert Sale.objects.count() == 1
    refused = buyer.send("POST", path, key="two")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_closed")
    Listing.objects.update(state="withdrawn")
    assert buyer.send("POST", path, key="two").json() == refused.json()


def test_a_key_used_for_another_payload_is_refused_and_nothing_is_written(seller: Caller) -> None:
    wish = {"handle": "moon", "price": USD_400}
    seller.send("POST", "/listings", wish, key="one")
    other = {"handle": "moon", "price": {"minor": 1, "currency": "USD"}}
    answer = seller.send("POST", "/listings", other, key="one")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_mismatch")
    assert Listing.objects.count() == 1


REFUSED: list[tuple[Any, int, str]] = [
    ({"handle": "moon", "price": {"minor": 0, "currency": "USD"}}, 422, "amount_too_small"),
    ({"handle": "moon", "price": {"minor": 99, "currency": "USD"}}, 422, "amount_too_small"),
    (
        {"handle": "moon", "price": {"minor": 10**15 + 1, "currency": "USD"}},
        422,
        "amount_too_large",
    ),
    ({"handle": "moon", "price": {"minor": 10**400, "currency": "USD"}}, 422, "amount_too_large"),
    ({"handle": "moon", "price": {"minor": 1000, "currency": "EUR"}}, 422, "currency_mismatch"),
    ({"handle": "moon", "price": {"minor": 10.5, "currency": "USD"}}, 400, "malformed"),
    ({"handle": "moon", "price": {"minor": "1000", "currency": "USD"}}, 400, "malformed"),
    ({"handle": "moon"}, 400, "malformed"),
    ({"handle": "moon", "price": USD_400, "extra": 1}, 400, "malformed"),
    ({"handle": "mo on", "price": USD_400}, 422, "handle_malformed"),
    ({"handle": "m" * 16, "price": USD_400}, 422, "handle_malformed"),
    ({"handle": "\u202emoon", "price": USD_400}, 422, "handle_malformed"),
    ({"handle": "nobody", "price": USD_400}, 422, "handle_unavailable"),
    ([], 400, "malformed"),
]


@pytest.mark.parametrize(("wish", "status", "code"), REFUSED)
def test_bad_input_is_refused_with_its_code(
    seller: Caller, wish: Any, status: int, code: str
) -> None:
    answer = seller.send("POST", "/listings", wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert answer.json()["type"].endswith(f"/problems/{code}")
    assert answer["Content-Type"] == "application/problem+json"
    assert not Listing.objects.exists()


def test_a_body_that_is_not_json_is_malformed(seller: Caller) -> None:
    headers = {"Authorization": f"Bearer {seller.token}", "Idempotency-Key": "x"}
    answer = seller.client.post(
        "/api/v1/listings", b"{nonsense", content_type="application/json", headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_nobody_and_wrong_scopes_are_told_apart(place: Any, seller: Caller) -> None:
    wish = {"handle": "moon", "price": USD_400}
    answer = Client().post("/api/v1/listings", json.dumps(wish), content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    reader = Caller(seller.member, scopes="read")
    answer = reader.send("POST", "/listings", wish)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    answer = seller.send("GET", "/sales", **{"Authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_the_seller_may_not_buy_and_staff_may_not_either(place: Any, seller: Caller) -> None:
    path = f"/listings/{listed(seller)}/buy"
    own = seller.send("POST", path)
    assert (own.status_code, own.json()["code"]) == (422, "own_handle")
    staff = Caller(make.member(place, account="acc-s", roles="curator")).send("POST", path)
    assert (staff.status_code, staff.json()["code"]) == (403, "staff_may_not")
    stranger = Caller(make.member(place)).send("POST", path)
    assert (stranger.status_code, stranger.json()["code"]) == (422, "not_linked")


def test_a_closed_phase_refuses_to_sell(place: Any, seller: Caller, buyer: Caller) -> None:
    path = f"/listings/{listed(seller)}/buy"
    type(place).objects.update(phase="invited")
    answer = buyer.send("POST", path)
    assert (answer.status_code, answer.json()["code"]) == (409, "phase_closed")


def test_an_offer_is_countered_and_accepted(seller: Caller, buyer: Caller) -> None:
    made = buyer.send("POST", "/handles/moon/offers", {"price": USD_400})
    assert made.status_code == 201
    offer = made.json()
    assert (offer["state"], offer["turn"], offer["price"]) == ("open", "seller", USD_400)
    dearer = {"price": {"minor": 45_000, "currency": "USD"}}
    out_of_turn = buyer.send("POST", f"/offers/{offer['id']}/counter", dearer)
    assert (out_of_turn.status_code, out_of_turn.json()["code"]) == (403, "not_allowed")
    countered = seller.send("POST", f"/offers/{offer['id']}/counter", dearer)
    assert countered.status_code == 200
    assert countered.json()["id"] == offer["id"]
    assert (countered.json()["turn"], countered.json()["price"]["minor"]) == ("buyer", 45_000)
    sale = buyer.send("POST", f"/offers/{offer['id']}/accept")
    assert sale.status_code == 201
    assert sale.json()["price"]["minor"] == 45_000
    assert sale.json()["mechanism"] == "offer"


def test_below_the_minimum_the_holder_is_not_asked(seller: Caller, buyer: Caller) -> None:
    Handle.objects.update(minimum_offer_minor=100_000)
    answer = buyer.send("POST", "/handles/moon/offers", {"price": USD_400})
    assert (answer.status_code, answer.json()["code"]) == (422, "amount_too_small")
    assert "100000" not in answer.content.decode()
    assert seller.send("GET", "/offers").json() == {"items": [], "next": None}


def test_a_payment_is_answered_as_the_provider_answers(seller: Caller, buyer: Caller) -> None:
    sale = buyer.send("POST", f"/listings/{listed(seller)}/buy").json()
    path = f"/sales/{sale['id']}/pay"

    def answer(state: PaymentState) -> None:
        row = Payment.objects.get(state="pending")
        payments.record_charge(
            payment_id=row.id, state=state, provider="stripe", provider_id=f"pi_{row.id}"
        )

    declined = with_answer(lambda: answer(PaymentState.DECLINED), buyer, path, key="a")
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    paid = with_answer(lambda: answer(PaymentState.PAID), buyer, path, key="b")
    assert paid.status_code == 200
    assert paid.json()["state"] == "delivering"
    again = buyer.send("POST", path, {"payment_method": "pm_card_visa"}, key="b")
    assert again.json() == paid.json()


def with_answer(answer: Any, buyer: Caller, path: str, *, key: str) -> Any:
    """Pay while the provider answers a moment later, as a job would record it."""
    import threading
    import time

    from django.db import connection

    def later() -> None:
        until = time.monotonic() + 5
        while time.monotonic() < until and not Payment.objects.filter(state="pending").exists():
            time.sleep(0.01)
        answer()
        connection.close()

    thread = threading.Thread(target=later)
    thread.start()
    try:
        return buyer.send("POST", path, {"payment_method": "pm_card_visa"}, key=key)
    finally:
        thread.join()


def test_a_handle_has_its_shape_in_any_spelling(place: Any, seller: Caller) -> None:
    listing = listed(seller)
    answer = Client().get("/api/v1/handles/MOON")
    assert answer.status_code == 200
    body = answer.json()
    assert body == Client().get("/api/v1/namespaces/demo/handles/moon").json()
    assert (body["handle"], body["state"], body["locked"]) == ("moon", "held", False)
    assert body["holder"] == {"account_id": "acc-moon"}
    assert body["sale"]["id"] == listing
    assert body["sale"]["mechanism"] == "listing"
    assert [t["cause"] for t in body["tenures"]] == ["registered"]
    assert body["valid_since"] == body["tenures"][0]["held_from"]
    mid = body["appraisal"]["base"]["minor"]
    assert set(body["appraisal"]) == {"low", "mid", "high", "base", "factors", "comparables"}
    assert mid > 0


def test_an_unknown_handle_is_free_and_a_malformed_one_refused(place: Any) -> None:
    assert Client().get("/api/v1/handles/nobody_here").json()["state"] == "free"
    answer = Client().get("/api/v1/handles/no-body")
    assert (answer.status_code, answer.json()["code"]) == (422, "handle_malformed")
    answer = Client().get("/api/v1/namespaces/nowhere/handles/moon")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_sale_is_shown_to_its_parties_alone(place: Any, seller: Caller, buyer: Caller) -> None:
    sale = buyer.send("POST", f"/listings/{listed(seller)}/buy").json()
    stranger = Caller(make.member(place, account="acc-x"))
    assert stranger.send("GET", f"/sales/{sale['id']}").status_code == 404
    assert [s["id"] for s in seller.send("GET", "/sales").json()["items"]] == [sale["id"]]


def test_what_changed_since_it_was_shown_voids_the_proposal(place: Any) -> None:
    row = make.handle(place, "sunrise", state="released")
    one = Caller(make.member(place, roles="curator"))
    two = Caller(make.member(place, roles="curator"))
    wish = {"handle": "sunrise", "price": {"minor": 2_000_000, "currency": "USD"}}
    asked = one.send("POST", "/listings", wish).json()["approval"]
    path = f"/desk/approvals/{asked['id']}/approve"
    own = one.send("POST", path, {"shown": asked["shown"]})
    assert (own.status_code, own.json()["code"]) == (403, "second_person_needed")
    Handle.objects.filter(pk=row.pk).update(appeal_open=True)
    changed = two.send("POST", path, {"shown": asked["shown"]})
    assert (changed.status_code, changed.json()["code"]) == (409, "shown_changed")
    Handle.objects.filter(pk=row.pk).update(appeal_open=False)
    again = two.send("POST", path, {"shown": asked["shown"]})
    assert (again.status_code, again.json()["code"]) == (409, "shown_changed")
    assert Approval.objects.get().state == "void"
    assert not Listing.objects.exists()


def test_a_second_person_lists_exactly_what_was_shown(place: Any) -> None:
    make.handle(place, "sunrise", state="released")
    one = Caller(make.member(place, roles="curator"))
    two = Caller(make.member(place, roles="curator"))
    wish = {"handle": "sunrise", "price": {"minor": 2_000_000, "currency": "USD"}}
    asked = one.send("POST", "/listings", wish)
    assert asked.status_code == 202
    shown = {"shown": asked.json()["approval"]["shown"]}
    path = f"/desk/approvals/{asked.json()['approval']['id']}/approve"
    wrong = two.send("POST", path, {"shown": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "shown_changed")
    done = two.send("POST", path, shown)
    assert (done.status_code, done.json()["price"]) == (200, wish["price"])
    again = two.send("POST", path, shown)
    assert (again.status_code, again.json()["code"]) == (409, "already_closed")
