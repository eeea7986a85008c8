"""Every refusal once from outside: the table says which request provokes which code."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from tests import make
from tests.core.test_tax import TABLE
from tests.demo.servers import free_port
from tests.flows.banking import Banking
from tests.surfaces.test_api import Caller, with_answer
from tests.surfaces.test_audit import paid

from onym import ports
from onym.core import errors
from onym.core.sale import PaymentState
from onym.flows import clock, payments
from onym.ports.screening import NameList
from onym.ports.signed_http import SignedHttp
from onym.site import embedded
from onym.store import clock as store_clock
from onym.store import secrets
from onym.store.models import Event, Handle, Listing, Namespace, Payment, Sale

ROOT = Path(__file__).resolve().parents[2]
CHEAP = {"minor": 40_000, "currency": "USD"}
DEAR = {"minor": 2_000_000, "currency": "USD"}
CODES = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, errors.Refusal) and one is not errors.Refusal
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A market with a seller who holds @moon, a buyer, two of the team, and released @star."""

    place: Any
    seller: Caller
    buyer: Caller
    one: Caller
    two: Caller

    def listed(self) -> str:
        answer = self.seller.send("POST", "/listings", {"handle": "moon", "price": CHEAP})
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    def sold(self) -> str:
        answer = self.buyer.send("POST", f"/listings/{self.listed()}/buy")
        assert answer.status_code == 201, answer.content
        return str(answer.json()["id"])

    def lists(self, **changes: Any) -> Any:
        wish = {"handle": "moon", "price": CHEAP} | changes
        return self.seller.send("POST", "/listings", wish)

    def proposal(self) -> dict[str, str]:
        answer = self.one.send("POST", "/listings", {"handle": "star", "price": DEAR})
        assert answer.status_code == 202, answer.content
        found: dict[str, str] = answer.json()["approval"]
        return found

    def resting(self) -> Any:
        """The desk lists @sunset, whose time of rest is over."""
        make.reclaimed(self.place, "sunset", state="resting")
        return self.one.send("POST", "/listings", {"handle": "sunset", "price": CHEAP})


@pytest.fixture
def scene(database: Any, settings: Any) -> Iterator[Scene]:
    settings.DEMO, settings.NAMESPACE, settings.WALLET = True, "demo", True
    place = make.namespace()
    make.handle(place, "moon", account_id="acc-moon")
    make.handle(place, "star", state="released", account_id=None)
    yield Scene(
        place,
        Caller(make.member(place, account="acc-moon", mail="seller@one.example")),
        Caller(make.member(place, account="acc-nadia", mail="buyer@two.example", id="mbr_buyer")),
        Caller(make.member(place, roles="curator")),
        Caller(make.member(place, roles="curator")),
    )
    ports.clear()


def without_a_key(scene: Scene) -> Any:
    return scene.seller.client.post(
        "/api/v1/listings",
        {"handle": "moon", "price": CHEAP},
        content_type="application/json",
        headers={"Authorization": f"Bearer {scene.seller.token}"},
    )


def declined(scene: Scene) -> Any:
    path = f"/sales/{scene.sold()}/pay"

    def answer() -> None:
        row = Payment.objects.get(state="pending")
        payments.record_charge(
            payment_id=row.id, state=PaymentState.DECLINED, provider="stripe", provider_id="pi_1"
        )

    return with_answer(answer, scene.buyer, path, key="pay")


def too_late(scene: Scene) -> Any:
    path = f"/sales/{scene.sold()}/pay"
    clock.set_ahead(to=store_clock.now() + timedelta(days=30))
    return scene.buyer.send("POST", path, {"payment_method": "pm_card_visa"})


def by_staff(scene: Scene) -> Any:
    trader = Caller(make.member(scene.place, account="acc-s", roles="curator"))
    return trader.send("POST", f"/listings/{scene.listed()}/buy")


def without_factor(scene: Scene) -> Any:
    member, client = scene.seller.member, Client()
    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    client.force_login(member.user)
    wish = {"handle": "moon", "price": CHEAP}
    headers = {"Idempotency-Key": "without"}
    return client.post("/api/v1/listings", wish, "application/json", headers=headers)


def alone(scene: Scene) -> Any:
    asked = scene.proposal()
    return scene.one.send(
        "POST", f"/desk/approvals/{asked['id']}/approve", {"shown": asked["shown"]}
    )


