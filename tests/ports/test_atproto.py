"""The platform port against a real PDS: reads, moves, what is refused, kept and undone."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from django.db import connections
from tests import make
from tests.demo import pds as servers
from tests.demo.line import laid
from tests.demo.servers import free_port

from onym.core import names
from onym.core.errors import HandleMalformed, PlatformUnavailable
from onym.flows import link
from onym.ports.account import HandedOver, address_digest
from onym.ports.platform import Answer, Holding
from onym.ports.xrpc import written_at
from onym.store.models import Link, PlatformWrite
from onym.store.platform import Writes

_numbers = itertools.count(1)


@pytest.fixture
def world(database: str, settings: Any) -> servers.World:
    return servers.market(settings)


@pytest.fixture
def pds(world: servers.World) -> servers.Pds:
    return servers.running()


@pytest.fixture
def port(pds: servers.Pds) -> Any:
    return pds.platform(hands_over=True)


@pytest.fixture
def custodian(port: Any) -> str:
    return str(port.capabilities().custodian)


@pytest.fixture
def pair(pds: servers.Pds) -> Any:
    """Two fresh accounts: ((did, handle), (did, handle))."""
    return pds.sign_up(), pds.sign_up()


def move(port: Any, handle: str, source: str | None, to: str | None, **changes: Any) -> Any:
    wish = {"placeholder": None, "expected_holder": source, "fence": next(_numbers)}
    wish["key"] = f"key-{next(_numbers)}"
    return port.move(handle=handle, source=source, to=to, **wish | changes)


def test_a_profile_tells_what_its_holder_wrote_there(port: Any, pds: servers.Pds) -> None:
    did, _ = pds.sign_up()
    assert port.bio(account_id=did) is None
    for text in ("onym-7F3K is me", ""):
        pds.write_profile(did, text)
        assert port.bio(account_id=did) == (text or None)
    assert port.bio(account_id="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa") is None


def test_an_account_of_a_pds_is_linked_by_a_code_in_its_profile(
    world: servers.World, pds: servers.Pds
) -> None:
    did, label = pds.sign_up()
    member = make.member(world.place, mail="nadia@one.example")
    held = link.look_up(namespace="demo", handle=label, by=member.id)
    code = link.order_code(member=member.id, held=held).code
    assert not link.prove(member=member.id)
    pds.write_profile(did, f"Painter. {code}")
    assert link.prove(member=member.id)
    assert Link.objects.get(member=member).account_id == did


def test_a_revision_tells_the_instant_of_the_last_write() -> None:
    table = [
        ("3ltzkjshuec2w", datetime(2025, 7, 15, 18, 41, 23, 741000, UTC)),
        ("2222222222222", datetime(1970, 1, 1, tzinfo=UTC)),
        ("", None),
        ("3ltzkjshuec2", None),
        ("3ltzkjshuec2!", None),
        ("0000000000000", None),
    ]
    for revision, at in table:
        assert written_at(revision) == at, revision


def test_a_pds_says_what_it_can_do(port: Any, pds: servers.Pds, custodian: str) -> None:
    told = port.capabilities()
    assert (told.profile, told.custodian) == ("atproto", pds.resolve("custodian"))
    assert (told.atomic_move, told.reserve, told.retain) == (False, True, True)
    assert (told.notices, told.hand_over) == (True, True)
    bare = pds.platform(custodian=None, mails=False).capabilities()
    assert (bare.custodian, bare.reserve, bare.retain) == (None, False, False)
    assert (bare.notices, bare.hand_over) == (False, False)


def test_the_list_of_accounts_tells_their_last_write_and_who_is_suspended(
    port: Any, pds: servers.Pds, pair: Any, custodian: str
) -> None:
    (one, label), (other, _) = pair
    pds.suspend(other)
    rows, cursor = {}, None
    while True:
        page, cursor = port.accounts(cursor=cursor)
        rows |= {row["account_id"]: row for row in page}
        if cursor is None:
            break
    assert custodian not in rows
    assert (rows[one]["handle"], rows[one]["status"]) == (label, "active")
    latest = pds.ask("com.atproto.sync.getLatestCommit", did=one).json()["rev"]
    assert rows[one]["last_post_at"] == written_at(latest) is not None
    assert "email" not in rows[one], "whom the PDS itself tells"
    alone = pds.platform(mails=False)
    assert alone.account(account_id=one)["email"] == f"{label}@people.example"
    assert "email" in alone.capabilities().signals
    assert rows[other]["status"] == "suspended"
    assert rows[other]["last_post_at"] is not None


def test_an_account_is_read_now_and_an_unknown_one_is_none(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (one, label), (other, _) = pair
    row = port.account(account_id=one)
    assert (row["handle"], row["status"]) == (label, "active")
    pds.suspend(other)
    assert port.account(account_id=other)["status"] == "suspended"
    for unknown in ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "1007", "did:", " "):
        assert port.account(account_id=unknown) is None, unknown


def test_a_suspended_holder_still_holds_although_the_handle_does_not_resolve(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (one, label), _ = pair
    pds.suspend(one)
    assert pds.resolve(label) is None
    assert port.holder(handle=label) == Holding(label, one)
    assert port.holder(handle="nobody-here") == Holding("nobody-here", None)
    for name in ("no_such", "ab", "-a-", "nineteen-letters-xy"):
        with pytest.raises(HandleMalformed):
            port.holder(handle=name)


def test_a_move_renames_the_holder_and_the_pds_itself_says_who_holds_it_now(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    said = move(port, handle, seller, buyer, placeholder="was-" + handle[-8:])
    assert said.answer is Answer.DONE, said
    assert pds.resolve(handle) == buyer == port.holder(handle=handle).account_id
    told = pds.describe(buyer)
    assert (told["handle"], told["handleIsCorrect"]) == (f"{handle}.test", True)
    assert pds.label(seller) == "was-" + handle[-8:] == said.facts["placeholder"]
    assert pds.describe(seller)["handleIsCorrect"] is True


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"expected_holder": "did:plc:somebodyelse", "source": "did:plc:somebodyelse"}, "stale", None),
    ({"expected_holder": None, "source": None}, "stale", None),
    ({"fence": 0}, "malformed", None),
    ({"source": "did:plc:somebodyelse"}, "malformed", None),
    ({"to": None}, "malformed", None),
    ({"to": "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"}, "account_unknown", None),
    ({"to": "1007"}, "account_unknown", None),
    ({"placeholder": "not_a_label"}, "handle_malformed", None),
    ({}, "account_unavailable", "buyer"),
]


@pytest.mark.parametrize(("changes", "code", "suspended"), REFUSED)
def test_a_move_is_refused_with_a_code_and_nothing_happens(
    port: Any, pds: servers.Pds, pair: Any, changes: Any, code: str, suspended: str | None
) -> None:
    (seller, handle), (buyer, bought_with) = pair
    if suspended:
        pds.suspend(buyer)
    wish = {"source": seller, "to": buyer, "expected_holder": seller} | changes
    said = move(port, handle, wish.pop("source"), wish.pop("to"), **wish)
    assert (said.answer, said.code) == (Answer.REFUSED, code)
    assert (pds.label(seller), pds.label(buyer)) == (handle, bought_with)
    assert not PlatformWrite.objects.exclude(progress={}).exists(), "nothing was asked for, either"


def test_a_suspended_holders_handle_moves(port: Any, pds: servers.Pds, pair: Any) -> None:
    (seller, handle), (buyer, _) = pair
    pds.suspend(seller)
    assert move(port, handle, seller, buyer).done
    assert pds.resolve(handle) == buyer
    assert pds.label(seller) == names.placeholder("atproto", seller)


def test_one_key_has_one_effect_and_one_answer_for_ever(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    early = {"key": "early", "fence": 10}
    assert move(port, handle, buyer, seller, **early).code == "stale"
    first = move(port, handle, seller, buyer, key="a-key", fence=11)
    assert first.done
    assert move(port, handle, buyer, seller, **early).code == "stale", "though it is so by now"
    assert pds.resolve(handle) == buyer
    back = move(port, handle, buyer, seller, fence=12)
    assert back.done
    again = move(port, handle, seller, buyer, key="a-key", fence=11)
    assert (again.answer, dict(again.facts)) == (Answer.DONE, dict(first.facts))
    assert pds.resolve(handle) == seller
    other = move(port, handle, seller, buyer, key="a-key", fence=13)
    assert (other.answer, other.code) == (Answer.REFUSED, "idempotency_mismatch")
    assert pds.resolve(handle) == seller


def test_a_fence_that_was_used_is_stale_and_a_refusal_is_answered_again(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    assert move(port, handle, seller, buyer, fence=5).done
    for fence in (5, 4):
        said = move(port, handle, buyer, seller, fence=fence, key=f"late-{fence}")
        assert (said.answer, said.code, said.facts["fence"]) == (Answer.REFUSED, "stale", 5)
    assert move(port, handle, buyer, seller, fence=5, key="late-5").refused
    assert pds.resolve(handle) == buyer


def test_a_bar_changes_nothing_but_the_fence(port: Any, pds: servers.Pds, pair: Any) -> None:
    (seller, handle), (buyer, _) = pair
    assert move(port, handle, seller, seller, fence=7).done
    assert pds.label(seller) == handle
    late = move(port, handle, seller, buyer, fence=6)
    assert (late.refused, late.code) == (True, "stale")
    wrong = move(port, handle, buyer, buyer, fence=8)
    assert (wrong.refused, wrong.code) == (True, "stale")
    assert move(port, "nobody-at-all", None, None, fence=3).done
    assert move(port, "nobody-at-all", None, buyer, fence=2).code == "stale"
    assert pds.label(seller) == handle


def test_the_buyers_old_handle_is_kept_by_the_custodian_where_that_is_wished(
    port: Any, pds: servers.Pds, pair: Any, custodian: str
) -> None:
    (seller, handle), (buyer, left) = pair
    said = move(port, handle, seller, buyer, retain=True)
    assert (said.answer, said.facts["retained"]) == (Answer.DONE, True)
    assert port.holder(handle=left).account_id == custodian
    refused = pds.order(
        "com.atproto.server.createAccount",
        public=True,
        handle=f"{left}.test",
        email="thief@people.example",
        password="abcdefgh1",
        inviteCode=pds.code,
    )
    assert (refused.status_code, "taken" in refused.text) == (400, True)
    assert port.unreserve(handle=left, key=f"free-{left}").done
    assert port.holder(handle=left).account_id is None
    assert port.unreserve(handle=left, key=f"free-{left}").done
    assert port.unreserve(handle=left, key=f"free-{left}-2").code == "not_reserved"


def test_the_custodian_keeps_what_nobody_holds_and_moves_it_on(
    port: Any, pds: servers.Pds, pair: Any, custodian: str
) -> None:
    (seller, handle), (buyer, _) = pair
    assert port.reserve(handle=handle, key=f"r1-{handle}").code == "handle_held"
    assert move(port, handle, seller, custodian).done
    assert port.holder(handle=handle).account_id == custodian
    assert port.reserve(handle=handle, key=f"r2-{handle}").done
    shelf = pds.resolve(handle)
    assert move(port, handle, custodian, buyer).done
    assert pds.resolve(handle) == buyer
    assert port.account(account_id=shelf) is None
    kept = f"kept{handle[-6:]}".replace("-", "")
    assert port.reserve(handle=kept, key=f"r3-{kept}").done
    assert port.holder(handle=kept).account_id == custodian
    assert port.account(account_id=custodian)["handle"] == "custodian"


def test_a_handle_that_the_host_gives_to_nobody_is_kept_and_given(
    port: Any, pds: servers.Pds, pair: Any, custodian: str
) -> None:
    """`admin` cannot be signed up for; its administrator may give it."""
    _, (buyer, _) = pair
    assert port.reserve(handle="admin", key="r-admin").done
    assert port.holder(handle="admin").account_id == custodian
    assert move(port, "admin", custodian, buyer).done
    assert pds.resolve("admin") == buyer
    pds.rename(buyer, f"x-{buyer[-8:]}")


def test_a_placeholder_that_is_taken_is_followed_by_another(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    _, taken = pds.sign_up()
    assert move(port, handle, seller, buyer, placeholder=taken).done
    assert pds.label(seller).startswith("user-")


def test_whoever_goes_by_a_name_of_another_domain_is_not_listed(port: Any) -> None:
    accounts = port._accounts
    assert [accounts.label(name) for name in ("moon.test", "moon.example.com", "a.b.test")] == [
        "moon",
        "",
        "",
    ]


def test_nobody_listening_is_unknown_for_a_write_and_unavailable_for_a_read(
    pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    away = pds.platform(base=f"http://127.0.0.1:{free_port()}", timeout=1)
    assert move(away, handle, seller, buyer, key="later", fence=9).unknown
    assert away.notify(account_id=buyer, kind="k", text="t", href=None, key="n").unknown
    for read in (away.capabilities, away.accounts):
        with pytest.raises(PlatformUnavailable):
            read()
    assert PlatformWrite.objects.get(key="later").answer == ""
    assert move(pds.platform(), handle, seller, buyer, key="later", fence=9).done
    assert pds.resolve(handle) == buyer


def test_a_holder_is_told_by_mail_once(world: Any, port: Any, pair: Any) -> None:
    (one, label), _ = pair
    text = "Your <handle>\n\nPlease sign in."
    wish = {"account_id": one, "kind": "warning", "text": text, "href": "http://onym/keep/1"}
    for _ in range(2):
        assert port.notify(**wish, key=f"notice-{label}").done
    found = world.out.letters(f"{label}@people.example")
    assert [letter["subject"] for letter in found] == ["Your <handle>"]
    assert "http://onym/keep/1" in found[0]["text"].splitlines(), "alone on its line"
    assert "Your <handle>" in found[0]["text"]
    assert "sign in" not in str(PlatformWrite.objects.get(key=f"notice-{label}").wish)
    unknown = port.notify(**wish | {"account_id": "did:plc:nobody"}, key=f"none-{label}")
    assert (unknown.refused, unknown.code) == (True, "account_unknown")


def test_a_whole_account_changes_hands_only_where_that_is_switched_on(
    world: Any, port: Any, pds: servers.Pds
) -> None:
    did, label = pds.sign_up(password="the-old-one")
    sign_in = {"identifier": did, "password": "the-old-one", "public": True}
    session = pds.order("com.atproto.server.createSession", **sign_in).json()
    bearer = {"Authorization": f"Bearer {session['accessJwt']}"}
    made = requests.post(
        f"{pds.base}/xrpc/com.atproto.server.createAppPassword",
        json={"name": "phone"},
        headers=bearer,
        timeout=30,
    ).json()
    off = pds.platform()
    wish = {"account_id": did, "email": f"new-{label}@people.example", "fence": 1}
    assert off.hand_over(**wish, key=f"off-{label}").code == "not_supported"
    before = address_digest(f"{label}@people.example")
    assert port.handed_over(account_id=did) == HandedOver(0, before)
    held = wish | {"handle": f"not-{label}"}
    assert port.hand_over(**held, key=f"held-{label}").code == "stale"
    taken = wish | {"email": f"{pds.sign_up()[1]}@people.example", "fence": 2}
    assert port.hand_over(**taken, key=f"taken-{label}").code == "address_taken"
    kept = pds.order("com.atproto.server.createSession", **sign_in)
    assert kept.ok, "an address that another account has changes nothing"
    wish |= {"fence": 3, "handle": label, "last": 0}
    assert port.hand_over(**wish, key=f"on-{label}").done
    handed = HandedOver(3, address_digest(f"New-{label}@people.example"))
    assert port.handed_over(account_id=did) == handed
    bar = {"account_id": did, "email": None}
    assert port.hand_over(**bar, fence=4, last=0, key=f"bar0-{label}").code == "stale"
    assert port.hand_over(**bar, fence=5, last=3, key=f"bar3-{label}").done
    assert port.handed_over(account_id=did) == handed
    for password in ("the-old-one", made["password"]):
        told = pds.order("com.atproto.server.createSession", **sign_in | {"password": password})
        assert told.status_code == 401, told.text
    refresh = requests.post(
        f"{pds.base}/xrpc/com.atproto.server.refreshSession",
        headers={"Authorization": f"Bearer {session['refreshJwt']}"},
        timeout=30,
    )
    assert refresh.status_code == 400, refresh.text
    assert "eset" in world.out.letters(f"new-{label}@people.example")[0]["subject"]
    assert port.hand_over(**wish | {"fence": 4}, key=f"late-{label}").code == "stale"
    assert f"new-{label}" not in str(PlatformWrite.objects.get(key=f"on-{label}").wish)


def test_a_write_is_a_sign_of_life_and_a_new_handle_is_none(
    port: Any, pds: servers.Pds, pair: Any
) -> None:
    (one, label), (other, _) = pair
    session = pds.order(
        "com.atproto.server.createSession",
        public=True,
        identifier=one,
        password=pds.passwords[one],
    ).json()
    before = port.account(account_id=one)["last_post_at"]
    assert move(port, label, one, other).done
    assert port.account(account_id=one)["last_post_at"] == before
    record = {"$type": "app.bsky.feed.post", "text": "here", "createdAt": "2026-01-01T00:00:00Z"}
    made = requests.post(
        f"{pds.base}/xrpc/com.atproto.repo.createRecord",
        json={"repo": one, "collection": "app.bsky.feed.post", "record": record},
        headers={"Authorization": f"Bearer {session['accessJwt']}"},
        timeout=30,
    )
    assert made.ok, made.text
    assert port.account(account_id=one)["last_post_at"] > before


def test_of_two_orders_at_once_for_one_handle_one_moves_it(pds: servers.Pds, pair: Any) -> None:
    """Both read the same holder before either has renamed it, were it not for their turn."""
    (seller, handle), (buyer, _) = pair
    other, _ = pds.sign_up()
    buyers = {buyer: 21, other: 22}

    def order(to: str) -> Any:
        try:
            return move(pds.platform(), handle, seller, to, fence=buyers[to], key=f"at-once-{to}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        said = dict(zip(buyers, threads.map(order, buyers), strict=True))
    (winner,) = [to for to, outcome in said.items() if outcome.done]
    (loser,) = [outcome for to, outcome in said.items() if to != winner]
    assert (loser.answer, loser.code) == (Answer.REFUSED, "stale")
    assert pds.resolve(handle) == winner
    assert pds.label(seller).startswith("user-")


def test_a_move_without_an_end_is_ended_before_the_next_one_for_that_handle(
    pds: servers.Pds, pair: Any
) -> None:
    """Its own job may be dead; the handle is nobody's meanwhile."""
    (seller, handle), (buyer, _) = pair
    third, _ = pds.sign_up()
    with laid(pds.base) as line:
        port = pds.platform(base=line.base)
        line.between(lambda: line.arm("error", on="updateAccountHandle"), on="updateAccountHandle")
        assert move(port, handle, seller, buyer, fence=1, key=f"first-{handle}").unknown
        assert pds.resolve(handle) is None
        assert move(port, handle, buyer, third, fence=2, key=f"second-{handle}").done
    assert PlatformWrite.objects.get(key=f"first-{handle}").answer == "done"
    assert pds.resolve(handle) == third


