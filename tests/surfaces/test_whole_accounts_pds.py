"""A whole account sold on a real PDS: its identity stays, who may sign in to it changes, and where
the PDS will not have the buyer's address nothing is done and the money goes back.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from tests.demo import pds as servers
from tests.faults import ways

from onym.store.models import Handle, Sale

SESSION = "com.atproto.server.createSession"


@pytest.fixture
def world(database: str, settings: Any) -> servers.World:
    return servers.market(settings)


@pytest.fixture
def pds(world: servers.World) -> servers.Pds:
    return servers.running()


def test_a_bought_account_keeps_its_identity_and_opens_to_its_buyer_alone(
    world: servers.World, pds: servers.Pds
) -> None:
    way = ways.account(world)
    did = Handle.objects.get(handle=way.handle).account_id or ""
    old = pds.order(SESSION, public=True, identifier=did, password=pds.passwords[did]).json()
    before = pds.describe(did)
    made = way.agree()
    way.pay(made)
    world.drain(hurry=True)
    sale = Sale.objects.get(pk=made)
    buyers = str(way.buyer.mailaddress_set.get().address)
    assert (sale.state, pds.resolve(way.handle), pds.mail_of(did)) == ("inspection", did, buyers)
    after = pds.describe(did)
    assert (after["did"], after["handle"], after["handleIsCorrect"]) == (
        did,
        before["handle"],
        True,
    )
    assert not pds.signs_in(did, pds.passwords[did])
    refresh = requests.post(
        f"{pds.base}/xrpc/com.atproto.server.refreshSession",
        headers={"Authorization": f"Bearer {old['refreshJwt']}"},
        timeout=30,
    )
    assert refresh.status_code == 400, refresh.text
    letters = [one for one in world.out.letters(buyers) if "eset" in one["subject"]]
    token = re.search(r"\b[A-Z2-7]{5}-[A-Z2-7]{5}\b", letters[0]["text"])
    assert token, letters[0]["text"]
    reset = {"token": token[0], "password": "what-the-buyer-chose"}
    assert pds.order("com.atproto.server.resetPassword", public=True, **reset).ok
    assert pds.signs_in(did, "what-the-buyer-chose")
    way.accept(made)
    world.pass_time(days=3.1)
    world.check(made)


def test_an_address_that_the_pds_has_already_changes_nothing_and_the_money_goes_back(
    world: servers.World, pds: servers.Pds
) -> None:
    way = ways.account(world)
    did = Handle.objects.get(handle=way.handle).account_id or ""
    pds.sign_up(email=str(way.buyer.mailaddress_set.get().address))
    made = way.agree()
    way.pay(made)
    world.drain(hurry=True)
    sale = Sale.objects.get(pk=made)
    assert (sale.state, sale.transfer_set.get().reason) == ("refunded", "address_taken")
    assert pds.signs_in(did, pds.passwords[did])
    world.check(made)
