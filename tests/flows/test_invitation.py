"""One recipient, one mail: what no server answered for is tried again, and nothing else is."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests import make
from tests import world as worlds

from onym import ports
from onym.flows import area, desk, invitation
from onym.ports.mail import Delivery, Message
from onym.store.models import Campaign, Event, Handle, Invitation

_numbers = itertools.count(1)


@pytest.fixture
def world(database: str, settings: Any) -> worlds.World:
    return worlds.market(settings)


def sending(world: worlds.World) -> tuple[Any, list[str]]:
    """A campaign whose mails to three recipients are ordered."""
    mails = [f"{name}{os.getpid()}-{next(_numbers)}@mail.example" for name in ("ada", "bo", "cy")]
    row = Handle.objects.get(handle=world.stock())
    made = make.campaign(row, mails=" ".join(mails), by=world.team[0].id)
    invitation.send(campaign_id=made.id, by=world.team[0].id)
    return made, mails


def trouble(world: worlds.World, kind: str, to: str) -> None:
    assert world.out.mailbox.pull("/demo/faults", kind=kind, to=to).ok


def copies(world: worlds.World, mails: list[str]) -> list[int]:
    return [sum(world.out.copies(mail)) for mail in mails]


def state(made: Any) -> str:
    return str(Campaign.objects.get(pk=made.id).state)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_mail_that_was_put_off_holds_up_no_other_and_alone_is_tried_again(
    world: worlds.World, which: int
) -> None:
    made, mails = sending(world)
    trouble(world, "defer_letter", mails[which])
    world.drain()
    assert copies(world, mails) == [int(at != which) for at in range(3)]
    assert state(made) == "sending"
    world.drain(hurry=True)
    assert copies(world, mails) == [1, 1, 1]
    assert state(made) == "sent"


def test_a_mail_whose_answer_was_lost_may_come_twice_and_the_others_come_once(
    world: worlds.World,
) -> None:
    _, mails = sending(world)
    trouble(world, "lost", mails[1])
    world.drain(hurry=True)
    assert copies(world, mails) == [1, 2, 1]


def test_a_mail_that_is_refused_for_good_does_not_leave_again(world: worlds.World) -> None:
    made, mails = sending(world)
    trouble(world, "refuse_letter", mails[0])
    trouble(world, "defer_letter", mails[1])
    world.drain(hurry=True)
    assert copies(world, mails) == [0, 1, 1]
    assert state(made) == "sent"


def test_the_lift_of_a_stop_mails_nobody_whose_mail_was_taken(world: worlds.World) -> None:
    made, mails = sending(world)
    trouble(world, "defer_letter", mails[2])
    world.drain()
    turn(world, stopped=True)
    world.drain(hurry=True)
    assert (copies(world, mails), state(made)) == ([1, 1, 0], "sending")
    turn(world, stopped=False)
    world.drain(hurry=True)
    assert (copies(world, mails), state(made)) == ([1, 1, 1], "sent")


def turn(world: worlds.World, *, stopped: bool) -> None:
    one, other = (member.id for member in world.team)
    asked: Any = area.set_area(namespace="demo", area="outreach", stopped=stopped, by=one)
    if not stopped:
        desk.approve(approval_id=asked.id, by=other, shown=asked.shown)


def test_whoever_unsubscribes_between_two_attempts_gets_no_second_and_keeps_the_offer(
    world: worlds.World,
) -> None:
    made, mails = sending(world)
    trouble(world, "lost", mails[1])
    world.drain()
    row = Invitation.objects.get(campaign=made, position=1)
    invitation.unsubscribe(token=row.token)
    world.drain(hurry=True)
    assert (copies(world, mails), state(made)) == ([1, 1, 1], "sent")
    assert invitation.by_token(row.token).state == "sent"


@dataclass(slots=True)
class Watching:
    """A post office beside which somebody looks whether the leaves stand as each mail leaves."""

    port: Any
    stood: list[bool] = field(default_factory=list)

    def send(self, message: Message) -> Delivery:
        events = Event.objects.filter(type__in=("CandidatesCommitted", "InvitationSent"))
        sent = Invitation.objects.exclude(sent_at=None).count()
        self.stood.append(events.exclude(leaf_index=None).count() == 1 + sent)
        answer: Delivery = self.port.send(message)
        return answer


def test_the_leaves_stand_before_each_attempt(world: worlds.World) -> None:
    _, mails = sending(world)
    trouble(world, "defer_letter", mails[0])
    watching = Watching(world.out.mail())
    ports.install(
        payments={"demo": world.out.payments()},
        platforms={"demo": world.out.platform()},
        mail=watching,
    )
    world.drain(hurry=True)
    assert watching.stood == [True] * 4
