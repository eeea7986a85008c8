"""The three minutes that must always work, in a real browser: all eight steps, in each language, on
a phone and on a desk, from one first start that each run gets its own copy of.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from tests.story.browsing import Browser, window
from tests.surfaces.outside import Site

TITLES = {"en": "Handle Marketplace", "fr": "Marché des identifiants", "ar": "سوق المعرّفات"}
STOPPED = {
    "en": "cannot be released at this time",
    "fr": "ne peuvent pas être libérés",
    "ar": "لا يمكن تحرير",
}
AGREED = 123_457
"""What the seller asks back for @moon, in cents."""


PHONE, DESK = 390, 1280
PAIRS = [
    ("en", DESK),
    ("fr", PHONE),
    ("ar", PHONE),
    *(pytest.param(*pair, marks=pytest.mark.long) for pair in [("en", PHONE), ("fr", DESK)]),
    pytest.param("ar", DESK, marks=pytest.mark.long),
]
"""Each language once in every run; `make story` has all six."""


@pytest.mark.parametrize(("lang", "width"), PAIRS)
def test_the_story(site: Site, lang: str, width: int) -> None:
    with window(site.base, lang, width=width) as person:
        opens_and_changes_the_language(person)
        finds_the_handle(person)
        the_team_lifts_the_stop_and_time_passes(site, person)
        the_team_sets_a_price_that_a_second_person_approves(person)
        a_quiet_offer_is_sent(site, person)
        acme_buys(site, person)
        members_trade(site, person)
        killed_it_finishes_and_the_log_verifies(site, person)


def opens_and_changes_the_language(person: Browser) -> None:
    own = person.lang
    said = person.go("/")
    assert TITLES[own] in said
    assert STOPPED[own] in said
    for lang in ("ar" if own != "ar" else "en", own):
        person.language(lang)
        assert TITLES[lang] in person.page.inner_text("body")
        assert person.page.get_attribute("html", "dir") == ("rtl" if lang == "ar" else None)


def finds_the_handle(person: Browser) -> None:
    person.page.locator("main input[name=q]").fill("handle")
    with person.page.expect_navigation(wait_until="load"):
        person.page.keyboard.press("Enter")
    said = person.follow('main a[href$="/@handle"]')
    assert "relaunches this autumn" in said
    assert "handle.example" in said
    assert "x-2023/3" in said
    person.page.locator("details.more summary").first.click()
    assert "onym-default" in person.page.inner_text("main")
    assert person.page.locator("section .chart svg").count() >= 2


def the_team_lifts_the_stop_and_time_passes(site: Site, person: Browser) -> None:
    person.sign_in("team1")
    person.go("/desk/sweeps")
    person.follow('main a[href*="/desk/sweeps/"]')
    assert person.page.locator(".chart svg").count() >= 2, "verdict bars and funnel"
    person.go("/desk/switches")
    person.press("lift")
    person.sign_in("team2")
    person.go("/desk/?kind=approval")
    approve(person, "lift_stop")
    assert STOPPED[person.lang] not in person.go("/")
    person.wait_days(10)
    person.wait_days(10)
    keep = site.link("sunset@mail.example", "/keep/")
    keep = re.sub(r"/(en|fr|ar)/keep/", f"/{person.lang}/keep/", keep)
    person.visit(keep)
    assert state(site, "sunset") == "warned", "looking keeps nothing"
    person.press("keep")
    until = time.monotonic() + 30
    while state(site, "sunset") != "held":
        assert time.monotonic() < until
    for _ in range(9):
        if state(site, "handle") == "released":
            return
        person.wait_days(30)
    assert state(site, "handle") == "released"


def approve(person: Browser, action: str) -> None:
    """The case of this kind, as the second person."""
    person.follow(f'.case[data-action="{action}"] button[value="approve"]')


def the_team_sets_a_price_that_a_second_person_approves(person: Browser) -> None:
    person.sign_in("team1")
    person.go("/desk/handles/handle?way=campaign")
    assert person.page.locator(".chart svg").count() >= 1
    person.fill(
        price="50000", criteria="Firms of that name.", recipients="handles@acme.example, Acme, en"
    )
    person.press("check-campaign")
    person.press("campaign")
    person.go("/desk/?kind=approval")
    assert person.page.locator('.case[data-action="campaign"] button[value="approve"]').count() == 0
    person.sign_in("team2")
    person.go("/desk/?kind=approval")
    approve(person, "campaign")


def a_quiet_offer_is_sent(site: Site, person: Browser) -> None:
    person.sign_in("team1")
    person.go("/desk/campaigns")
    person.follow('main a[href*="/desk/campaigns/cmp_"]')
    person.press("send")
    site.link("handles@acme.example", "/invitations/")
    mail = next(m for m in reversed(site.mails("handles@acme.example")) if "/invit" in m["text"])
    for part in (mail["subject"], mail["text"], mail["html"] or ""):
        assert "@handle" not in part
        assert "50" not in re.sub(r"https?://\S+|charset\S+", "", part)
    person.go("/log?type=CandidatesCommitted")
    committed = newest_leaf(person)
    person.go("/log?type=InvitationSent")
    assert committed < newest_leaf(person)
    site.write(site.facts["press"], "Is it true?", sender="reporter@paper.example")
    until = time.monotonic() + 30
    while not site.mails("reporter@paper.example"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert "check back later" in site.mails("reporter@paper.example")[0]["text"]


def newest_leaf(person: Browser) -> int:
    return int(person.page.locator('main tbody a[href*="/log/"]').first.inner_text())


def acme_buys(site: Site, person: Browser) -> None:
    person.sign_in("acme")
    token = site.link("handles@acme.example", "/invitations/").rsplit("/", 1)[1]
    person.go(f"/invitations/{token}")
    person.press("accept")
    assert "/sales/sal_" in person.page.url
    person.press("pay")
    wait_for(person, "inspection")
    person.press("accept")
    wait_for(person, "settled")
    acme = site.people["acme"].account_id
    assert site.holder("handle") == acme
    profile = requests.get(f"{site.facts['platform']}/@handle", timeout=30).text
    assert "relaunches this autumn" not in profile
    old = requests.get(f"{site.facts['platform']}/accounts/1007", timeout=30).json()
    assert old["handle"].startswith("user_")
    kept = requests.get(f"{site.facts['platform']}/@{old['handle']}", timeout=30)
    assert "relaunches" in kept.text


def wait_for(person: Browser, wanted: str) -> None:
    """The sale's page, looked at again until it stands where it should."""
    until = time.monotonic() + 60
    while person.page.locator(f'main [data-state="{wanted}"]').count() == 0:
        assert time.monotonic() < until, person.page.inner_text("main")
        person.page.reload(wait_until="load")
        time.sleep(0.2)
    person.look()


