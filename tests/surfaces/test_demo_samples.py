"""The demo's sample members: one meets a limit, one the list, and nobody else meets either."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests import make
from tests import world as worlds

from onym import ports
from onym.core.errors import AmountTooLarge, ScreeningHeld
from onym.flows import listing, payments, screening
from onym.ports.screening import NameList, TierFile
from onym.queries import demo
from onym.site import demo_lists, demo_samples
from onym.store.models import Link, Member
from onym.store.screening import ScreeningCase


@pytest.fixture
def world(database: str, settings: Any) -> Any:
    made = worlds.market(settings)
    told = demo_lists.begin(settings.DATA)
    days = int(told["ONYM_LIST_DAYS"])
    ports.install(
        screenings={"demo": NameList(Path(told["ONYM_SCREENING_LIST"]), days)},
        identities={"demo": TierFile(Path(told["ONYM_TIERS"]), days)},
    )
    yield made
    ports.clear()


def samples(world: worlds.World, data: Path) -> dict[str, Any]:
    rows = []
    for name in ("one", "two"):
        account, _ = world.account()
        rows.append({"account_id": account, "email": f"{name}@mail.example", "locale": "fr"})
    return demo_samples.make(data, rows)


def holder(world: worlds.World) -> tuple[Any, str]:
    """A member with a name, as everybody needs one where names are compared, and a handle."""
    member, _, handle = world.holder()
    return make.named(member), handle


def test_the_samples_meet_a_limit_and_the_list_and_others_neither(
    world: worlds.World, settings: Any
) -> None:
    made = samples(world, settings.DATA)
    seller, handle = holder(world)
    buyer = make.named(world.member()[0])
    dear = listing.open_(namespace="demo", handle=handle, seller=seller.id, price=make.usd(900))
    with pytest.raises(AmountTooLarge):
        listing.buy(listing_id=dear.id, buyer=made["limited"]["member"])
    with pytest.raises(ScreeningHeld):
        listing.buy(listing_id=dear.id, buyer=made["screened"]["member"])
    case = ScreeningCase.objects.get()
    screening.decide(case_id=case.id, by=world.team[0].id, outcome="cleared")
    assert listing.buy(listing_id=dear.id, buyer=made["screened"]["member"]).price_minor == 90_000
    other, cheap = holder(world)
    low = listing.open_(namespace="demo", handle=cheap, seller=other.id, price=make.usd(290))
    sale = listing.buy(listing_id=low.id, buyer=made["limited"]["member"])
    with pytest.raises(AmountTooLarge) as told:
        payments.pay(sale_id=sale.id, by=sale.buyer_id, method="pm_card_visa")
    assert (sale.gross_minor, told.value.facts["limit"]) == (30_450, "card")
    third, rare = holder(world)
    big = listing.open_(namespace="demo", handle=rare, seller=third.id, price=make.usd(900_000))
    agreed = listing.buy(listing_id=big.id, buyer=buyer.id)
    screening.expect_may_pay(
        buyer=buyer, price=agreed.money("price"), gross=agreed.money("gross"), method="card"
    )


def test_a_start_that_was_killed_goes_on_with_the_files_that_are_there(tmp_path: Path) -> None:
    demo_lists.begin(tmp_path)
    demo_lists.add(demo_lists.names(tmp_path), demo_lists.LISTED)
    demo_lists.add(demo_lists.names(tmp_path), demo_lists.LISTED)
    demo_lists.begin(tmp_path)
    today = datetime.now(UTC).date()
    assert demo_lists.names(tmp_path).read_text().splitlines()[1:] == [demo_lists.LISTED]
    found = TierFile(demo_lists.tiers(tmp_path), demo_lists.LASTS_DAYS)
    assert found.tier("anybody", today=today + timedelta(days=4_000)) == "verified"


def test_the_samples_sign_in_by_one_click_like_the_people(
    world: worlds.World, settings: Any
) -> None:
    made = samples(world, settings.DATA)
    (settings.DATA / "demo.json").write_text(json.dumps({"people": {}, "samples": made}))
    assert {one["role"] for one in demo.people()} == {"limited", "screened"}
    for one in made.values():
        row = Member.objects.get(pk=one["member"])
        assert row.user is not None
        assert Link.objects.filter(member=row, account_id=one["account_id"]).exists()
