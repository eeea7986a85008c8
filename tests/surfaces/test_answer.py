"""Offers answered without sign-up: a letter's link and a proof of the account, never one alone."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client
from tests import make
from tests import world as worlds
from tests.demo import plaza as plazas
from tests.surfaces.test_accounts import race
from tests.surfaces.test_openid import at_the_platform

from onym import ports
from onym.core import link as links
from onym.core.errors import AlreadyClosed, NotAllowed
from onym.flows import answer as flow
from onym.flows import contacts, names, offer, people
from onym.ports.openid import Provider
from onym.ports.screening import NameList
from onym.queries import notice
from onym.store import clock
from onym.store.models import (
    Link,
    MailAddress,
    Member,
    Notice,
    Offer,
    OfferAnswer,
    Payout,
    PayoutAccount,
    Sale,
    ScreeningCase,
)
from onym.sweep import snapshot

MAIL = "asked@mail.example"


@pytest.fixture
def world(database: str, settings: Any) -> Any:
    made = worlds.market(settings)
    yield made
    ports.clear()


class Asked:
    """An offer to an account that never signed in, whose mail address the platform knows."""

    def __init__(self, world: worlds.World, *, price: float = 600, mail: str | None = MAIL) -> None:
        self.world = world
        self.account, self.handle = world.account(email=mail, locale="fr")
        make.handle(world.place, self.handle, account_id=self.account)
        self.know(mail)
        self.buyer, self.buys_with, _ = world.member(mail="buyer@mail.example")
        made = offer.make(
            namespace="demo", handle=self.handle, buyer=self.buyer.id, price=make.usd(price)
        )
        self.id = made.id

    def know(self, mail: str | None) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.world.out.folder))
        row = {"account_id": self.account, "handle": self.handle, "email": mail, "locale": "fr"}
        (folder / "accounts.jsonl").write_text(json.dumps(row))
        made = snapshot.import_accounts(
            [folder / "accounts.jsonl"],
            folder / "directory",
            mapping={},
            profile="x",
            seal=contacts.seal,
        )
        names.import_directory(namespace="demo", snapshot=made.snapshot)

    def link(self, channel: str = "mail", *, kind: str = "offer_made") -> str:
        """The link as the letter or the platform's notice has it."""
        row = Notice.objects.filter(kind=kind, channel=channel).latest("made_at")
        letter = notice.letter(row.id)
        assert letter is not None
        return urlsplit(letter.facts["href"]).path

    def write(self, bio: str) -> None:
        pulled = self.world.out.plaza.program.pull("/demo/bio", account_id=self.account, bio=bio)
        assert pulled.status_code == 200, pulled.text

    @property
    def offer(self) -> Offer:
        return Offer.objects.get(pk=self.id)


def shown(client: Client, link: str) -> str:
    answer = client.get(link)
    assert answer.status_code == 200
    return str(answer.content.decode())


def begin(client: Client, link: str, do: str = "accept", **fields: str) -> OfferAnswer:
    """Press accept, or name a price, as the page's own form does."""
    found = re.search(r'name="minor" value="(\d+)"', shown(client, link))
    said = {"do": do, **({"minor": found[1]} if found and do == "accept" else {}), **fields}
    answer = client.post(link, said)
    assert answer.status_code == 302, answer.content.decode()
    return OfferAnswer.objects.order_by("id").last()


def prove(client: Client, link: str) -> Any:
    """Press the button beside the code, as this browser shows it now."""
    found = re.search(r'name="answer" value="([^"]+)"', shown(client, link))
    return client.post(link, {"do": "prove", "answer": found[1] if found else ""})