def members_trade(site: Site, person: Browser) -> None:
    person.sign_in("team1")
    person.go("/desk/switches?phase=open")
    person.press("phase")
    person.sign_in("buyer")
    person.go("/@moon")
    person.fill(price="1000")
    person.press("offer")
    thread = person.page.url.rsplit("/", 1)[1]
    person.sign_in("seller")
    person.go(f"/offers/{thread}?price={'1234.57' if person.lang != 'fr' else '1234,57'}")
    person.press("counter")
    person.sign_in("buyer")
    person.go(f"/offers/{thread}")
    person.press("accept")
    said = "".join(person.page.inner_text("main").split()).replace("\u202f", "").replace(",", "")
    commission, gross = AGREED * 5 // 100, AGREED + AGREED * 5 // 100
    for minor in (AGREED, commission, gross):
        assert f"{minor // 100}{minor % 100:02}" in said.replace(".", ""), (minor, said)
    person.press("pay")
    wait_for(person, "cooling")


def killed_it_finishes_and_the_log_verifies(site: Site, person: Browser) -> None:
    page = person.page.url
    person.wait_days(1)
    site.kill_everything()
    site.restart()
    person.visit(page)
    until = time.monotonic() + 90
    while site.holder("moon") != site.people["buyer"].account_id:
        assert time.monotonic() < until
        if person.page.locator('main [data-state="cooling"]').count():
            person.wait_days(1)
            person.visit(page)
    verify = [sys.executable, "-m", "onym.site.command", "verify"]
    whole = subprocess.run(
        [*verify, f"{site.base}/log", "--key", site.facts["log_key"]],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert whole.returncode == 0, whole.stdout
    broken = subprocess.run(
        [*verify, str(flipped(site))], capture_output=True, text=True, timeout=120
    )
    assert broken.returncode == 1
    assert re.search(r"leaf \d+", broken.stdout + broken.stderr)


def flipped(site: Site) -> Path:
    """A copy of the log with one bit of its last entries turned."""
    copy = site.data.with_name("flipped")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(site.data / "log", copy)
    size = int((copy / "checkpoint").read_text().splitlines()[1])
    bundle = copy / "tile" / "entries" / f"{size // 256:03}.p" / str(size % 256)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(bytes(data))
    return copy


def state(site: Site, handle: str) -> str:
    answer = requests.get(f"{site.base}/api/v1/handles/{handle}", timeout=60)
    return str(answer.json()["state"])