def after_a_change(scene: Scene) -> Any:
    asked = scene.proposal()
    Handle.objects.filter(handle="star").update(appeal_open=True)
    return scene.two.send(
        "POST", f"/desk/approvals/{asked['id']}/approve", {"shown": asked["shown"]}
    )


def slot_taken(scene: Scene) -> Any:
    scene.listed()
    return scene.lists()


def closed(scene: Scene) -> Any:
    path = f"/listings/{scene.listed()}"
    assert scene.seller.send("DELETE", path).status_code == 200
    return scene.seller.send("DELETE", path)


def in_escrow(scene: Scene) -> Any:
    paid(scene.place, "moon", scene.seller.member.id)
    return scene.lists()


def wrong_phase(scene: Scene) -> Any:
    path = f"/listings/{scene.listed()}/buy"
    Namespace.objects.update(phase="invited")
    return scene.buyer.send("POST", path)


def stopped(scene: Scene) -> Any:
    Namespace.objects.update(release_stop=True)
    return scene.resting()


def sales_stopped(scene: Scene) -> Any:
    listed = scene.listed()
    stop = scene.one.send("POST", "/desk/area-stops", {"area": "sales", "on": True})
    assert stop.json() == {"area": "sales", "stopped": True}
    return scene.buyer.send("POST", f"/listings/{listed}/buy")


def no_platform(scene: Scene) -> Any:
    dead = SignedHttp(
        base=f"http://127.0.0.1:{free_port()}",
        key_id="onym",
        private_key=Ed25519PrivateKey.generate(),
        timeout=1.0,
    )
    ports.install(platforms={"demo": dead})
    return scene.resting()


def other_payload(scene: Scene) -> Any:
    scene.seller.send("POST", "/listings", {"handle": "moon", "price": CHEAP}, key="same")
    return scene.seller.send("POST", "/listings", {"handle": "moon", "price": DEAR}, key="same")


def twice_at_once(scene: Scene) -> Any:
    path = "/handles/moon/offers"
    assert scene.buyer.send("POST", path, {"price": CHEAP}).status_code == 201
    return scene.buyer.send("POST", path, {"price": CHEAP})


def own(scene: Scene) -> Any:
    return scene.seller.send("POST", f"/listings/{scene.listed()}/buy")


def unlinked(scene: Scene) -> Any:
    return Caller(make.member(scene.place)).send("POST", f"/listings/{scene.listed()}/buy")


def nowhere(scene: Scene) -> Any:
    path = f"/listings/{scene.listed()}/buy"
    make.document(scene.place, kind="tax", name="eu", text=TABLE)
    return scene.buyer.send("POST", path)


def nameless(scene: Scene) -> Any:
    return screened(scene, "as_of,TODAY\nAda", name="")


def screened(scene: Scene, text: str, *, name: str = "Ada") -> Any:
    """A payment by Ada, under a list of the operator's."""
    path = f"/sales/{scene.sold()}/pay"
    buyer, file = scene.buyer.member, Path(embedded.data_directory()) / "list.csv"
    buyer.name_sealed = secrets.seal(name, place=f"member.name/{buyer.id}")
    buyer.save(update_fields=["name_sealed"])
    file.write_text(text.replace("TODAY", f"{datetime.now(UTC):%Y-%m-%d}"))
    ports.install(screenings={"demo": NameList(file, 7)})
    return scene.buyer.send("POST", path, {"payment_method": "pm_card_visa"})


def too_often(_: Scene) -> Any:
    client = Client()
    answers = (client.get("/api/v1/handles/mo!on/reclaim") for _ in range(2_000))
    return next((answer for answer in answers if answer.status_code == 429), None)


def no_database(scene: Scene) -> Any:
    """The server turns every connection away while the request is under way."""
    connections.close_all()
    with psycopg.connect(
        embedded.address(Path(embedded.data_directory()), database="postgres"), autocommit=True
    ) as link:
        link.execute(f"alter database {embedded.NAME} allow_connections false")
        link.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
            [embedded.NAME],
        )
        try:
            return scene.buyer.send("GET", "/sales")
        finally:
            link.execute(f"alter database {embedded.NAME} allow_connections true")


FOREIGN = "GB29NWBK60161331926819"


