"""The market on a real PDS as a stranger has it: `onym up --demo --platform pds`, and no more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect
from tests import make
from tests.surfaces import at_pds, live, outside
from tests.surfaces.outside import Site

from onym.core.errors import Malformed
from onym.ports.xrpc import written_at
from onym.site import apps

ACCOUNTS = "48"
STORY = {"base", "platform", "mailbox", "smtp", "payments", "press", "log_key", "people"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("pds") / "data"
    with outside.running(data, platform="pds", accounts=ACCOUNTS) as running:
        yield running


def ask(site: Site, method: str, **wanted: Any) -> requests.Response:
    """The PDS's own answer to anybody."""
    return requests.get(f"{site.facts['platform']}/xrpc/{method}", params=wanted, timeout=30)


def resolve(site: Site, handle: str) -> str | None:
    said = ask(site, "com.atproto.identity.resolveHandle", handle=f"{handle}.test")
    return str(said.json()["did"]) if said.ok else None


def described(site: Site, did: str) -> tuple[str, bool]:
    told = ask(site, "com.atproto.repo.describeRepo", repo=did).json()
    return told["handle"].removesuffix(".test"), told["handleIsCorrect"]


def last_write(site: Site, did: str) -> Any:
    return written_at(ask(site, "com.atproto.sync.getLatestCommit", did=did).json()["rev"])


def listings(site: Site) -> list[dict[str, Any]]:
    found = site.people["buyer"].get("/listings")["items"]
    return sorted(found, key=lambda one: one["price"]["minor"])


def bought(site: Site, listing: dict[str, Any], role: str) -> dict[str, Any]:
    """The sale once the handle has moved; paid by card at the demo's payment provider."""
    person = site.people[role]
    sale = person.do(f"/listings/{listing['id']}/buy", expect=201)
    person.send(f"/sales/{sale['id']}/pay", {"payment_method": "pm_card_visa"})
    until = time.monotonic() + 60
    while True:
        found: dict[str, Any] = person.get(f"/sales/{sale['id']}")
        if found["state"] in ("inspection", "settled", "refunded"):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


def test_a_handle_bought_by_card_is_moved_on_the_pds_as_the_pds_itself_says(site: Site) -> None:
    assert set(site.facts) >= STORY
    accounts = {role: person.account_id for role, person in site.people.items()}
    assert [role for role, did in accounts.items() if did is None] == ["team1", "team2", "operator"]
    assert resolve(site, "moon") == accounts["seller"]
    offered = listings(site)
    assert offered[0]["price"]["minor"] < 50_000
    handle, buyer = offered[0]["handle"], accounts["buyer"]
    seller, own = resolve(site, handle), described(site, buyer)[0]
    sale = bought(site, offered[0], "buyer")
    assert sale["state"] == "inspection"
    assert sale["read_back"]["account_id"] == buyer
    assert resolve(site, handle) == buyer
    assert described(site, buyer) == (handle, True)
    placeholder, is_right = described(site, str(seller))
    assert (placeholder.startswith("user-"), is_right) == (True, True)
    assert resolve(site, own) not in (None, buyer, seller), "kept by the custodian"
    books = requests.get(f"{site.facts['payments']}/demo/books", timeout=30).json()
    assert books["sales"][sale["id"]]["charge"] == sale["gross"]["minor"]


def test_one_signs_in_on_the_pds_and_is_the_member_to_whom_the_account_belongs(site: Site) -> None:
    buyer = site.facts["people"]["buyer"]
    handle = described(site, buyer["account_id"])[0]
    with live.chromium() as chrome:
        page = chrome.new_page()
        page.goto(f"{site.base}/en/sign-in?next=/en/me/accounts")
        page.get_by_role("link", name="Sign in with Bluesky").click()
        at_pds.sign_in(page, handle=handle, password=buyer["platform_password"])
        at_pds.answer(page, "Authorize")
        page.wait_for_url(f"{site.base}/en/sign-in/factor")  # the buyer has a second one
        page.locator("input[name=code]").fill(make.totp_code(buyer["totp_secret"]))
        page.get_by_role("button", name="Confirm").click()
        page.wait_for_url(f"{site.base}/en/me/accounts")
        expect(page.get_by_text(buyer["account_id"])).to_be_visible()


def test_all_is_killed_and_begins_again_where_it_was(site: Site) -> None:
    """The directory keeps its operations, too: accounts and handles are as before."""
    before = {one["handle"]: resolve(site, one["handle"]) for one in listings(site)}
    site.kill_everything()
    site.restart()
    assert {handle: resolve(site, handle) for handle in before} == before
    listing = listings(site)[0]
    sale = bought(site, listing, "acme")
    assert (sale["state"], resolve(site, listing["handle"])) == (
        "inspection",
        site.people["acme"].account_id,
    )


def test_the_policy_is_onym_atproto_and_who_lives_goes_on_writing(site: Site) -> None:
    reclaim = site.people["team1"].get("/handles/sunset/reclaim")
    assert (reclaim["verdict"], reclaim["policy"]["id"]) == ("reclaim", "onym-atproto")
    assert (reclaim["reasons"], reclaim["stopped_by"]) == (["idle_write"], ["release_stop"])
    silent, lively = resolve(site, "sunset"), site.people["seller"].account_id
    before = {did: last_write(site, str(did)) for did in (silent, lively)}
    site.step(21)
    until = time.monotonic() + 30
    while last_write(site, lively) == before[lively]:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert last_write(site, str(silent)) == before[silent]
    assert (last_write(site, lively) - before[lively]).days >= 20


@pytest.mark.parametrize(("began", "wished"), [("pds", "plaza"), ("plaza", "pds")])
def test_a_demo_does_not_move_to_another_platform(tmp_path: Path, began: str, wished: str) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "platform-kind").write_text(began)
    command = [sys.executable, "-m", "onym.site.command", "up", "--demo", "--platform", wished]
    said = subprocess.run(
        [*command, "--data", str(tmp_path), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        env=outside.environment(),
    )
    assert (said.returncode, f"it began on {began}" in said.stderr) == (1, True), said.stderr


def test_a_kind_of_platform_that_nobody_knows_is_said_at_start(settings: Any) -> None:
    settings.PLATFORM_KIND = "ftp"
    with pytest.raises(Malformed, match="http, atproto"):
        apps._install_platform()
