"""The way of one handle, driven from outside over HTTP and SMTP only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.surfaces import outside
from tests.surfaces.outside import Site

PRICE = {"minor": 5_000_000, "currency": "USD"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with outside.running(tmp_path_factory.mktemp("chain") / "data") as running:
        yield running


def state(site: Site, handle: str) -> str:
    answer = requests.get(f"{site.base}/api/v1/handles/{handle}", timeout=60)
    return str(answer.json()["state"])


def verify(site: Site, *more: str) -> subprocess.CompletedProcess[str]:
    key = site.facts["log_key"]
    command = [sys.executable, "-m", "onym.site.command", "verify", f"{site.base}/log"]
    return subprocess.run(
        [*command, "--key", key, *more], capture_output=True, text=True, timeout=120
    )


def settled(site: Site, role: str, sale: str, wanted: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while True:
        found: dict[str, Any] = site.people[role].get(f"/sales/{sale}")
        if found["state"] == wanted:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


def keep_by_link(site: Site) -> None:
    """The holder of @sunset looks at the page of the mail's link, then presses its button."""
    keep = site.link("sunset@mail.example", "/keep/")
    assert state(site, "sunset") == "warned"
    page = requests.get(keep, timeout=30)
    assert page.status_code == 200
    assert state(site, "sunset") == "warned", "looking keeps nothing"
    session = requests.Session()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', session.get(keep, timeout=30).text)
    assert token
    kept = session.post(keep, {"csrfmiddlewaretoken": token.group(1), "do": "keep"}, timeout=30)
    assert kept.status_code == 200


def written_to(site: Site, address: str) -> None:
    """The invitation arrives, and its mail names neither the handle nor the price."""
    until = time.monotonic() + 30
    while not any("/invitations/" in m["text"] for m in site.mails(address)):
        assert time.monotonic() < until
        time.sleep(0.1)
    mail = site.mails(address)[-1]
    said = " ".join([mail["subject"], mail["text"], mail["html"]])
    assert not re.search(r"@handle|50[., ]?000", said)
    assert "Handle Team" in mail["text"]