def statement(scene: Scene, *, again: bool = False, **changes: Any) -> Any:
    """The second statement of the bank, with `changes`."""
    banking = Banking(scene.place).install()
    banking.take(banking.came("5.00", "first"))
    changes = {k: Decimal(v) if isinstance(v, int) else v for k, v in changes.items()}
    text = banking.texts[-1] if again else banking.write(banking.came("6.00", "next"), **changes)
    return scene.one.send("POST", "/desk/bank/statements", {"camt": text})


def empty(scene: Scene) -> Any:
    return scene.buyer.send("POST", "/wallet/payouts", {"amount": CHEAP})


Provoke = Callable[[Scene], Any]

PROVOKED: dict[str, tuple[str, Provoke]] = {
    "malformed": ("a field that there is not", lambda s: s.lists(colour="red")),
    "idempotency_key_missing": ("a write that the client did not name", without_a_key),
    "not_signed_in": ("the sales of nobody", lambda _: Client().get("/api/v1/sales")),
    "payment_declined": ("a card that the provider declines", declined),
    "insufficient_funds": ("a payout out of an empty wallet", empty),
    "not_allowed": (
        "a token that may only read",
        lambda s: Caller(s.seller.member, scopes="read").send(
            "POST", "/listings", {"handle": "moon", "price": CHEAP}
        ),
    ),
    "staff_may_not": ("one of the team buys", by_staff),
    "second_factor_needed": ("a session that a password alone opened lists", without_factor),
    "second_person_needed": ("the proposer approves", alone),
    "screening_held": ("a buyer whose name is listed", lambda s: screened(s, "as_of,TODAY\nAda")),
    "screening_stale": (
        "a payment while the list is stale",
        lambda s: screened(s, "as_of,2020-01-01"),
    ),
    "not_found": ("a sale that there is not", lambda s: s.buyer.send("GET", "/sales/sal_none")),
    "sale_slot_taken": ("a second listing of one handle", slot_taken),
    "already_closed": ("a listing withdrawn twice", closed),
    "handle_locked": ("a listing of a handle in escrow", in_escrow),
    "phase_closed": ("a purchase before the market opens", wrong_phase),
    "release_stopped": ("the desk sells what the release stop holds", stopped),
    "area_stopped": ("a purchase while sales are stopped", sales_stopped),
    "shown_changed": ("an approval of what has changed since", after_a_change),
    "idempotency_mismatch": ("one key for two payloads", other_payload),
    "in_progress": ("a second offer while the first is open", twice_at_once),
    "statement_known": ("a bank's file twice", lambda s: statement(s, again=True)),
    "statement_gap": ("a statement with one missing before it", lambda s: statement(s, opening=9)),
    "account_mismatch": ("a statement of another account", lambda s: statement(s, iban=FOREIGN)),
    "statement_unbalanced": ("a statement with a wrong sum", lambda s: statement(s, closing=9)),
    "expired": ("a payment after the time to pay", too_late),
    "handle_malformed": ("a handle with a space", lambda s: s.lists(handle="mo on")),
    "handle_unavailable": ("a listing of what nobody holds", lambda s: s.lists(handle="nobody")),
    "own_handle": ("the seller buys", own),
    "currency_mismatch": (
        "a price in another currency",
        lambda s: s.lists(price={"minor": 40_000, "currency": "EUR"}),
    ),
    "amount_too_large": (
        "a price beyond every amount",
        lambda s: s.lists(price={"minor": 10**400, "currency": "USD"}),
    ),
    "amount_too_small": (
        "a price of nothing",
        lambda s: s.lists(price={"minor": 0, "currency": "USD"}),
    ),
    "country_needed": ("a purchase where taxes depend on the country", nowhere),
    "name_needed": ("a buyer without a name, where names are compared", nameless),
    "not_linked": ("a buyer without an account", unlinked),
    "rate_limited": ("the same question a thousand times", too_often),
    "platform_unavailable": ("a platform that does not answer the last look", no_platform),
    "database_unavailable": ("a database that is down", no_database),
}
"""Code → how it is provoked from outside, in words and as a request."""


def test_every_code_of_the_product_has_its_row() -> None:
    assert set(PROVOKED) == set(CODES)


@pytest.mark.parametrize("code", sorted(PROVOKED), ids=lambda code: f"{code}")
def test_each_code_is_answered_to_the_request_that_provokes_it(scene: Scene, code: str) -> None:
    answer = PROVOKED[code][1](scene)
    assert answer is not None
    body = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (
        CODES[code].status,
        code,
        CODES[code].status,
    ), body
    assert answer["Content-Type"] == "application/problem+json"
    assert body["type"].endswith(f"/problems/{code}")
    assert body["detail"]
    assert body["title"] == CODES[code].title
    assert "Traceback" not in answer.content.decode()


