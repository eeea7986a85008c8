"""Links in mails: opened by scanners, forwarded, late or twice, they do only what was pressed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from tests import make
from tests.surfaces.test_api import Caller

from onym.flows import invitation, offer, people, record
from onym.queries import notice
from onym.store import clock
from onym.store import reclaim as store
from onym.store.models import (
    Appeal,
    IdempotentRequest,
    Invitation,
    Notice,
    Offer,
    Reclaim,
    Sale,
    Suppression,
)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def signed_in(mail: str, **changes: Any) -> Client:
    made = people.join(namespace="demo", name="X", mail=mail, password="rope-and-anchor", **changes)
    people.link(member=made.id, account_id=f"acc-{mail}")
    client = Client()
    client.post("/en/sign-in", {"mail": mail, "password": "rope-and-anchor"})
    return client


def invited(place: Any, *mails: str) -> list[str]:
    """Links of sent invitations to @moon, one a mail address."""
    make.handle(place, "moon", state="released")
    curator = make.member(place, roles="curator").id
    made = invitation.propose(
        namespace="demo",
        handle="moon",
        by=curator,
        price=make.usd(900),
        criteria="they asked",
        recipients=[invitation.Recipient(mail, "Ada", "en") for mail in mails],
        expires_in_days=14,
    )
    invitation.send(campaign_id=made.id, by=curator)
    for row in Invitation.objects.order_by("position"):
        assert invitation.sending(invitation_id=row.id)
    return [f"/en/invitations/{row.token}" for row in Invitation.objects.order_by("position")]


def kept(place: Any, **changes: Any) -> str:
    """The keep link of @sunset's warned holder."""
    process = make.reclaimed(place, "sunset", **changes)
    token = store.keep_token(
        namespace="demo", handle="sunset", account_id=process.account_id, plan=process.plan_id
    )
    return f"/en/keep/{token}"


def asked(place: Any) -> str:
    """The link by which @moon's holder, who never signed in, is asked about an offer."""
    make.handle(place, "moon")
    buyer = make.member(place, account="acc-buyer", mail="buyer@mail.example")
    offer.make(namespace="demo", handle="moon", buyer=buyer.id, price=make.usd(100))
    letter = notice.letter(Notice.objects.get(kind="offer_made").id)
    assert letter is not None
    return "/en/offers/" + letter.facts["href"].rsplit("/", 1)[1]


def everything() -> dict[str, Any]:
    """How many rows each table has, and a digest of all they hold; sessions and jobs apart."""
    found = {}
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name.startswith(("store_", "auth_")):
                quoted = connection.ops.quote_name(name)
                cursor.execute(f"select count(*), sum(hashtext(t::text)::bigint) from {quoted} t")
                found[name] = cursor.fetchone()
    return found


def link_of(kind: str, place: Any) -> str:
    if kind == "keep":
        return kept(place)
    if kind == "offer":
        return asked(place)
    link = invited(place, "ada@mail.example")[0]
    return link if kind == "invitation" else link.replace("invitations", "unsubscribe")


@pytest.mark.parametrize("kind", ["keep", "offer", "invitation", "unsubscribe"])
def test_a_scanner_that_opens_a_link_twice_changes_nothing(place: Any, kind: str) -> None:
    link = link_of(kind, place)
    before = everything()
    assert sum(count for count, _ in before.values()) > 8
    assert Client().get(link).status_code == 200
    assert Client().head(link).status_code == 200
    assert Client().get(link).status_code == 200
    assert everything() == before


@pytest.mark.parametrize("kind", ["keep", "offer", "invitation", "unsubscribe"])
def test_a_link_that_somebody_made_up_leads_nowhere(place: Any, kind: str) -> None:
    link = link_of(kind, place)
    before = everything()
    for wrong in (link[:-1] + ("A" if link[-1] != "A" else "B"), link + "x"):
        assert Client().get(wrong).status_code == 404
        assert Client().post(wrong, {"do": kind}).status_code == 404
    assert everything() == before


def test_one_press_keeps_and_a_second_one_is_nothing(place: Any) -> None:
    link, client = kept(place), Client()
    assert client.post(link, {"do": "keep"})["Location"] == link
    first = Reclaim.objects.get()
    assert first.ending == "returned"
    assert client.post(link, {"do": "keep"}).status_code == 302
    assert Reclaim.objects.get().ended_at == first.ended_at
    assert "it stays yours" in client.get(link).content.decode()