def test_a_handle_is_swept_warned_released_sold_moved_and_proven(site: Site) -> None:
    before = requests.get(f"{site.base}/api/v1/handles/handle/reclaim", timeout=60).json()
    assert (before["verdict"], before["stopped_by"]) == ("reclaim", ["release_stop"])
    team = site.people["team1"]

    lift = team.do("/desk/release-stop", {"on": False}, expect=202)
    own = team.send(
        f"/desk/approvals/{lift['approval']['id']}/approve", {"shown": lift["approval"]["shown"]}
    )
    assert (own.status_code, own.json()["code"]) == (403, "second_person_needed")
    assert site.approve(lift, by="team2") == {"on": False}

    site.step(20)
    keep_by_link(site)
    assert state(site, "sunset") == "held"
    assert state(site, "handle") == "warned"

    for _ in range(24):
        if state(site, "handle") == "released":
            break
        site.step(10)
    assert state(site, "handle") == "released"
    assert state(site, "sunset") == "held"

    recipients = [{"mail": site.people["acme"].mail, "name": "Acme", "language": "en"}]
    wish = {
        "handle": "handle",
        "price": PRICE,
        "criteria": "Firms that said so.",
        **{"recipients": recipients, "expires_in_days": 14},
    }
    proposed = team.do("/desk/campaigns", wish, expect=202)
    campaign = site.approve(proposed, by="team2")
    assert campaign["state"] == "draft"
    assert re.fullmatch(r"cmp_\w+", campaign["id"])
    team.do(f"/desk/campaigns/{campaign['id']}/send", expect=200)
    written_to(site, recipients[0]["mail"])
    link = site.link(recipients[0]["mail"], "/invitations/")
    invitation = link.rsplit("/", 1)[1]
    shown = requests.get(f"{site.base}/api/v1/invitations/{invitation}", timeout=30).json()
    assert shown["committed_leaf"] < shown["sent_leaf"]
    assert "authentic" in requests.get(link, timeout=30).text

    other = site.people["buyer"].send(f"/invitations/{invitation}/accept")
    assert (other.status_code, other.json()["code"]) == (403, "not_allowed")
    acme = site.people["acme"]
    sale = acme.do(f"/invitations/{invitation}/accept", expect=201)
    assert sale["price"] == sale["gross"] == PRICE
    declined = acme.send(
        f"/sales/{sale['id']}/pay", {"payment_method": "pm_card_visa_chargeDeclined"}
    )
    assert (declined.status_code, declined.json()["code"]) == (402, "payment_declined")
    acme.do(f"/sales/{sale['id']}/pay", {"payment_method": "pm_card_visa"}, expect=200)
    delivered = settled(site, "acme", sale["id"], "inspection")
    assert delivered["read_back"]["account_id"] == acme.account_id
    assert site.holder("handle") == acme.account_id
    assert "Acme" in requests.get(f"{site.facts['platform']}/@handle", timeout=30).text
    done = acme.do(f"/sales/{sale['id']}/accept", expect=200)
    assert done["state"] == "settled"

    time.sleep(2)
    receipt = requests.get(f"{site.base}/api/v1{done['receipt']}", timeout=30)
    assert receipt.status_code == 200
    file = site.data / "receipt.tlog-proof"
    file.write_bytes(receipt.content)
    checked = verify(site, "--receipt", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_two_members_agree_on_an_offer_and_the_commission_is_exact(site: Site) -> None:
    team = site.people["team1"]
    if site.people["buyer"].send("/handles/moon/offers", {"price": PRICE}).status_code == 409:
        team.do("/desk/phase", {"phase": "open"}, expect=200)
    buyer, seller = site.people["buyer"], site.people["seller"]
    price = {"minor": 123_457, "currency": "USD"}
    offer = buyer.do("/handles/moon/offers", {"price": price}, expect=201)
    asked = site.link(seller.mail, "/offers/")
    assert requests.get(asked, timeout=30).status_code == 200
    sale = seller.do(f"/offers/{offer['id']}/accept", expect=201)
    assert sale["commission"]["minor"] == 123_457 * 5 // 100
    assert sale["gross"]["minor"] == 123_457 + 123_457 * 5 // 100
    assert sale["proceeds"] == price
    buyer.do(f"/sales/{sale['id']}/pay", {"payment_method": "pm_card_visa"}, expect=200)
    assert settled(site, "buyer", sale["id"], "cooling")["clocks"]["cooling"]
    site.step(1.01)
    settled(site, "buyer", sale["id"], "inspection")
    assert site.holder("moon") == buyer.account_id
    buyer.do(f"/sales/{sale['id']}/accept", expect=200)
    site.step(3.1)
    lines = seller.get("/statement")["items"]
    assert [line["amount"]["minor"] for line in lines] == [123_457, -123_457]
    assert requests.get(f"{site.facts['platform']}/@nadia", timeout=30).status_code == 200


def test_a_sweep_asked_for_at_the_desk_becomes_a_plan_to_approve(site: Site) -> None:
    team = site.people["team1"]
    unknown = team.send("/desk/sweeps", {"policy": "nonesuch"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    team.do("/desk/sweeps", {"policy": "onym-default"}, expect=202)
    until = time.monotonic() + 180
    while True:
        waiting = [a for a in team.get("/desk/approvals")["items"] if a["action"] == "adopt_plan"]
        if waiting:
            break
        assert time.monotonic() < until
        time.sleep(0.5)
    site.approve({"approval": waiting[0]}, by="team2")
    moon = requests.get(
        f"{site.base}/api/v1/handles/handle/reclaim", params={"policy": "onym-default"}, timeout=60
    )
    assert moon.json()["policy"]["id"] == "onym-default"


def test_a_letter_to_the_press_address_is_answered_once(site: Site) -> None:
    site.write(site.facts["press"], "Is it true?", sender="reporter@paper.example")
    until = time.monotonic() + 30
    while not site.mails("reporter@paper.example"):
        assert time.monotonic() < until
        time.sleep(0.1)
    (answer,) = site.mails("reporter@paper.example")
    assert "check back later" in answer["text"]


def test_the_whole_log_verifies_and_a_flipped_bit_is_named(site: Site, tmp_path: Path) -> None:
    assert verify(site).returncode == 0
    copy = tmp_path / "log"
    subprocess.run(["cp", "-r", str(site.data / "log"), str(copy)], check=True)
    size = int((copy / "checkpoint").read_text().splitlines()[1])
    bundle = copy / "tile" / "entries" / f"{size // 256:03}.p" / str(size % 256)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(bytes(data))
    command = [sys.executable, "-m", "onym.site.command", "verify", str(copy)]
    broken = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert broken.returncode == 1
    assert re.search(r"leaf \d+", broken.stdout + broken.stderr)


def test_killed_in_the_middle_of_a_sale_it_finishes_after_a_restart(site: Site) -> None:
    pilot = json.loads((site.data / "demo" / "steps.json").read_text())["pilot"]["handles"]
    handle = next(name for name in pilot[12:] if state(site, name) == "released")
    price = {"minor": 40_000, "currency": "USD"}
    team, seller = site.people["team1"], site.people["seller"]
    listed = team.do("/listings", {"handle": handle, "price": price}, expect=201)
    sale = seller.do(f"/listings/{listed['id']}/buy", expect=201)
    seller.do(f"/sales/{sale['id']}/pay", {"payment_method": "pm_card_visa"}, expect=200)
    site.kill_everything()
    site.restart()
    delivered = settled(site, "seller", sale["id"], "inspection")
    assert delivered["read_back"]["account_id"] == seller.account_id == site.holder(handle)


def test_every_invariant_holds_after_all_this(site: Site) -> None:
    command = [sys.executable, "-m", "onym.site.command", "audit", "--data", str(site.data)]
    audit = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=outside.environment()
    )
    violated = [line for line in audit.stdout.splitlines() if " VIOLATED " in line]
    assert (audit.returncode, violated) == (0, []), audit.stderr