def test_of_two_buyers_at_the_same_moment_one_is_told_that_it_is_over(scene: Scene) -> None:
    path = f"/listings/{scene.listed()}/buy"
    other = Caller(make.member(scene.place, account="acc-third"))
    answers: list[Any] = []
    gate = threading.Barrier(2)

    def buy(who: Caller) -> None:
        gate.wait()
        answers.append(who.send("POST", path))
        connection.close()

    threads = [threading.Thread(target=buy, args=(who,)) for who in (scene.buyer, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert (won.status_code, lost.status_code, lost.json()["code"]) == (201, 409, "already_closed")
    assert Sale.objects.count() == 1


def test_a_body_larger_than_a_request_may_be_is_malformed(scene: Scene) -> None:
    answer = scene.lists(handle="m" * 2_000_000)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert not Listing.objects.exists()


def test_a_refusal_leaves_nothing_half_done(scene: Scene) -> None:
    before = Event.objects.count()
    for code in ("malformed", "amount_too_large", "currency_mismatch", "handle_unavailable"):
        assert PROVOKED[code][1](scene).json()["code"] == code
    assert (Listing.objects.count(), Event.objects.count()) == (0, before)


BAD_INPUT: dict[str, str] = {
    "a malformed handle": "surfaces/test_api::test_bad_input_is_refused_with_its_code",
    "an unknown handle": (
        "surfaces/test_api::test_an_unknown_handle_is_free_and_a_malformed_one_refused"
    ),
    "the own handle": "surfaces/test_api::test_the_seller_may_not_buy_and_staff_may_not_either",
    "a second buyer at the same moment": (
        "surfaces/test_refusals::test_of_two_buyers_at_the_same_moment_one_is_told_that_it_is_over"
    ),
    "an expired request": (
        "surfaces/test_refusals::test_each_code_is_answered_to_the_request_that_provokes_it"
    ),
    "a replayed request": (
        "surfaces/test_api::test_every_write_needs_a_key_and_a_retry_gets_the_first_answer"
    ),
    "an absurd amount": "surfaces/test_api::test_bad_input_is_refused_with_its_code",
    "a wrong currency": "surfaces/test_api::test_bad_input_is_refused_with_its_code",
    "a policy with an unknown signal": (
        "surfaces/test_cli_policy::test_a_fault_is_shown_where_it_stands"
    ),
    "a policy with contradictory rules": (
        "surfaces/test_bad_tables::test_contradictory_rules_are_refused_by_check_and_sweep"
    ),
    "a bank's file twice": "flows/test_bank::test_a_file_and_an_entry_are_taken_once",
    "a bank's file in another currency or with a wrong sum": (
        "flows/test_bank::test_a_statement_that_is_wrong_is_refused_whole"
    ),
    "truncated Parquet": "surfaces/test_bad_tables::test_truncated_parquet_imports_nothing",
    "a line of 1 GB": "surfaces/test_bad_tables::test_a_line_of_a_gigabyte_is_one_rejected_row",
    "duplicate account ids": (
        "surfaces/test_bad_tables::test_rows_that_contradict_each_other_are_rejected_by_name"
    ),
    "two accounts with one handle": (
        "surfaces/test_bad_tables::test_rows_that_contradict_each_other_are_rejected_by_name"
    ),
    "a database that is down": (
        "surfaces/test_command::test_a_database_that_is_down_is_one_line_and_exit_1"
    ),
    "a database that is too old": (
        "surfaces/test_bad_tables::test_an_external_server_that_is_too_old_is_refused_by_version"
    ),
    "a port in use": (
        "surfaces/test_supervisor::test_a_port_in_use_is_said_in_one_line_and_nothing_is_left_running"
    ),
    "a full disk": "surfaces/test_cli_sweep::test_a_full_disk_leaves_nothing_behind",
}
"""What people and machines hand in → the test that hands it in from outside."""


@pytest.mark.parametrize("what", sorted(BAD_INPUT))
def test_bad_input_has_its_test(what: str) -> None:
    module, name = BAD_INPUT[what].split("::")
    tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