def test_the_holder_accepts_with_the_letters_link_and_a_code_in_the_profile(
    world: worlds.World,
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    assert link.startswith("/fr/offers/")
    waiting = begin(client, link)
    assert waiting.code in shown(client, link)
    early = prove(client, link)
    assert "pas encore" in early.content.decode()
    assert (Sale.objects.count(), asked.offer.state) == (0, "open")
    asked.write(f"Peintre. {waiting.code}")
    assert prove(client, link)["Location"] == link
    sale = Sale.objects.get()
    seller = sale.seller
    assert (sale.by, sale.price_minor, sale.seller_account_id) == (asked.id, 60_000, asked.account)
    assert (seller.user_id, seller.language) == (None, "fr")
    assert MailAddress.objects.get(member=seller).address == MAIL
    assert Link.objects.get(account_id=asked.account).member_id == seller.id
    assert not OfferAnswer.objects.exists()
    assert "_auth_user_id" not in client.session  # nobody is signed in by it
    assert not User.objects.exists()
    page = shown(client, link)
    assert sale.id in page
    assert "/sign-in/code" in page
    told = Notice.objects.filter(kind="account_linked").values_list("channel", flat=True)
    assert sorted(told) == ["mail", "platform"]


def test_money_leaves_only_after_cooling_off_and_to_a_payout_account(world: worlds.World) -> None:
    """The whole way: the letters with the cancel link go out, and nothing is paid to nobody."""
    from onym.flows import ledger, payments
    from onym.flows import sale as sales

    asked, client = Asked(world), Client()
    link = asked.link()
    asked.write(begin(client, link).code)
    prove(client, link)
    sale = Sale.objects.get()
    payments.pay(sale_id=sale.id, by=asked.buyer.id, method="pm_card_visa")
    world.drain()
    sale.refresh_from_db()
    assert sale.state == "cooling"
    cooling = Notice.objects.filter(kind="trade_cooling").exclude(
        address_index=MailAddress.objects.get(member=asked.buyer).address_index
    )
    assert {row.channel: row.state for row in cooling} == {"mail": "sent", "platform": "sent"}
    (letter,) = [one for one in world.out.letters(MAIL) if f"/sales/{sale.id}" in one["text"]][-1:]
    assert f"/fr/sales/{sale.id}" in letter["text"]
    asked_to = client.get(f"/fr/sales/{sale.id}")
    assert asked_to["Location"].startswith("/fr/sign-in?next=")  # the link alone stops nothing
    world.pass_time(days=2)
    sales.accept(sale_id=sale.id, by=asked.buyer.id)
    world.pass_time(days=8)
    payout = Payout.objects.get()
    ledger.pay_out(payout_id=payout.id)
    payout.refresh_from_db()
    assert payout.state == "due"
    assert not PayoutAccount.objects.filter(member=sale.seller).exists()
    assert Notice.objects.filter(kind="payout_account_needed").exists()


def test_the_one_who_never_signed_in_cancels_while_it_cools_off_by_a_mail_code(
    world: worlds.World,
) -> None:
    from onym.flows import payments

    asked, client = Asked(world), Client()
    link = asked.link()
    asked.write(begin(client, link).code)
    prove(client, link)
    sale = Sale.objects.get()
    payments.pay(sale_id=sale.id, by=asked.buyer.id, method="pm_card_visa")
    world.drain()
    client.post("/fr/sign-in/code", {"mail": MAIL})
    world.drain()
    code = re.search(r"\b\d{6}\b", world.out.letters(MAIL)[-1]["text"])
    assert code
    client.post("/fr/sign-in/code", {"code": code[0]})
    page = shown(client, f"/fr/sales/{sale.id}")
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    done = client.post(f"/fr/sales/{sale.id}", {"do": "cancel", "key": key[1]})
    assert done.status_code == 302
    sale.refresh_from_db()
    assert sale.state in ("refunding", "refunded")


def test_a_price_is_named_by_the_link_and_the_next_round_goes_by_it_too(
    world: worlds.World,
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    sums = shown(client, f"{link}?price=900")
    assert 'value="counter"' in sums
    asked.write(begin(client, link, "counter", price="900").code)
    assert prove(client, link)["Location"] == link
    assert (asked.offer.price_minor, asked.offer.turn) == (90_000, "buyer")
    assert "La réponse de l’acheteur" in shown(client, link).replace("&#x27;", "’").replace(
        "'", "’"
    )
    offer.counter(offer_id=asked.id, by=asked.buyer.id, price=make.usd(800))
    assert asked.link(kind="offer_countered") == link  # the letter leads to the same page
    asked.write(begin(client, link).code)
    prove(client, link)
    sale = Sale.objects.get()
    assert (sale.price_minor, Member.objects.filter(pk=sale.seller_id).count()) == (80_000, 1)
    assert Link.objects.filter(account_id=asked.account).count() == 1


# Neither half is enough alone


def test_the_link_alone_agrees_to_nothing_whoever_opens_it(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    begin(client, link)
    begin(client, link, "counter", price="700")
    prove(client, link)
    assert (Sale.objects.count(), asked.offer.state, asked.offer.turn) == (0, "open", "seller")
    assert not Link.objects.filter(account_id=asked.account).exists()


def test_the_account_alone_agrees_to_nothing_where_a_letter_was_sent(world: worlds.World) -> None:
    """Who reads the platform's notices can write the profile: their link only declines."""
    asked, client = Asked(world), Client()
    link = asked.link("platform")
    page = shown(client, link)
    assert 'value="accept"' not in page
    refused = client.post(link, {"do": "accept", "minor": "60000"})
    assert refused.status_code == 403
    assert not OfferAnswer.objects.exists()
    assert client.post(link, {"do": "decline"})["Location"] == link
    assert asked.offer.state == "declined"


def test_where_no_letter_can_be_sent_one_signs_in(world: worlds.World) -> None:
    asked, client = Asked(world, mail=None), Client()
    assert not Notice.objects.filter(kind="offer_made", channel="mail").exists()
    link = asked.link("platform")
    assert "/sign-in?next=" in shown(client, link)
    assert client.post(link, {"do": "accept", "minor": "60000"}).status_code == 403


def test_an_account_whose_member_has_signed_up_answers_signed_in(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    waiting = begin(client, link)
    asked.write(waiting.code)
    made = people.join(namespace="demo", name="Ada", mail="ada@one.example", password="long-enough")
    people.link(member=made.id, account_id=asked.account)
    assert prove(client, link).status_code == 409  # the page no longer shows what was begun
    gone = client.post(link, {"do": "prove", "answer": waiting.id})
    assert gone.status_code == 403
    assert "/sign-in?next=" in shown(client, link)
    assert not Sale.objects.exists()


def test_an_address_that_is_a_members_already_does_not_make_another(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    people.join(namespace="demo", name="Ada", mail=MAIL, password="long-enough")
    assert client.post(link, {"do": "accept", "minor": "60000"}).status_code == 403
    assert not Link.objects.filter(account_id=asked.account).exists()


# What may have happened meanwhile


def test_two_tabs_the_later_answer_counts_and_the_earlier_says_so(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    first = begin(client, link)
    second = begin(client, link, "counter", price="950")
    asked.write(f"{first.code} {second.code}")
    stale = client.post(link, {"do": "prove", "answer": first.id})
    assert stale.status_code == 409
    assert (asked.offer.state, asked.offer.price_minor) == ("open", 60_000)
    prove(client, link)
    assert (asked.offer.turn, asked.offer.price_minor) == ("buyer", 95_000)
    assert prove(client, link).status_code == 409  # a second press


def test_somebody_elses_browser_neither_ends_nor_takes_over_what_was_begun(
    world: worlds.World,
) -> None:
    asked, client, other = Asked(world), Client(), Client()
    link = asked.link()
    mine = begin(client, link)
    begin(other, link, "counter", price="100")
    asked.write(mine.code)
    assert other.post(link, {"do": "prove", "answer": mine.id}).status_code == 409
    assert prove(other, link).status_code == 200  # its own code is not there
    assert prove(client, link)["Location"] == link
    assert Sale.objects.get().price_minor == 60_000


def screened(world: worlds.World, tmp_path: Path) -> None:
    """From now on names are compared with a list; the buyer has one."""
    file = tmp_path / "list.csv"
    file.write_text(f"as_of,{clock.machine():%Y-%m-%d}\nLeila Sample Mansour\n")
    ports.install(screenings={"demo": NameList(file, 7)})
    people.set_name(member=world.place.member_set.get(mailaddress__isnull=False).id, name="Nadia")


def test_where_names_are_compared_whoever_answers_by_the_link_gives_theirs(
    world: worlds.World, tmp_path: Path
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    assert 'name="name"' not in shown(client, link)
    screened(world, tmp_path)
    assert 'name="name"' in shown(client, link)
    for nothing in ("", "…"):
        again = client.post(link, {"do": "accept", "minor": "60000", "name": nothing})
        assert again.status_code == 422
        assert "name_needed" in again.content.decode()
        assert "/me/name" not in again.content.decode()  # nobody is signed in
    assert not OfferAnswer.objects.exists()
    waiting = begin(client, link, name="Samir  Haddad")
    assert b"Haddad" not in bytes(waiting.name_sealed)
    asked.write(waiting.code)
    assert prove(client, link)["Location"] == link
    assert Sale.objects.get().seller.name == "Samir Haddad"


def test_a_listed_name_answers_nothing_and_trying_another_does_not_help(
    world: worlds.World, tmp_path: Path
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    screened(world, tmp_path)
    asked.write(begin(client, link, name="MANSOUR, Leila Sample").code)
    held = prove(client, link).content.decode()
    assert ("screening_held" in held, asked.offer.state) == (True, "open")
    case = ScreeningCase.objects.get()
    assert (case.state, MailAddress.objects.get(member=case.member).address) == ("open", MAIL)
    assert (Sale.objects.count(), Link.objects.filter(member=case.member).count()) == (0, 0)
    again = client.post(link, {"do": "accept", "minor": "60000", "name": "Samir Haddad"})
    assert again.status_code == 403  # from now on they answer signed in, where they are held
    assert not OfferAnswer.objects.exists()


def close(asked: Asked) -> None:
    offer.withdraw(offer_id=asked.id, by=asked.buyer.id)


def late(asked: Asked) -> None:
    Offer.objects.update(expires_at=make.LONG_AGO)


def answered(asked: Asked) -> None:
    link = asked.link()
    asked.world.out.plaza.program.pull("/demo/bio", account_id=asked.account, bio="")
    assert Client().post(link, {"do": "decline"}).status_code == 302


def code_is_old(asked: Asked) -> None:
    OfferAnswer.objects.update(ordered_at=clock.machine() - links.CODE_LASTS)


def other_price(asked: Asked) -> None:
    Offer.objects.update(price_minor=50_000)


MEANWHILE = [
    (close, 409, "already_closed"),
    (late, 410, "expired"),
    (answered, 409, "already_closed"),
    (code_is_old, 410, "expired"),
    (other_price, 409, "shown_changed"),
]


@pytest.mark.parametrize(("happens", "status", "code"), MEANWHILE)
def test_an_answer_that_comes_too_late_moves_nothing(
    world: worlds.World, happens: Any, status: int, code: str
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    waiting = begin(client, link)
    happens(asked)
    asked.write(waiting.code)
    answer = client.post(link, {"do": "prove", "answer": waiting.id})
    assert (answer.status_code, answer.context["refusal"].code) == (status, code)
    assert not Sale.objects.exists()
    assert not Link.objects.filter(account_id=asked.account).exists()
    assert not Member.objects.filter(mailaddress__address_index=letter_index()).exists()


def letter_index() -> str:
    return str(Notice.objects.get(kind="offer_made", channel="mail").address_index)


def test_a_handle_that_changed_hands_on_the_platform_is_not_sold_by_its_last_holder(
    world: worlds.World,
) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    waiting = begin(client, link)
    asked.write(waiting.code)
    taker, _ = world.account()
    plazas.move(world.out.plaza.port(), asked.handle, asked.account, taker)
    world.out.plaza.program.pull("/demo/bio", account_id=taker, bio=waiting.code)
    answer = prove(client, link)
    assert (answer.status_code, answer.context["refusal"].code) == (403, "not_allowed")
    assert not Sale.objects.exists()


def test_a_platform_that_is_away_answers_nothing_and_is_asked_again(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    link = asked.link()
    asked.write(begin(client, link).code)
    world.out.plaza.arm("error", on="reads", times=1)
    assert prove(client, link).status_code == 503
    assert prove(client, link)["Location"] == link
    assert Sale.objects.count() == 1


def test_of_two_presses_at_the_same_moment_one_makes_the_sale(world: worlds.World) -> None:
    asked, client = Asked(world), Client()
    waiting = begin(client, asked.link())
    asked.write(waiting.code)

    def press() -> None:
        try:
            flow.prove(answer_id=waiting.id)
        except AlreadyClosed as refusal:
            raise NotAllowed from refusal

    assert race(press, press) == ["done", "not_allowed"]
    assert (Sale.objects.count(), Link.objects.filter(account_id=asked.account).count()) == (1, 1)


# By the platform's own sign-in


@pytest.fixture
def provided(world: worlds.World) -> worlds.World:
    provider = Provider(
        issuer=world.out.plaza.program.base,
        client_id="onym",
        client_secret=plazas.CLIENT_SECRET,
        redirect_uri=plazas.BACK,
    )
    ports.install(openid={"demo": provider})
    return world


def come_back(client: Client, address: str) -> Any:
    parts = urlsplit(address)
    led = client.get(f"{parts.path}?{parts.query}")
    return client.get(led["Location"])


def test_the_platforms_sign_in_proves_the_account_as_well(provided: worlds.World) -> None:
    asked, client = Asked(provided), Client()
    link = asked.link()
    assert client.get(f"{link}?by=platform").status_code == 200  # nothing was begun: a mere look
    begin(client, link)
    away = client.get(f"{link}?by=platform")["Location"]
    assert come_back(client, at_the_platform(away, handle=asked.handle))["Location"] == link
    assert Sale.objects.get().seller_account_id == asked.account
    assert "_auth_user_id" not in client.session


def test_somebody_elses_sign_in_proves_nothing(provided: worlds.World) -> None:
    asked, client = Asked(provided), Client()
    link = asked.link()
    begin(client, link)
    _, other = provided.account()
    away = client.get(f"{link}?by=platform")["Location"]
    assert come_back(client, at_the_platform(away, handle=other)).status_code == 403
    assert (Sale.objects.count(), asked.offer.state) == (0, "open")


def test_a_sign_in_that_was_begun_elsewhere_proves_nothing(provided: worlds.World) -> None:
    asked, client, thief = Asked(provided), Client(), Client()
    link = asked.link()
    begin(thief, link)
    away = thief.get(f"{link}?by=platform")["Location"]
    assert come_back(client, at_the_platform(away, handle=asked.handle)).status_code == 403
    assert not Sale.objects.exists()
