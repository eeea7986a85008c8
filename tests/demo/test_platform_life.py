"""The demo's platform over time: its accounts go on living, faults strike, a kill loses nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests
from tests.demo import plaza as plazas
from tests.demo.plaza import fresh_key, move
from tests.demo.servers import SOURCE, free_port

from onym.ports.platform import Notice
from onym_demo.platform import state

DAY = 86_400
CUSTODIAN = "1000"


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture(scope="module")
def port(plaza):
    return plaza.port()


@pytest.fixture(autouse=True)
def _nothing_armed_and_the_clock_at_zero(request):
    yield
    if "plaza" in request.fixturenames:
        running = request.getfixturevalue("plaza")
        requests.delete(running.program.base + "/demo/faults", timeout=10)
        running.advance_to(0)


def logins(plaza, days):
    """account id → last login of each account in good standing, with the clock so far on."""
    plaza.advance_to(days * DAY)
    rows, _ = plaza.port().accounts()
    return {
        row["account_id"]: row.get("last_login_at") for row in rows if row["status"] == "active"
    }


def test_who_is_active_stays_active_and_who_is_silent_stays_silent(plaza):
    first = logins(plaza, 0)
    start = datetime.now(UTC)
    for days in (1, 13, 29, 31, 77, 260, 400):
        now, found = start + timedelta(days=days), logins(plaza, days)
        for account_id, before in first.items():
            if before is None or start - before >= timedelta(days=30):
                assert found[account_id] == before, (account_id, days)
            else:
                assert before <= found[account_id] <= now + timedelta(minutes=1)
                assert now - found[account_id] < timedelta(days=30), (account_id, days)
    assert first["1007"].year == 2019


def test_the_people_of_the_demo_go_on_posting(plaza):
    before = {name: plaza.port().account(account_id=name) for name in ("1002", "1003", "1004")}
    plaza.advance_to(90 * DAY)
    for name, row in before.items():
        after = plaza.port().account(account_id=name)
        assert after["posts"] > row["posts"]
        assert row["last_post_at"] < after["last_post_at"] <= after["last_login_at"]


def test_the_same_instant_shows_the_same_life_again(plaza):
    once = logins(plaza, 55)
    logins(plaza, 0)
    assert logins(plaza, 55) == once


def test_a_silent_account_that_logs_in_is_alive_again(plaza, port):
    ancient = "2020-01-01T00:00:00Z"
    account_id, _ = plaza.sign_up(last_login_at=ancient, created_at=ancient)
    plaza.advance_to(10 * DAY)
    assert port.account(account_id=account_id)["last_login_at"].year == 2020
    told = plaza.program.pull("/demo/login", account_id=account_id)
    assert told.status_code == 200
    now = datetime.now(UTC) + timedelta(days=10)
    assert abs(port.account(account_id=account_id)["last_login_at"] - now) < timedelta(minutes=1)
    plaza.advance_to(70 * DAY)
    seen = port.account(account_id=account_id)["last_login_at"]
    assert now + timedelta(days=60) - seen < timedelta(days=30)


def test_a_lever_for_nobody_is_refused(plaza):
    for wish in ({"account_id": "999999"}, {"account_id": 1002}, {}):
        assert plaza.program.pull("/demo/login", **wish).json()["code"] == "account_unknown"
    assert plaza.program.pull("/demo/accounts", handle="no-dash").status_code == 422
    bad = plaza.program.pull("/demo/accounts", handle="ok_1", created_at="yesterday")
    assert bad.json()["code"] == "malformed"


@pytest.mark.parametrize(
    "headers", [{"Host": "plaza.example"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
def test_the_levers_are_for_this_machine_only(plaza, headers):
    answer = requests.post(
        plaza.program.base + "/demo/login",
        json={"account_id": "1007"},
        headers=headers,
        timeout=10,
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "not_from_here")
    assert plaza.port().account(account_id="1007")["last_login_at"].year == 2019


def test_a_fault_strikes_as_often_as_asked_and_only_where_asked(plaza, port):
    plaza.arm("error", on="reserve", times=2)
    assert port.notify(account_id="1002", kind="k", text="t", href=None, key=fresh_key()).done
    said = [port.reserve(handle="thrice", key="same") for _ in range(3)]
    assert [one.unknown for one in said] == [True, True, False]
    assert plaza.program.get("/demo/faults").json() == []


def test_a_delayed_write_is_slow_and_others_are_not(plaza, port):
    plaza.arm("delay", on="reserve", seconds=1.0)
    began = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(port.reserve, handle="slow_one", key=fresh_key())
        assert port.holder(handle="handle").account_id == "1007"
        assert time.monotonic() - began < 0.9
        assert slow.result().done
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    "wish", [{"kind": "fire"}, {}, {"kind": "delay", "times": 0}, {"kind": "delay", "seconds": "x"}]
)
def test_a_fault_that_is_none_is_refused(plaza, wish):
    answer = plaza.program.pull("/demo/faults", **wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path):
    plaza = plazas.start(tmp_path)
    (seller, handle), (buyer, old) = plaza.sign_up(), plaza.sign_up()
    key = fresh_key()
    wish = {"key": key, "fence": 5, "retain": True, "placeholder": "was_it"}
    first = move(plaza.port(), handle, seller, buyer, **wish)
    plaza.program.kill()
    plaza.program.start()
    port = plaza.port()
    holders = [port.holder(handle=name).account_id for name in (handle, old, "was_it")]
    assert holders == [buyer, CUSTODIAN, seller]
    assert move(port, handle, seller, buyer, **wish) == first
    assert move(port, handle, buyer, seller, fence=5).code == "stale"
    assert plaza.program.stop() == 0


def test_a_kill_in_the_middle_of_many_writes_keeps_each_that_was_answered(tmp_path):
    plaza = plazas.start(tmp_path)
    account_id, _ = plaza.sign_up()
    answered = []

    def write(lane):
        port = plaza.port(timeout=5)
        for turn in range(10_000):
            name = f"l{lane}_{turn}"
            if not port.reserve(handle=name, key=name).done:
                return
            answered.append(name)

    with ThreadPoolExecutor(4) as threads:
        lanes = [threads.submit(write, lane) for lane in range(4)]
        time.sleep(0.7)
        plaza.program.kill()
        for lane in lanes:
            lane.result()
    plaza.program.start()
    port = plaza.port()
    assert len(answered) > 40
    assert {port.holder(handle=name).account_id for name in answered} == {CUSTODIAN}
    assert port.account(account_id=account_id) is not None
    plaza.program.stop()


def test_every_commit_waits_for_the_disk(tmp_path):
    """No kill of a process shows this: only the machine's own end would."""
    link = state.connect(tmp_path / "state.sqlite3")
    pragmas = [
        link.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    ]
    assert pragmas == ["wal", 2]
    link.close()


