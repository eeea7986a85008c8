"""After a hand-over the operator's systems end what was keyed by the handle's text, against the
demo's platform: in order, asked again while it is not answered, and told when it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from tests import make
from tests import world as worlds
from tests.faults import ways

from onym import ports
from onym.core.errors import AlreadyClosed, Malformed, NotAllowed
from onym.core.hook import Hook
from onym.flows import hook as flow
from onym.jobs import hook as jobs
from onym.ports.hooks import SignedHooks, _outcome
from onym.ports.platform import Answer
from onym.queries import hook as queries
from onym.site import hooks
from onym.store.hook import HookCall
from onym.store.models import Handle

KINDS = ("sessions", "tokens", "mail-aliases", "webhooks")


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    made = worlds.market(settings)
    base = made.out.plaza.program.base
    signed = SignedHooks(key_id="onym", private_key=made.out.plaza.key, timeout=5)
    ports.install(hooks={"demo": signed})
    settings.HOOKS = tuple(Hook(kind, f"{base}/hooks/{kind}") for kind in KINDS)
    return made


def keyed(world: worlds.World, handle: str) -> Any:
    found = world.out.plaza.program.get(f"/demo/keyed/{handle}").json()
    return {kind: found[kind] for kind in KINDS}


def sold(world: worlds.World, *, fault: dict[str, Any] | None = None) -> ways.Way:
    """A handle of the stock with something of each kind under its text, bought and paid."""
    buyer, _, _ = world.member()
    way = ways.Way("listing", world, world.stock(), buyer, None, make.usd(400), world.team[0])
    for kind in KINDS:
        made = world.out.plaza.program.pull(
            "/demo/keyed", handle=way.handle, kind=kind, text=f"old {kind}"
        )
        assert made.status_code == 201, made.text
    if fault:
        world.out.plaza.program.pull("/demo/faults", **fault)
    way.pay(way.agree())
    return way


def browser(member: Any) -> Client:
    member.user = User.objects.create_user(member.id)
    member.save(update_fields=["user"])
    client = Client()
    client.force_login(member.user)
    return client


def states(sale: Any) -> list[tuple[str, str]]:
    return [(call["name"], call["state"]) for call in queries.of_sale(sale.id)]


def test_nothing_keyed_by_the_text_survives_into_the_next_tenure(world: worlds.World) -> None:
    way = sold(world)
    assert keyed(world, way.handle)["tokens"] == ["old tokens"]
    world.drain(hurry=True)
    assert keyed(world, way.handle) == {kind: [] for kind in KINDS}
    assert states(way.sale()) == [(kind, "done") for kind in KINDS]
    assert queries.not_done("demo") == []
    page = browser(way.buyer).get(f"/en/sales/{way.sale().id}").content.decode()  # type: ignore[union-attr]  # it was sold
    assert "mail addresses of that name" in page
    world.audit()


@pytest.mark.parametrize("kind", ["error", "cut_before", "cut_after", "error_after"])
def test_a_hook_without_an_answer_is_asked_again_and_the_next_ones_wait_for_it(
    world: worlds.World, kind: str
) -> None:
    way = sold(world, fault={"kind": kind, "on": "hook", "times": 2})
    world.drain()
    assert states(way.sale()) == [("sessions", "unknown")] + [(k, "pending") for k in KINDS[1:]]
    assert [call["name"] for call in queries.not_done("demo")] == list(KINDS)
    world.drain(hurry=True)
    assert keyed(world, way.handle) == {kind: [] for kind in KINDS}
    assert states(way.sale()) == [(kind, "done") for kind in KINDS]


@pytest.mark.parametrize(
    ("status", "told", "answer"),
    [
        (200, {"ended": 1}, Answer.DONE),
        (404, {"code": "not_found"}, Answer.REFUSED),
        (404, {"message": "no route"}, Answer.UNKNOWN),
        (404, {"code": 404}, Answer.UNKNOWN),
        (404, "<html>", Answer.UNKNOWN),
        (409, {"code": "in_progress"}, Answer.UNKNOWN),
        (500, {"code": "broken"}, Answer.UNKNOWN),
    ],
)
def test_only_a_hooks_own_code_is_its_refusal(status: int, told: object, answer: Answer) -> None:
    """A gateway that answers in its stead leaves open what became of it."""
    assert _outcome(status, told).answer is answer


def test_a_hook_that_refuses_holds_up_no_other_and_is_asked_again_by_hand(
    world: worlds.World, settings: Any
) -> None:
    base = world.out.plaza.program.base
    settings.HOOKS = (Hook("cars", f"{base}/hooks/cars"), *settings.HOOKS)
    way, team = sold(world), make.member(world.place, roles="operator")
    world.drain(hurry=True)
    assert states(way.sale())[0] == ("cars", "refused")
    assert keyed(world, way.handle) == {kind: [] for kind in KINDS}
    (left,) = queries.not_done("demo")
    assert (left["name"], left["code"]) == ("cars", "not_found")
    HookCall.objects.filter(pk=left["id"]).update(url=f"{base}/hooks/tokens")
    with pytest.raises(NotAllowed):
        flow.call_again(call_id=left["id"], by=way.buyer.id)
    flow.call_again(call_id=left["id"], by=team.id)
    world.drain(hurry=True)
    assert queries.not_done("demo") == []
    jobs.call(about=HookCall.objects.get(pk=left["id"]).about)  # a copy of the job finds nothing
    with pytest.raises(AlreadyClosed):
        flow.call_again(call_id=left["id"], by=team.id)


def test_a_retained_handle_keeps_what_is_its_movers_until_it_is_let_go(
    world: worlds.World,
) -> None:
    way = sold(world)
    world.drain(hurry=True)
    (old,) = Handle.objects.filter(redirect_to=way.handle).values_list("handle", flat=True)
    world.out.plaza.program.pull("/demo/keyed", handle=old, kind="mail-aliases", text="mine")
    world.pass_time(days=29)
    assert keyed(world, old)["mail-aliases"] == ["mine"]
    world.pass_time(days=2)
    assert keyed(world, old)["mail-aliases"] == []


def test_a_list_of_hooks_that_is_not_there_is_said_at_start(tmp_path: Path) -> None:
    assert hooks.read("") == ()
    with pytest.raises(Malformed, match="ONYM_HOOKS"):
        hooks.read(str(tmp_path / "none.toml"))
