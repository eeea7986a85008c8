"""Held people, stale lists and limits, on a real database: no money is ordered past them."""

from __future__ import annotations

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
    ScreeningHeld,
    ScreeningStale,
)
from onym.flows import bank, documents, ledger, listing, payments, sale, screening
from onym.ports.screening import NameList, TierFile
from onym.queries import ground
from onym.queries import screening as queries
from onym.store import secrets
from onym.store.models import (
    BankReference,
    Disclosure,
    Listing,
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


def named(member: Any, name: str) -> Any:
    member.name_sealed = secrets.seal(name, place=f"member.name/{member.id}")
    member.save(update_fields=["name_sealed"])
    return member


@pytest.fixture
def people(place: Any) -> tuple[Any, Any]:
    make.handle(place, "moon", account_id="acc-moon")
    seller = named(make.member(place, account="acc-moon"), "Leila Mansour")
    buyer = named(make.member(place, account="acc-nadia", id="mbr_nadia"), "Nadia Roux")
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
    named(people[1], "PETROV, Alexandr Sample")
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
    named(people[0], LISTED)
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
    named(people[1], LISTED)
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
    named(people[1], LISTED)
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


REFUSED = {
    "one_case_per_entry": lambda: make.copy(ScreeningCase.objects.get(), id="scr_2"),
    "screening_state": lambda: ScreeningCase.objects.update(state="lost", decided_by="mbr_nadia"),
    "screening_decided_by_somebody": lambda: ScreeningCase.objects.update(state="cleared"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(place: Any, people: Any, tmp_path: Path, name: str) -> None:
    named(people[1], LISTED)
    lists(tmp_path, LISTED)
    with pytest.raises(ScreeningHeld):
        screening.expect_clear(people[1])
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        REFUSED[name]()
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's
    assert {c.name for c in ScreeningCase._meta.constraints} == set(REFUSED)
