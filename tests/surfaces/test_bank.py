"""Bank transfers from outside: the API, the pages, the desk and the command line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import make
from tests.flows.banking import Banking
from tests.surfaces.test_api import Caller
from tests.surfaces.test_desk import send, sign_in, text_of

from onym import ports
from onym.cli import import_
from onym.core.bank import reference
from onym.flows import bank, listing, outgoing
from onym.flows.people import join, link
from onym.store import clock
from onym.store.models import (
    Approval,
    BankAccount,
    BankFile,
    BankLine,
    BankOrder,
    Disclosure,
    Member,
    Sale,
)

pytestmark = pytest.mark.usefixtures("database")
PRICE = {"minor": 40_000, "currency": "USD"}


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO = True
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", account_id="acc-moon")
    yield made
    ports.clear()


@pytest.fixture
def bank_(place: Any) -> Banking:
    return Banking(place).install()


@pytest.fixture
def seller(place: Any) -> Caller:
    return Caller(make.member(place, account="acc-moon", mail="seller@one.example"))


@pytest.fixture
def buyer(place: Any) -> Caller:
    return Caller(make.member(place, account="acc-nadia", mail="buyer@two.example"))


@pytest.fixture
def team(place: Any) -> Caller:
    return Caller(make.member(place, roles="curator"))


@pytest.fixture
def sale(seller: Caller, buyer: Caller) -> str:
    listed = seller.send("POST", "/listings", {"handle": "moon", "price": PRICE}).json()["id"]
    return str(buyer.send("POST", f"/listings/{listed}/buy").json()["id"])


def pay(who: Caller, sale: str, **named: Any) -> Any:
    return who.send("POST", f"/sales/{sale}/pay", {"payment_method": "bank_transfer"}, **named)


def test_pay_answers_202_with_what_to_write_on_the_transfer(
    bank_: Banking, buyer: Caller, sale: str
) -> None:
    first, again = (pay(buyer, sale, key="one") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    body = first.json()
    told = body["bank_transfer"]
    assert (body["id"], body["state"]) == (sale, "funding")
    assert told["iban"] == "DE89370400440532013000"
    assert re.fullmatch(r"RF\d\d[0-9A-Z]{14}", told["reference"])
    assert told["missing"] == {"minor": 42_000, "currency": "USD"}


def test_without_an_account_of_the_house_the_method_is_malformed(
    place: Any, buyer: Caller, sale: str
) -> None:
    answer = pay(buyer, sale)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_the_desk_imports_over_http_and_decides_about_suspense(
    bank_: Banking, buyer: Caller, team: Caller, sale: str
) -> None:
    told = pay(buyer, sale).json()["bank_transfer"]["reference"]
    camt = {"camt": bank_.write(bank_.came("420.00", "no word of it"))}
    assert buyer.send("POST", "/desk/bank/statements", camt).status_code == 403
    made = team.send("POST", "/desk/bank/statements", camt)
    assert (made.status_code, made.json()["found"]) == (201, {"unknown": 1})
    assert team.send("POST", "/desk/bank/statements", camt).json()["code"] == "statement_known"
    (line,) = team.send("GET", "/desk/bank").json()["suspense"]
    assert (line["rest"]["minor"], line["text"]) == (42_000, "no word of it")
    path = f"/desk/bank/lines/{line['id']}/assign"
    assert buyer.send("POST", path, {"reference": told}).status_code == 403
    answer = team.send("POST", path, {"reference": told})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "exact")
    assert buyer.send("GET", f"/sales/{sale}").json()["state"] == "delivering"


def test_what_is_sent_back_leaves_in_a_payment_file_that_only_the_desk_sees(
    bank_: Banking, buyer: Caller, team: Caller
) -> None:
    team.send("POST", "/desk/bank/statements", {"camt": bank_.write(bank_.came("9.00", "gift"))})
    line = BankLine.objects.get()
    assert team.send("POST", f"/desk/bank/lines/{line.id}/return").status_code == 200
    made = team.send("POST", "/desk/bank/files")
    assert (made.status_code, made.json()["orders"]) == (201, 1)
    path = f"/desk/bank/files/{made.json()['id']}"
    assert buyer.send("GET", path).status_code == 403
    assert '<InstdAmt Ccy="USD">9.00</InstdAmt>' in team.send("GET", path).content.decode()
    assert team.send("GET", "/desk/bank/files/pfl_none").status_code == 404
    assert team.send("POST", "/desk/bank/files").json()["code"] == "not_found"


def test_a_dear_decision_waits_for_a_second_person(bank_: Banking, team: Caller) -> None:
    camt = {"camt": bank_.write(bank_.came("10000.00", "gift"))}
    team.send("POST", "/desk/bank/statements", camt)
    answer = team.send("POST", f"/desk/bank/lines/{BankLine.objects.get().id}/return")
    assert answer.status_code == 202
    assert "$10,000.00" in answer.json()["approval"]["summary"]
    other = Caller(make.member(team.member.namespace, roles="curator"))
    asked = answer.json()["approval"]
    path = f"/desk/approvals/{asked['id']}/approve"
    done = other.send("POST", path, {"shown": asked["shown"]})
    assert (done.status_code, done.json()["rest"]["minor"]) == (200, 0)


def test_the_command_line_imports_a_file_of_any_size_once(
    bank_: Banking, buyer: Caller, sale: str, tmp_path: Path
) -> None:
    told = pay(buyer, sale).json()["bank_transfer"]["reference"]
    rows = [bank_.came(f"{n}.01", f"gift {n}") for n in range(1, 41)]
    file = tmp_path / "statement.xml"
    file.write_text(bank_.write(bank_.came("420.00", told), *rows))
    done = CliRunner().invoke(import_.command, ["statement", str(file), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["found"] == {"exact": 1, "unknown": 40}
    assert Sale.objects.get().state == "delivering"
    again = CliRunner().invoke(import_.command, ["statement", str(file)])
    assert getattr(again.exception, "code", "") == "statement_known"


def browser(place: Any, name: str, account: str) -> Client:
    member = join(namespace="demo", name=name, mail=f"{name}@x.example", password="rope-and-anchor")
    link(member=member.id, account_id=account)
    client = Client()
    client.force_login(User.objects.get(username=member.id))
    return make.confirmed(client)


def test_a_buyer_sees_the_instructions_on_the_sales_page(
    bank_: Banking, seller: Caller, place: Any
) -> None:
    client = browser(place, "nadia", "acc-nadia")
    listed = seller.send("POST", "/listings", {"handle": "moon", "price": PRICE}).json()["id"]
    buyer = Member.objects.get(user__pk=client.session["_auth_user_id"])
    made = listing.buy(listing_id=listed, buyer=buyer.id)
    path = f"/en/sales/{made.id}"
    assert "Pay by bank transfer" in text_of(client, path)
    assert send(client, path, do="transfer").status_code == 302
    page = text_of(client, path)
    found = re.search(r'data-reference="(RF\w{16})"', page)
    assert found
    assert "DE89 3704 0044 0532 0130 00" in page
    bank_.take(bank_.came("400.00", found[1]))
    assert "are still missing" in text_of(client, path)
    bank_.take(bank_.came("20.00", found[1]))
    assert "data-reference" not in text_of(client, path)


def test_a_member_names_a_bank_account_and_forgets_it(bank_: Banking, place: Any) -> None:
    client = browser(place, "leila", "acc-leila")
    path = "/en/me/bank"
    wrong = send(client, path, do="set", iban="DE89370400440532013001", name="Leila Mansour")
    assert wrong.status_code == 400
    assert 'value="Leila Mansour"' in wrong.content.decode()
    good = send(client, path, do="set", iban="DE89370400440532013000", name="Leila Mansour")
    assert good["Location"] == path
    assert '<code dir="ltr">3000</code>' in text_of(client, path)
    assert "ends in" in text_of(client, "/en/me/settings")
    assert b"3704" not in bytes(BankAccount.objects.get().iban_sealed)
    assert send(client, path, do="drop").status_code == 302
    assert not BankAccount.objects.exists()


def test_the_desks_page_shows_suspense_takes_a_file_and_makes_one(bank_: Banking) -> None:
    amal = sign_in("amal", "curator")
    assert sign_in("aud", "auditor").get("/en/desk/bank").status_code == 403
    file = io.BytesIO(bank_.write(bank_.came("12.00", "gift")).encode())
    file.name = "statement.xml"
    done = send(amal, "/en/desk/bank", do="statement", file=file)
    assert done["Location"] == "/en/desk/bank?did=statement"
    page = text_of(amal, "/en/desk/bank")
    assert "Nadia Roux" in page
    assert Disclosure.objects.filter(what="bank").exists()
    line = BankLine.objects.get()
    wrong = send(amal, "/en/desk/bank", do="assign", about=line.id, reference="RF00")
    assert wrong.status_code == 404 or "not_found" in wrong.content.decode()
    assert send(amal, "/en/desk/bank", do="return", about=line.id).status_code == 302
    assert send(amal, "/en/desk/bank", do="file").status_code == 302
    made = BankFile.objects.get()
    answer = amal.get(f"/en/desk/bank/{made.id}.xml")
    assert answer["Content-Disposition"] == f'attachment; filename="{made.id}.xml"'
    assert "<EndToEndId>bor" in answer.content.decode()
    bank_.balance += 12
    bank_.pay(made.text)
    assert BankOrder.objects.get().state == "done"


def test_a_file_that_is_no_statement_is_refused_on_the_page(bank_: Banking) -> None:
    amal = sign_in("amal", "curator")
    file = io.BytesIO(b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    file.name = "statement.xml"
    answer = send(amal, "/en/desk/bank", do="statement", file=file)
    assert answer.status_code == 400
    assert "document type" in answer.content.decode()


def test_money_that_arrived_before_is_begun_only_where_the_buyer_said_so(
    bank_: Banking, buyer: Caller, sale: str
) -> None:
    """A reference that nobody was told is no reference of ours, whatever its digits say."""
    bank_.take(bank_.came("420.00", reference(sale)))
    assert BankLine.objects.get().outcome == "unknown"
    bank.begin(sale_id=sale, by=buyer.member.id)


def test_a_member_is_told_by_api_and_page_how_to_send_money_into_the_wallet(
    bank_: Banking, buyer: Caller, place: Any, settings: Any
) -> None:
    settings.WALLET = True
    first, again = (buyer.send("POST", "/wallet/transfer") for _ in range(2))
    assert (first.status_code, first.json()) == (200, again.json())
    told = first.json()
    assert (told["iban"], told["beneficiary"]) == ("DE89370400440532013000", "Plaza")
    bank_.take(bank_.came("12.50", told["reference"]))
    lies = buyer.send("GET", "/wallet").json()["available"]
    assert lies == {"minor": 1_250, "currency": "USD"}
    (put,) = buyer.send("GET", "/wallet/deposits").json()["items"]
    assert (put["state"], put["payment_method"]) == ("paid", "bank_transfer")
    client = sign_in("leila")
    link(member=Member.objects.latest("created_at").id, account_id="acc-leila")
    assert "RF" not in text_of(client, "/en/wallet")
    assert send(client, "/en/wallet", do="transfer").status_code == 302
    with CaptureQueriesContext(connection) as asked:
        page = text_of(client, "/en/wallet")
    assert re.search(r'data-reference="RF\d\d[0-9A-Z]{14}"', page)
    assert told["reference"] not in page
    assert len(asked) <= 12


def test_the_desk_puts_money_of_no_name_into_a_wallet(
    bank_: Banking, buyer: Caller, team: Caller, settings: Any
) -> None:
    settings.WALLET = True
    reference = buyer.send("POST", "/wallet/transfer").json()["reference"]
    bank_.take(bank_.came("12.50", "for my wallet"))
    line = BankLine.objects.get()
    done = team.send("POST", f"/desk/bank/lines/{line.id}/assign", {"reference": reference})
    assert (done.status_code, done.json()["outcome"]) == (200, "wallet")
    assert buyer.send("GET", "/wallet").json()["available"]["minor"] == 1_250


def test_who_says_where_held_money_goes_has_just_confirmed_and_the_second_sees_the_whole_account(
    bank_: Banking,
) -> None:
    one, two, path = sign_in("amal", "curator"), sign_in("basil", "curator"), "/en/desk/bank"
    bank_.take(*(bank_.came(much, "gift", iban="", name="") for much in ("10000.00", "1.00")))
    for line in BankLine.objects.all():
        outgoing.send_back(line, now=clock.now())
    small, dear = BankOrder.objects.order_by("minor")
    told = {"do": "complete", "iban": "DE89370400440532013000", "name": "Nadia Roux"}
    stale = make.browser(make.member(bank_.place, roles="curator"), ago=1_000)
    answer = send(stale, path, about=small.id, **told)
    assert answer["Location"].startswith("/en/confirm")
    assert BankOrder.objects.get(pk=small.id).state == "no_place"
    assert send(one, path, about=small.id, **told)["Location"] == f"{path}?did=sent_back"
    assert "did=proposed" in send(one, path, about=dear.id, **told)["Location"]
    page = text_of(two, path)
    assert 'Nadia Roux</bdi> · <code dir="ltr">DE89370400440532013000</code>' in page
    asked = Approval.objects.get(state="open")
    queue = text_of(two, "/en/desk/?kind=approval")
    assert "its account ends in" in queue
    assert "…3000" in queue
    send(two, "/en/desk/?kind=approval", do="approve", about=asked.id, shown=asked.shown)
    assert set(BankOrder.objects.values_list("state", flat=True)) == {"waiting"}