def test_a_restart_does_not_begin_anew(tmp_path):
    plaza = plazas.start(tmp_path)
    before = plaza.port().account(account_id="1050")
    plaza.program.stop()
    plaza.program.options += ["--count", "99", "--seed", "3"]
    plaza.program.start()
    assert plaza.port().account(account_id="1050")["handle"] == before["handle"]
    assert plaza.port().account(account_id="1070") is None
    plaza.program.stop()


def ended(plaza, *, port, data, key):
    command = [sys.executable, "-m", "onym_demo.platform", "--port", str(port)]
    command += ["--data", str(data), "--public-key", str(key), "--count", "1"]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PYTHONPATH": str(SOURCE)},
    )


def test_a_start_that_cannot_be_is_told_in_one_line(plaza, tmp_path):
    key = plaza.clock.parent / "public.pem"
    busy = ended(plaza, port=plaza.program.port, data=tmp_path, key=key)
    shared = ended(plaza, port=free_port(), data=plaza.program.data, key=key)
    keyless = ended(plaza, port=free_port(), data=tmp_path, key=tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no key")
    wrong = ended(plaza, port=free_port(), data=tmp_path, key=tmp_path / "bad.pem")
    for told, what in (
        (busy, "cannot be used"),
        (shared, "another platform uses"),
        (keyless, "public key cannot be read"),
        (wrong, "public key cannot be read"),
    ):
        assert told.returncode == 1
        assert what in told.stderr
        assert len(told.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("city"), count=50_000)
    yield running
    running.program.stop()


def test_fifty_thousand_accounts_are_listed_in_a_few_seconds(city):
    port, ids, cursor, began = city.port(), [], None, time.monotonic()
    while True:
        rows, cursor = port.accounts(cursor=cursor)
        ids += [row["account_id"] for row in rows]
        if cursor is None:
            break
    assert ids == [str(number) for number in range(1001, 51_001)]
    assert time.monotonic() - began < 15


def test_the_whole_platform_stays_below_70_mb(city):
    port = city.port()
    told = port.notify_all(
        notices=[
            Notice(str(number), "warned", "Your handle", None, fresh_key())
            for number in range(1001, 4001)
        ]
    )
    assert all(said.done for said in told)
    for path in ("/", "/@handle", "/?q=a", "/@moon"):
        assert city.program.get(path).ok
    assert city.program.pss_mb() < 70
