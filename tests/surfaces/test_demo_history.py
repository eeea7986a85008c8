"""The demo's past: drawn from a seed, told through the real flows, alike at every first start."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from tests.surfaces import outside
from tests.surfaces.outside import Site

from onym.site import demo_accounts, demo_campaigns

SAMPLE = {"status": "active", "email": "a@mail.example", "locale": "fr", "account_id": "2000"}
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_the_same_seed_draws_the_same_campaigns_and_another_one_others() -> None:
    assert demo_campaigns.planned(7) == demo_campaigns.planned(7)
    assert demo_campaigns.planned(7) != demo_campaigns.planned(8)


def test_the_story_has_every_kind_of_end() -> None:
    ways = {way for plan in demo_campaigns.planned(7) for way in plan.ways}
    assert ways == {*demo_campaigns.ENDS, "declines", "ignores"}
    assert all(
        way not in demo_campaigns.ENDS for story in demo_campaigns.STORIES for way in story[:-1]
    ), "who comes after a buyer would never be asked"


PRICES = [(1_055_739, 109, 100, 1_150_000), (10, 100, 100, 10_000), (123_456, 100, 1, 123_450)]


@pytest.mark.parametrize(("appraisal", "percent", "unit", "price"), PRICES)
def test_a_price_is_a_round_number_near_the_appraisal(
    appraisal: int, percent: int, unit: int, price: int
) -> None:
    found = demo_campaigns.price(appraisal_minor=appraisal, percent=percent, unit=unit)
    assert found == price


LIVELY = [
    ({}, True),
    ({"locale": "ja"}, False),
    ({"email": None}, False),
    ({"account_id": "1004"}, False),
    ({"last_login_at": NOW - timedelta(days=21)}, False),
    ({"status": "suspended"}, False),
]


@pytest.mark.parametrize(("changes", "wanted"), LIVELY)
def test_offers_go_to_active_accounts_that_can_be_written_to(
    changes: dict[str, Any], wanted: bool
) -> None:
    row = SAMPLE | {"last_login_at": NOW - timedelta(days=1)} | changes
    assert demo_accounts._is_lively(row, NOW) is wanted


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Two first starts."""
    folders = [tmp_path_factory.mktemp(name) / "data" for name in ("one", "other")]
    with outside.running(folders[0]) as one, outside.running(folders[1]) as other:
        yield [one, other]


def history(site: Site) -> Any:
    return json.loads((site.data / "demo" / "history.json").read_text())


def test_two_first_starts_tell_the_same_names_prices_and_outcomes(starts: list[Site]) -> None:
    one, other = map(history, starts)
    assert one == other
    assert len(one) == len(demo_campaigns.STORIES)
    assert {"settled", "refunded", "declined", "expired", "unanswered"} == {
        told["outcome"] for told in one
    }
    for told in one:
        seen = [
            requests.get(f"{site.base}/api/v1/handles/{told['handle']}", timeout=60).json()
            for site in starts
        ]
        assert seen[0]["state"] == seen[1]["state"]
        assert seen[0]["appraisal"]["mid"] == seen[1]["appraisal"]["mid"]
        assert (seen[0]["state"] == "held") == (told["outcome"] in ("settled", "refunded"))


def test_the_demo_begins_as_it_promises(starts: list[Site]) -> None:
    site = starts[0]
    away = abs(demo_offset(site))
    assert away < 60, "the history lies in the past"
    for role, handle in (("buyer", "nadia"), ("seller", "moon"), ("acme", "acme_hq")):
        person = site.people[role]
        found = person.get(f"/handles/{handle}")
        assert found["holder"]["account_id"] == person.account_id
        assert (found["state"], found["locked"], found["sale"]) == ("held", False, None)
        assert person.get("/sales")["items"] == []
        assert not any("/invitations/" in mail["text"] for mail in site.mails(person.mail))
    page = requests.get(f"{site.base}/en/", timeout=60).text
    assert "Inactive names cannot be released at this time." in page
    assert site.people["team1"].get("/desk/approvals")["items"] == []


def demo_offset(site: Site) -> float:
    """Seconds between the demo's date, as its bar shows it to the minute, and ours."""
    told = (site.data / "demo-clock").read_text()
    return float(told)


def test_its_members_have_statements_and_letters_in_their_languages(starts: list[Site]) -> None:
    site = starts[0]
    members = site.facts["members"]
    assert len(members) == demo_campaigns.BOUGHT
    assert all(site.mails(member["mail"]) for member in members)
    spoken = {member["language"] for member in members}
    assert spoken <= {"en", "fr", "ar"}
    session, first = requests.Session(), members[0]
    form = session.get(f"{site.base}/en/sign-in", timeout=60).text
    token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    fields = {"mail": first["mail"], "password": first["password"], "csrfmiddlewaretoken": token}
    page = session.post(f"{site.base}/en/sign-in", data=fields, timeout=60)
    assert page.url == f"{site.base}/en/me"
    assert history(site)[0]["handle"] in page.text, "the first buyer sees what was bought"


def test_a_day_passes_at_the_press_of_a_button(starts: list[Site]) -> None:
    site, session = starts[1], requests.Session()
    first = session.get(f"{site.base}/en/", timeout=60).text
    token = first.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    fields = {"csrfmiddlewaretoken": token, "days": "1", "back": "/en/"}
    page = session.post(f"{site.base}/en/demo/clock", data=fields, timeout=60)
    until = time.monotonic() + 60
    while "The clock has arrived." not in page.text:
        assert time.monotonic() < until, page.text
        page = session.get(page.url, timeout=60)
    assert 86_000 < demo_offset(site) < 87_000
    assert "What happened meanwhile" in page.text
