"""Held people, stale lists and limits, on a real database: no money is ordered past them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from tests import make
from tests.core.test_screening import TABLE
from tests.flows.banking import Banking
from tests.flows.test_sale import moved, paid, sold, step
from tests.surfaces.test_api import Caller
from tests.surfaces.test_desk import send, sign_in, text_of

from onym import ports
from onym.core.errors import (
    AlreadyClosed,
    AmountTooLarge,
    Malformed,
    NotAllowed,
    RateLimited,
    ScreeningHeld,
    ScreeningStale,
)
from onym.flows import bank, documents, ledger, listing, outgoing, payments, sale, screening
from onym.flows import people as members
from onym.ports.screening import NameList, TierFile
from onym.queries import ground
from onym.queries import screening as queries
from onym.store.models import (
    BankReference,
    Disclosure,
    Listing,
    Member,
    Payment,
    Payout,
    Sale,
)
from onym.store.screening import ScreeningCase

pytestmark = pytest.mark.usefixtures("database")
LISTED = "Aleksandr Sample Petrov"


@pytest.fixture
def place(database: Any, settings: Any) -> Iterator[Any]:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    yield make.namespace()
    ports.clear()


@pytest.fixture
def people(place: Any) -> tuple[Any, Any]:
    make.handle(place, "moon", account_id="acc-moon")
    seller = make.named(make.member(place, account="acc-moon"), "Leila Mansour")
    buyer = make.named(make.member(place, account="acc-nadia", id="mbr_nadia"), "Nadia Roux")
    return seller, buyer


def lists(folder: Path, *names: str, days_old: int | str = 0) -> Path:
    file = folder / "list.csv"
    today = datetime.now(UTC).date()
    as_of = today - timedelta(days=days_old) if isinstance(days_old, int) else days_old
    file.write_text("\n".join([f"as_of,{as_of}", *names]) + "\n", encoding="utf-8")
    ports.install(screenings={"demo": NameList(file, 7)})
    return file


def tiers(folder: Path, *rows: str, days_old: int = 0) -> None:
    file = folder / "tiers.csv"
    as_of = datetime.now(UTC).date() - timedelta(days=days_old)
    file.write_text("\n".join([f"as_of,{as_of}", *rows]) + "\n")
    ports.install(identities={"demo": TierFile(file, 7)})


def pay(made: Sale) -> Payment:
    return payments.pay(sale_id=made.id, by=made.buyer_id, method="pm_card_visa")


def test_a_name_like_a_listed_one_is_held_until_a_person_says_it_is_another(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    make.named(people[1], "PETROV, Alexandr Sample")
    lists(tmp_path, LISTED, "Somebody Else")
    for _ in range(2):
        with pytest.raises(ScreeningHeld):
            pay(made)
    (case,) = ScreeningCase.objects.all()
    assert (case.member_id, case.entry, case.state) == ("mbr_nadia", LISTED, "open")
    assert b"Petrov" not in bytes(case.entry_sealed)
    assert not Payment.objects.exists()
    assert [one["state"] for one in queries.cases(ground.of("demo"))] == ["open"]
    team = make.member(place, roles="curator")
    with pytest.raises(NotAllowed):
        screening.decide(case_id=case.id, by=made.buyer_id, outcome="cleared")
    with pytest.raises(Malformed):
        screening.decide(case_id=case.id, by=team.id, outcome="maybe")
    screening.decide(case_id=case.id, by=team.id, outcome="confirmed")
    with pytest.raises(ScreeningHeld):
        pay(made)
    screening.decide(case_id=case.id, by=team.id, outcome="cleared")
    with pytest.raises(AlreadyClosed):
        screening.decide(case_id=case.id, by=team.id, outcome="confirmed")
    case.refresh_from_db()
    assert (case.state, case.decided_by_id) == ("cleared", team.id)
    pay(made)


STALE: dict[str, Any] = {
    "eight days old": 8,
    "of tomorrow": -1,
    "of no day": "soon",
}


@pytest.mark.parametrize("what", [*STALE, "missing"])
def test_a_stale_list_stops_every_payment_and_payout(
    place: Any, people: Any, tmp_path: Path, what: str
) -> None:
    Banking(place).install()
    made = sold(place, people)
    file = lists(tmp_path, LISTED, days_old=STALE.get(what, 0))
    if what == "missing":
        file.unlink()
    with pytest.raises(ScreeningStale):
        pay(made)
    with pytest.raises(ScreeningStale):
        bank.begin(sale_id=made.id, by=made.buyer_id)
    assert not Payment.objects.exists()
    assert not BankReference.objects.exists()
    lists(tmp_path, LISTED)
    moved(paid(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    lists(tmp_path, LISTED, days_old=8)
    ledger.pay_out(payout_id=Payout.objects.get().id)
    assert (Payout.objects.get().state, Payout.objects.get().reason) == ("due", "screening_stale")


def test_a_list_of_a_week_ago_still_counts(place: Any, people: Any, tmp_path: Path) -> None:
    lists(tmp_path, LISTED, days_old=7)
    pay(sold(place, people))


def test_a_held_sellers_payout_waits_and_leaves_once_cleared(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    moved(paid(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    make.named(people[0], LISTED)
    lists(tmp_path, LISTED)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert (payout.state, payout.reason) == ("due", "screening_held")
    team = make.member(place, roles="curator")
    screening.decide(case_id=ScreeningCase.objects.get().id, by=team.id, outcome="cleared")
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert payout.reason == ""


def test_limits_by_method_and_price_band_follow_the_tier(
    place: Any, people: Any, tmp_path: Path
) -> None:
    Banking(place).install()
    documents.publish(namespace="demo", kind="limits", text=TABLE)
    made = sold(place, people)  # 400.00 is within the price band of the least tier
    with pytest.raises(AmountTooLarge) as told:
        pay(made)  # 420.00 by card is not
    assert told.value.facts["maximum"] == {"minor": 25_000, "currency": "USD"}
    bank.begin(sale_id=made.id, by=made.buyer_id)
    tiers(tmp_path, "mbr_nadia,verified")
    pay(made)


def test_a_price_above_the_band_of_either_side_is_not_agreed(
    place: Any, people: Any, tmp_path: Path
) -> None:
    documents.publish(namespace="demo", kind="limits", text=TABLE)
    tiers(tmp_path, "mbr_nadia,verified")
    with pytest.raises(AmountTooLarge):
        sold(place, people, price=600)
    tiers(tmp_path, "*,verified")
    made = listing.buy(listing_id=Listing.objects.get().id, buyer="mbr_nadia")
    assert made.price_minor == 60_000


def test_stale_tiers_stop_payments_where_limits_are_in_force(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    tiers(tmp_path, "*,verified", days_old=8)
    documents.publish(namespace="demo", kind="limits", text=TABLE)
    with pytest.raises(ScreeningStale):
        pay(made)


def test_a_payout_above_the_limit_waits(place: Any, people: Any, tmp_path: Path) -> None:
    made = sold(place, people)
    moved(paid(made))
    sale.accept(sale_id=made.id, by=made.buyer_id)
    step(24 * 3600)
    documents.publish(namespace="demo", kind="limits", text=TABLE)
    ledger.pay_out(payout_id=Payout.objects.get().id)
    assert Payout.objects.get().reason == "amount_too_large"


def test_over_http_the_case_stays_and_the_desk_decides(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED)
    buyer, team = Caller(people[1]), Caller(make.member(place, roles="curator"))
    wish = {"payment_method": "pm_card_visa"}
    answer = buyer.send("POST", f"/sales/{made.id}/pay", wish)
    assert (answer.status_code, answer.json()["code"]) == (403, "screening_held")
    assert buyer.send("GET", "/desk/screening").status_code == 403
    (case,) = team.send("GET", "/desk/screening").json()["items"]
    assert (case["entry"], case["percent"]) == (LISTED, 100)
    path = f"/desk/screening/{case['id']}/decide"
    assert buyer.send("POST", path, {"outcome": "cleared"}).status_code == 403
    assert team.send("POST", path, {"outcome": "cleared"}).json()["state"] == "cleared"


def test_the_desks_page_shows_both_names_and_takes_either_outcome(
    place: Any, people: Any, tmp_path: Path
) -> None:
    made = sold(place, people)
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED)
    with pytest.raises(ScreeningHeld):
        pay(made)
    amal = sign_in("amal", "curator")
    assert sign_in("aud", "auditor").get("/en/desk/screening").status_code == 403
    page = text_of(amal, "/en/desk/screening")
    assert page.count(LISTED) == 2
    assert Disclosure.objects.filter(what="screening").exists()
    case = ScreeningCase.objects.get()
    done = send(amal, "/en/desk/screening", do="confirmed", about=case.id)
    assert done["Location"] == "/en/desk/screening?did=screened"
    assert send(amal, "/en/desk/screening", do="perhaps", about=case.id).status_code == 400
    assert "held for good" in text_of(amal, "/en/desk/screening")


def test_another_name_is_looked_at_anew_and_ends_no_case(
    place: Any, people: Any, tmp_path: Path
) -> None:
    nadia, team = people[1], make.member(place, roles="curator")
    make.named(nadia, LISTED)
    lists(tmp_path, LISTED, "Somebody Else")
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(nadia)
    members.set_name(member=nadia.id, name="Nadia Roux")  # no way out of the open case
    nadia.refresh_from_db()
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(nadia)
    (case,) = queries.cases(ground.of("demo"))
    assert (case["name"], case["goes_by"]) == (LISTED, "Nadia Roux")
    screening.decide(case_id=case["id"], by=team.id, outcome="cleared")
    screening.expect_clear(nadia)
    members.set_name(member=nadia.id, name="Somebody  Else")  # a case from this very moment
    other = ScreeningCase.objects.get(state="open")
    assert (other.name, other.entry) == ("Somebody Else", "Somebody Else")
    screening.decide(case_id=other.id, by=team.id, outcome="confirmed")
    members.set_name(member=nadia.id, name="Nadia Roux")
    nadia.refresh_from_db()
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(nadia)


def test_that_one_name_was_cleared_says_nothing_of_another_like_the_same_entry(
    place: Any, people: Any, tmp_path: Path
) -> None:
    nadia, team = people[1], make.member(place, roles="curator")
    lists(tmp_path, LISTED)
    members.set_name(member=nadia.id, name="Alexandr Sample Petrov")
    screening.decide(case_id=ScreeningCase.objects.get().id, by=team.id, outcome="cleared")
    members.set_name(member=nadia.id, name="petrov, SAMPLE Alexandr")  # the same one
    nadia.refresh_from_db()
    screening.expect_clear(nadia)
    members.set_name(member=nadia.id, name=LISTED)
    nadia.refresh_from_db()
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(nadia)
    assert sorted(ScreeningCase.objects.values_list("state", flat=True)) == ["cleared", "open"]


def test_a_name_like_two_entries_waits_until_both_are_decided(
    place: Any, people: Any, tmp_path: Path
) -> None:
    team = make.member(place, roles="curator")
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED, "Alexandr Sample Petrov")
    for left in (2, 1):
        with pytest.raises(ScreeningHeld):
            screening.expect_clear(people[1])
        open_ = ScreeningCase.objects.filter(state="open")
        assert open_.count() == left
        screening.decide(case_id=open_.earliest("id").id, by=team.id, outcome="cleared")
    screening.expect_clear(people[1])


def test_the_name_that_a_bank_account_is_in_is_compared_too(
    place: Any, people: Any, tmp_path: Path
) -> None:
    lists(tmp_path, LISTED)
    outgoing.set_account(member=people[0].id, iban="DE89370400440532013000", name=LISTED)
    assert ScreeningCase.objects.get().name == LISTED
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(people[0])
    lists(tmp_path, LISTED, days_old=8)
    with pytest.raises(ScreeningStale):
        outgoing.set_account(member=people[1].id, iban="DE89370400440532013000", name="Nadia")


@pytest.mark.parametrize("name", ["", " ", "…", "123", "x" * 201, "Na\x00dia", "Nadia\u202eRoux"])
def test_what_is_no_name_is_not_kept(place: Any, people: Any, name: str) -> None:
    with pytest.raises(Malformed):
        members.set_name(member=people[1].id, name=name)
    people[1].refresh_from_db()
    assert people[1].name == "Nadia Roux"


def test_a_stale_list_lets_nobody_take_another_name(
    place: Any, people: Any, tmp_path: Path
) -> None:
    lists(tmp_path, LISTED, days_old=8)
    with pytest.raises(ScreeningStale):
        members.set_name(member=people[1].id, name="Somebody Else")
    people[1].refresh_from_db()
    assert people[1].name == "Nadia Roux"


def test_a_name_is_not_changed_without_end(place: Any, people: Any) -> None:
    for n in range(10):
        members.set_name(member=people[1].id, name=f"Nadia Roux {n}")
    with pytest.raises(RateLimited):
        members.set_name(member=people[1].id, name="Nadia Roux")


def test_over_http_the_name_that_is_asked_for_is_given(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    lists(tmp_path, LISTED)
    buyer = Caller(make.named(people[1], ""))
    answer = buyer.send("POST", f"/listings/{row.id}/buy", {})
    assert (answer.status_code, answer.json()["code"]) == (422, "name_needed")
    assert answer.json()["whose"] == "yours"
    assert (
        Caller(people[1], scopes="read").send("PUT", "/me/name", {"name": "N"}).status_code == 403
    )
    for wrong in ({"name": "…"}, {"name": 7}, {}, {"name": "Nadia", "country": "FR"}):
        assert buyer.send("PUT", "/me/name", wrong).status_code == 400
    seller_only = Caller(people[1], scopes="read sell")
    told = seller_only.send("PUT", "/me/name", {"name": "  Nadia   Roux "}).json()
    assert told == buyer.send("GET", "/me").json()
    assert (told["id"], told["name"], told["accounts"]) == (
        people[1].id,
        "Nadia Roux",
        ["acc-nadia"],
    )
    assert buyer.send("PUT", "/me/country", {"country": "FR"}).json()["country"] == "FR"
    assert buyer.send("POST", f"/listings/{row.id}/buy", {}).status_code == 201


def test_the_page_asks_for_the_name_and_leads_back_to_what_was_wanted(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    nadia = sign_in("")
    who = Member.objects.latest("created_at")
    members.link(member=who.id, account_id="acc-new")
    assert "name is needed" not in text_of(nadia, "/en/me")
    lists(tmp_path, LISTED)
    assert "/en/me/name?next=/en/me" in text_of(nadia, "/en/me")
    refused = send(nadia, "/en/@moon", do="buy", listing=row.id)
    assert refused.status_code == 422
    (leads_to,) = re.findall(r'href="(/en/me/name[^"]+)"', refused.content.decode())
    assert leads_to == "/en/me/name?next=/en/%40moon"
    assert send(nadia, leads_to, name="…", next="/en/@moon").status_code == 400
    done = send(nadia, leads_to, name="Nadia Roux", next="/en/@moon")
    assert done["Location"] == "/en/@moon"
    assert "Nadia Roux" in text_of(nadia, "/en/me/settings")
    bought = send(nadia, "/en/@moon", do="buy", listing=row.id)
    assert bought["Location"].startswith("/en/sales/")
    away = send(nadia, "/en/me/name?next=https://evil.example/", name="Nadia Roux")
    assert away["Location"] == "/en/me/settings"


def test_whoever_deals_with_the_nameless_is_told_that_it_is_the_others_turn(
    place: Any, people: Any, tmp_path: Path
) -> None:
    row = listing.open_(namespace="demo", handle="moon", seller=people[0].id, price=make.usd(400))
    make.named(people[0], "")
    nadia = sign_in("Nadia Roux")
    members.link(member=Member.objects.latest("created_at").id, account_id="acc-new")
    lists(tmp_path, LISTED)
    refused = send(nadia, "/en/@moon", do="buy", listing=row.id)
    assert refused.status_code == 422
    assert "the other side has not yet" in text_of(nadia, "/en/problems/name_needed")
    assert "/en/me/name" not in refused.content.decode()


REFUSED = {
    "one_case_per_name_and_entry": lambda: make.copy(ScreeningCase.objects.get(), id="scr_2"),
    "screening_state": lambda: ScreeningCase.objects.update(state="lost", decided_by="mbr_nadia"),
    "screening_decided_by_somebody": lambda: ScreeningCase.objects.update(state="cleared"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(place: Any, people: Any, tmp_path: Path, name: str) -> None:
    make.named(people[1], LISTED)
    lists(tmp_path, LISTED)
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(people[1])
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        REFUSED[name]()
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's
    assert {c.name for c in ScreeningCase._meta.constraints} == set(REFUSED)