def test_the_holder_appeals_by_the_link_and_an_empty_appeal_is_refused(place: Any) -> None:
    link, client = kept(place, state="resting"), Client()
    assert client.post(link, {"do": "appeal", "text": " "}).status_code == 400
    assert not Appeal.objects.exists()
    assert client.post(link, {"do": "appeal", "text": "I was at sea"}).status_code == 302
    assert "Your appeal is open" in client.get(link).content.decode()
    again = client.post(link, {"do": "appeal", "text": "I was at <sea>"})
    assert again.status_code == 409
    assert Appeal.objects.get().text == "I was at sea"


def press(client: Client, link: str, do: str) -> Any:
    key = re.search(r'name="key" value="([^"]+)"', client.get(link).content.decode())
    return client.post(link, {"do": do, "key": key[1] if key else "a-key-of-ours"})


def test_an_invitation_is_for_its_recipient_and_is_not_used_up_by_another(place: Any) -> None:
    link = invited(place, "ada@mail.example")[0]
    assert press(signed_in("eve@mail.example"), link, "accept").status_code == 403
    assert Invitation.objects.get().state == "sent"
    ada = signed_in("ada@mail.example")
    answer = press(ada, link, "accept")
    assert answer["Location"] == f"/en/sales/{Sale.objects.get().id}"
    page = ada.get(link).content.decode()
    assert "This offer was accepted" in page
    assert 'value="accept"' not in page
    assert press(ada, link, "accept").status_code == 409


def test_nobody_accepts_without_signing_in_and_anybody_with_the_link_declines(place: Any) -> None:
    link = invited(place, "ada@mail.example")[0]
    answer = press(Client(), link, "accept")
    assert answer["Location"] == f"/en/sign-in?next={link}"
    assert press(Client(), link, "decline").status_code == 302
    assert Invitation.objects.get().state == "declined"
    assert "You declined" in Client().get(link).content.decode()


def test_an_expired_invitation_says_so_and_accepts_no_more(place: Any) -> None:
    link = invited(place, "ada@mail.example")[0]
    Invitation.objects.update(expires_at=make.LONG_AGO)
    ada = signed_in("ada@mail.example")
    assert press(ada, link, "accept").status_code == 410
    invitation.expire(invitation_id=Invitation.objects.get().id)
    assert "This offer has expired" in ada.get(link).content.decode()
    assert not Sale.objects.exists()


def test_who_comes_second_is_told_that_the_handle_went_elsewhere(place: Any) -> None:
    first, second = invited(place, "ada@mail.example", "bo@mail.example")
    press(signed_in("ada@mail.example"), first, "accept")
    bo = signed_in("bo@mail.example")
    assert press(bo, second, "accept").status_code == 409
    assert "no longer for sale here" in bo.get(second).content.decode()


def test_neither_page_nor_program_keeps_the_link_that_was_answered(place: Any) -> None:
    program, page = invited(place, "bo@mail.example", "ada@mail.example")
    bo = Caller(make.member(place, account="acc-bo"))
    path = program.removeprefix("/en")
    assert bo.send("POST", f"{path}/decline").status_code == 200
    assert press(signed_in("ada@mail.example"), page, "accept").status_code == 302
    routes = IdempotentRequest.objects.values_list("route", flat=True)
    assert len(routes) == 2
    assert not [link for link in (program, page) if link.rsplit("/", 1)[1] in "".join(routes)]


def test_one_click_of_a_mail_program_ends_private_offers_and_no_other_letter(place: Any) -> None:
    link = invited(place, "ada@mail.example")[0].replace("invitations", "unsubscribe")
    client = Client(enforce_csrf_checks=True)
    done = client.post(link, {"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    assert client.post(link).status_code == 200
    assert Suppression.objects.count() == 1
    assert not goes("invitation", to="ada@mail.example")
    for kind in ("sign_in_code", "security_changed", "trade_cooling", "handle_warned"):
        assert goes(kind, to="ada@mail.example"), kind


def goes(kind: str, *, to: str) -> bool:
    """Whether a letter of this kind to the address would leave."""
    record.notify(namespace="demo", kind=kind, about="x", now=clock.now(), address=to)
    letter = notice.letter(Notice.objects.get(kind=kind).id)
    assert letter is not None
    return not letter.suppressed


def test_a_declined_offer_stays_declined_and_the_link_says_so(place: Any) -> None:
    link = asked(place)
    assert Client().post(link, {"do": "decline"})["Location"] == link
    assert Client().post(link, {"do": "decline"}).status_code == 409
    assert Offer.objects.get().state == "declined"
    assert "declined" in Client().get(link).content.decode()