def test_while_another_process_has_the_turn_an_order_waits_and_is_unknown(
    pds: servers.Pds, pair: Any
) -> None:
    (seller, handle), (buyer, _) = pair
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with Writes(namespace="demo").turn([f"handle:{handle}"], seconds=1) as mine:
            assert mine
            taken.set()
            over.wait(timeout=30)
        connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold)
        assert taken.wait(timeout=10)
        said = move(pds.platform(patience=0.2), handle, seller, buyer, fence=1, key=f"w-{handle}")
        over.set()
        holding.result(timeout=10)
    assert (said.unknown, said.code) == (True, "in_progress")
    assert pds.label(seller) == handle
    assert move(pds.platform(), handle, seller, buyer, fence=1, key=f"w-{handle}").done


def test_a_handle_that_somebody_takes_just_before_it_is_assigned_is_theirs(
    pds: servers.Pds, pair: Any
) -> None:
    """Nobody held it and nobody was renamed for it, so nothing is given back."""
    _, (buyer, bought_with) = pair
    label = f"free{next(_numbers)}"
    takers: list[str] = []
    with laid(pds.base) as line:
        status = "com.atproto.sync.getRepoStatus"  # the last thing that is asked before
        line.between(lambda: None, on=status)
        line.between(lambda: takers.append(pds.sign_up(handle=label)[0]), on=status)
        said = move(pds.platform(base=line.base), label, None, buyer)
    assert (said.answer, said.code) == (Answer.REFUSED, "taken")
    assert (pds.resolve(label), pds.label(buyer)) == (takers[0], bought_with)
