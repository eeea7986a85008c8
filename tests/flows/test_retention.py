"""Each class of personal data stays for its days and is gone after them, to the hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from tests import make

from onym.core import retention as core
from onym.flows import invitation as flow
from onym.flows import retention
from onym.jobs import retention as jobs
from onym.store import clock, secrets
from onym.store.models import (
    Appeal,
    Delivery,
    DirectoryImport,
    Disclosure,
    Event,
    Invitation,
    MailCode,
    Notice,
    Watch,
    WatchHit,
    Webhook,
)


@pytest.fixture
def place(database: str, settings: Any, tmp_path: Path) -> Any:
    settings.NAMESPACE, settings.DATA, settings.LOG_ORIGIN = "demo", tmp_path, "test/log"
    return make.namespace()


def session(_: Any) -> Any:
    """Browser and address hang on the session."""
    Session.objects.create(session_key="k", session_data="", expire_date=clock.machine())
    user = User.objects.create_user(username="mbr_1")
    UserSession.objects.create(user=user, ip="192.0.2.1", user_agent="Mozilla", session_key="k")
    return Session.objects, "expire_date"


def mail_code(place: Any) -> Any:
    sealed = {"address_sealed": b"a", "name_sealed": b"n"}
    rest = {"language": "en", "joins": True, "digest": "d", "ordered_at": clock.machine()}
    MailCode.objects.create(id="mlc_1", namespace=place, **sealed, **rest)
    return MailCode.objects, "ordered_at"


def notice(place: Any) -> Any:
    Notice.objects.create(
        id="ntc_1",
        namespace=place,
        channel="mail",
        kind="offer_made",
        about="off_1",
        address_sealed=b"a",
        address_index="a",
        made_at=clock.now(),
    )
    return Notice.objects, "made_at"


def invitation(place: Any) -> Any:
    """Sent, so that its leaf has an opening that names the recipient."""
    staff = make.member(place, roles="curator").id
    handle = make.handle(place, "orbit", state="released", account_id=None)
    made = make.campaign(handle, mails="ada@mail.example", by=staff)
    flow.send(campaign_id=made.id, by=staff)
    rows = Invitation.objects.filter(campaign_id=made.id)
    assert flow.sending(invitation_id=rows.get().id)
    return rows, "closed_at"


def appeal(place: Any) -> Any:
    process = make.reclaimed(place, "moon")
    Appeal.objects.create(
        id="apl_1",
        namespace=place,
        handle=process.handle,
        process=process,
        account_id="acc-moon",
        text_sealed=secrets.seal("I was ill.", place="appeal.text/apl_1"),
        state="rejected",
        opened_at=make.NOW,
        decided_at=clock.now(),
        decided_by=make.member(place, roles="reviewer"),
    )
    return Appeal.objects, "decided_at"


def webhook(place: Any) -> Any:
    Webhook.objects.create(
        id="whk_1",
        namespace=place,
        member=make.member(place),
        url_sealed=b"u",
        url_index="u",
        secret_sealed=b"s",
        state="ended",
        leaf=0,
        made_at=clock.machine(),
        ended_at=clock.machine(),
    )
    return Webhook.objects, "ended_at"


def delivery(place: Any) -> Any:
    webhook(place)
    made = {"state": "delivered", "made_at": clock.machine(), "answered_at": clock.machine()}
    Delivery.objects.create(id="dlv_1", webhook_id="whk_1", leaf_index=1, **made)
    return Delivery.objects, "answered_at"


def watch_hit(place: Any) -> Any:
    row, now = make.handle(place, "moon"), clock.now()
    watch = Watch.objects.create(
        id="wch_1", namespace=place, member=make.member(place), prefix="moo", made_at=now
    )
    WatchHit.objects.create(watch=watch, handle=row, what="listed", about="l", at=now)
    return WatchHit.objects, "at"


def disclosure(place: Any) -> Any:
    who = make.member(place, roles="reviewer")
    Disclosure.objects.create(
        namespace=place, member=who, what="appeal", about="apl_1", at=clock.now()
    )
    return Disclosure.objects, "at"


def directory(place: Any) -> Any:
    """The last two stay whatever their age; a third is older."""
    for name in ("old", "one", "two"):
        folder = Path(settings.DATA) / "namespaces" / name
        folder.mkdir(parents=True)
        DirectoryImport.objects.create(
            id=f"imp_{name}", namespace=place, path=str(folder), rows=1, at=clock.now()
        )
    return DirectoryImport.objects.filter(pk="imp_old"), "at"


MADE: dict[str, Callable[[Any], Any]] = {
    "sessions": session,
    "mail_codes": mail_code,
    "notices": notice,
    "invitations": invitation,
    "appeals": appeal,
    "deliveries": delivery,
    "webhooks": webhook,
    "watch_hits": watch_hit,
    "disclosures": disclosure,
    "directories": directory,
}
"""Class → what makes one row of it; answers the row and the column that its days count from."""


def test_every_class_is_tried_here_and_taken_away_by_the_flow() -> None:
    assert set(MADE) == set(core.KINDS) == set(retention.CLASSES)


@pytest.mark.parametrize("kind", MADE)
def test_what_is_an_hour_short_of_its_days_stays_and_an_hour_past_them_goes(
    place: Any, kind: str
) -> None:
    rows, since = MADE[kind](place)
    days = timedelta(days=core.built_in()[kind])
    rows.update(**{since: clock.now() - days + timedelta(hours=1)})
    assert retention.purge()[kind] == 0
    rows.update(**{since: clock.now() - days - timedelta(hours=1)})
    assert retention.purge()[kind] == 1
    assert retention.purge()[kind] == 0


def test_a_row_that_cannot_be_read_does_not_end_the_daily_round(
    place: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An opening under a lost key spoils one day's round, and the thread lives on to the next."""
    rows, since = invitation(place)
    rows.update(**{since: clock.now() - timedelta(days=400)})
    sent = Event.objects.filter(type="InvitationSent")
    assert sent.update(openings=b"sealed under a lost key") == 1
    stop = threading.Event()
    keeper = threading.Thread(target=jobs.keep, args=(stop,), kwargs={"first": 0.0, "then": 0.05})
    keeper.start()
    try:
        until = time.monotonic() + 10
        while len(caplog.records) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert keeper.is_alive()
    finally:
        stop.set()
        keeper.join()
    assert {one.message for one in caplog.records} == {
        "what has had its time could not be taken away"
    }
