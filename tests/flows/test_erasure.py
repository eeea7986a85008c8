"""Who asks takes everything along, or is forgotten: what goes, what stays, what must be over."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from tests import make
from tests.flows import meeting

from onym import ports
from onym.core import retention as core
from onym.core.errors import AlreadyClosed, NotAllowed, NotFound
from onym.flows import (
    erasure,
    invitation,
    listing,
    log,
    offer,
    outgoing,
    people,
    record,
    retention,
    screening,
    webhook,
)
from onym.ports.screening import NameList
from onym.queries import audit, export
from onym.queries import invitation as invitations
from onym.queries import notice as notices
from onym.store import clock, rowlocks, secrets
from onym.store.models import (
    Appeal,
    BankAccount,
    BankOrder,
    Chargeback,
    DirectoryImport,
    Event,
    IdempotentRequest,
    Invitation,
    Link,
    MailAddress,
    Member,
    Notice,
    Payout,
    Sale,
    ScreeningCase,
    Suppression,
    Watch,
    Webhook,
)
from onym.tlog import merkle

pytestmark = pytest.mark.usefixtures("database")
MAIL, PASSWORD = "leila@mail.example", "orbit-and-tide"
NAME = "Leila Mansour"


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> Any:
    settings.NAMESPACE, settings.DATA, settings.LOG_ORIGIN = "demo", tmp_path, "test/log"
    return make.namespace()


@pytest.fixture
def leila(place: Any) -> Member:
    """A member with a password, an account, a session, a notice and a watch."""
    row = people.join(namespace="demo", name=NAME, mail=MAIL, password=PASSWORD)
    people.link(member=row.id, account_id="acc-moon")
    Watch.objects.create(id="wch_1", namespace=place, member=row, prefix="moo", made_at=clock.now())
    record.notify(
        namespace="demo", kind="offer_made", about="off_1", now=clock.now(), member=row.id
    )
    return row


def invited(place: Any, mail: str = MAIL) -> Invitation:
    """A private offer to this address and one to another, sent and declined."""
    staff = [make.member(place, roles="curator") for _ in range(2)]
    handle = make.handle(place, "orbit", state="released", account_id=None)
    made = make.campaign(handle, mails=f"{mail} bo@mail.example", by=staff[0].id)
    invitation.send(campaign_id=made.id, by=staff[0].id)
    for row in Invitation.objects.filter(campaign_id=made.id):
        assert invitation.sending(invitation_id=row.id)
    mine, other = Invitation.objects.filter(campaign_id=made.id).order_by("position")
    invitation.decline(token=mine.token)
    invitation.decline(token=other.token)
    return Invitation.objects.get(pk=mine.pk)


def test_a_member_takes_everything_along(place: Any, leila: Member) -> None:
    invited(place)
    make.totp(leila)
    make.handle(place, "moon", account_id="acc-moon")
    listing.open_(namespace="demo", handle="moon", seller=leila.id, price=make.usd(10))
    told = export.export(leila.id)
    assert [(one["handle__handle"], one["price_minor"]) for one in told["listings"]] == [
        ("moon", make.usd(10).minor)
    ]
    assert told["member"]["name"] == NAME
    assert [one["mail"] for one in told["addresses"]] == [MAIL]
    assert [one["account_id"] for one in told["accounts"]] == ["acc-moon"]
    assert [one["prefix"] for one in told["watches"]] == ["moo"]
    assert {one["kind"] for one in told["notices"]} >= {"offer_made"}
    assert [one["campaign__handle__handle"] for one in told["private_offers"]] == ["orbit"]
    assert [one["type"] for one in told["sign_in"]["factors"]] == ["totp"]
    assert PASSWORD not in json.dumps(told)
    with pytest.raises(NotFound):
        export.export("mbr_nobody")


def test_who_is_forgotten_leaves_a_pseudonym_and_a_log_that_still_proves(
    place: Any, leila: Member
) -> None:
    mine = invited(place)
    log.integrate()
    leaf = Event.objects.get(type="InvitationSent", ref=mine.id)
    outgoing.set_account(member=leila.id, iban="DE89370400440532013000", name=NAME)
    browser = Client()
    browser.post("/en/sign-in", {"mail": MAIL, "password": PASSWORD})
    said = {"member": leila.id, "route": "PAGE /x", "key": "k", "payload": {"name": NAME}}
    record.once(**said, run=lambda: record.Answer(200, {}))
    assert browser.get("/en/me").status_code == 200
    erasure.erase(member=leila.id)
    row = Member.objects.get(pk=leila.id)
    assert (row.name, row.user, row.erased_at is not None) == ("", None, True)
    assert not MailAddress.objects.filter(member=row).exists()
    assert not Link.objects.filter(member=row, unlinked_at=None).exists()
    assert not Watch.objects.exists()
    assert not BankAccount.objects.exists()
    assert not User.objects.filter(username=leila.id).exists()
    assert not IdempotentRequest.objects.exclude(payload_sha256="").exists()
    assert browser.get("/en/me").status_code == 302
    assert not Notice.objects.filter(about="off_1").exclude(address_sealed=None).exists()
    assert invitations.recipients(mine.campaign_id, with_names=True)[0]["mail"] == ""
    assert invitations.recipients(mine.campaign_id, with_names=True)[1]["mail"] == "bo@mail.example"
    after = Event.objects.get(pk=leaf.pk)
    assert bytes(after.entry) == bytes(leaf.entry)
    with pytest.raises(LookupError):
        record.opening("InvitationSent", mine.id, "recipient")
    assert record.opening("InvitationSent", mine.id, "handle")["value"] == "orbit"
    assert Suppression.objects.count() == 1
    assert [str(c) for c in audit.run() if c.verdict is audit.Verdict.VIOLATED] == []
    with pytest.raises(AlreadyClosed):
        erasure.erase(member=leila.id)
    people.join(namespace="demo", name="Leila again", mail=MAIL)


def test_nobody_is_forgotten_while_something_of_theirs_is_open(place: Any, leila: Member) -> None:
    holder = make.member(place, account="acc-holder")
    make.handle(place, "tide", account_id="acc-holder")
    made = offer.make(namespace="demo", handle="tide", buyer=leila.id, price=make.usd(300))
    with pytest.raises(AlreadyClosed, match="an offer"):
        erasure.erase(member=leila.id)
    assert Member.objects.get(pk=leila.id).name == NAME
    offer.withdraw(offer_id=made.id, by=leila.id)
    erasure.erase(member=leila.id)
    assert holder.erased_at is None


def test_the_proof_of_a_later_letter_leads_to_the_root_though_others_are_forgotten(
    place: Any,
) -> None:
    by = make.member(place, roles="curator").id
    handle = make.handle(place, "orbit", state="released", account_id=None)
    mails = [f"{name}@mail.example" for name in ("ada", "bo", "cy")]
    made = make.campaign(handle, mails=" ".join(mails), by=by)
    invitation.send(campaign_id=made.id, by=by)
    first, *later = Invitation.objects.filter(campaign=made).order_by("position")
    assert invitation.sending(invitation_id=first.id)
    invitation.decline(token=first.token)
    assert erasure.erase_address(namespace="demo", mail=mails[0]) == 1
    assert bytes(Invitation.objects.get(pk=first.id).salt) == b""
    for row in later:
        assert invitation.sending(invitation_id=row.id)
        told = json.loads(bytes(Event.objects.get(type="InvitationSent", ref=row.id).entry))["body"]
        assert merkle.includes(
            leaf=merkle.leaf_hash(bytes.fromhex(told["candidate"])),
            index=row.position,
            size=len(mails),
            proof=[bytes.fromhex(node) for node in told["path"]["path"]],
            root=bytes.fromhex(made.root),
        )


def settled(place: Any, leila: Member) -> Sale:
    """A sale of hers that is over and paid out by the bank, all of it long ago."""
    make.handle(place, "moon", account_id="acc-moon")
    buyer = make.member(place, account="acc-tide")
    listed = listing.open_(namespace="demo", handle="moon", seller=leila.id, price=make.usd(100))
    sale = listing.buy(listing_id=listed.id, buyer=buyer.id)
    Sale.objects.filter(pk=sale.id).update(state="settled", closed_at=sale.agreed_at)
    money = {"amount_minor": 10_000, "currency": "USD"}
    paid = Payout.objects.create(
        id="out_1", sale=sale, member=leila, state="done", due_at=make.LONG_AGO,
        provider_id="stm-1", **money,
    )  # fmt: skip
    BankOrder.objects.create(
        id="bpo_1", namespace=place, kind="payout", state="done", minor=10_000, currency="USD",
        text="x", payout=paid, provider_id="stm-1", made_at=make.LONG_AGO, done_at=make.LONG_AGO,
    )  # fmt: skip
    Chargeback.objects.create(
        id="chb_1", sale=sale, provider="stripe", provider_id="dp_1", status="won",
        source="receivable", opened_at=make.LONG_AGO, **money,
    )  # fmt: skip
    return sale


UNDER_WAY: list[tuple[Any, dict[str, Any], str]] = [
    (Chargeback, {"status": "open"}, "a chargeback"),
    (Chargeback, {"status": "lost"}, "a claim"),
    (BankOrder, {"state": "filed", "done_at": None}, "a payout that may come back"),
    (BankOrder, {"done_at": timedelta(days=13)}, "a payout that may come back"),
]


@pytest.mark.parametrize(("model", "changes", "named"), UNDER_WAY)
def test_nobody_leaves_owing_or_while_a_bank_may_send_their_money_back(
    place: Any, leila: Member, model: Any, changes: dict[str, Any], named: str
) -> None:
    settled(place, leila)
    before = model.objects.values(*changes).get()
    ago = {k: clock.now() - v for k, v in changes.items() if isinstance(v, timedelta)}
    model.objects.update(**changes | ago)
    with pytest.raises(AlreadyClosed, match=f"under way: {named}$"):
        erasure.erase(member=leila.id)
    model.objects.update(**before)
    erasure.erase(member=leila.id)


@pytest.mark.parametrize("way", ["lists", "sells", "buys", "offers", "agrees"])
def test_nobody_lists_sells_or_buys_while_a_party_is_being_forgotten(
    place: Any, leila: Member, way: str
) -> None:
    other = make.member(place, account="acc-tide")
    make.handle(place, "moon", account_id="acc-moon")
    make.handle(place, "tide", account_id="acc-tide")
    price = make.usd(100)
    acts: dict[str, Any] = {"lists": partial(listing.open_, seller=leila.id, handle="moon")}
    acts["offers"] = partial(offer.make, buyer=leila.id, handle="tide")
    begun: Any
    if way == "sells":
        made = acts["lists"](namespace="demo", price=price)
        begun = partial(listing.buy, listing_id=made.id, buyer=other.id)
    elif way == "buys":
        made = listing.open_(namespace="demo", handle="tide", seller=other.id, price=price)
        begun = partial(listing.buy, listing_id=made.id, buyer=leila.id)
    elif way == "agrees":
        made = acts["offers"](namespace="demo", price=price)
        begun = partial(offer.accept, offer_id=made.id, by=other.id)
    else:
        begun = partial(acts[way], namespace="demo", price=price)
    with transaction.atomic():
        row = rowlocks.member(leila.id)
        waits = meeting.begin(begun)
        meeting.it_waits()
        row.erased_at = clock.now()
        row.save(update_fields=["erased_at"])
    assert waits.result(timeout=20) == "already_closed"
    assert not Sale.objects.exists()


def test_a_name_that_is_looked_at_stays_until_somebody_has_and_goes_from_the_case_then(
    place: Any, leila: Member, tmp_path: Path
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"as_of,{clock.machine():%Y-%m-%d}\n{NAME}\n")
    ports.install(screenings={"demo": NameList(file, 7)})
    people.set_name(member=leila.id, name=NAME)
    with pytest.raises(AlreadyClosed, match="a look at the name"):
        erasure.erase(member=leila.id)
    team = make.member(place, roles="curator")
    screening.decide(case_id=ScreeningCase.objects.get().id, by=team.id, outcome="cleared")
    erasure.erase(member=leila.id)
    ports.clear()
    case = ScreeningCase.objects.get()
    assert (case.name, case.name_index, case.state) == ("", case.id, "cleared")


def test_staff_stay_known(place: Any) -> None:
    staff = make.member(place, roles="curator")
    with pytest.raises(NotAllowed):
        erasure.erase(member=staff.id)
    with pytest.raises(NotAllowed):
        erasure.erase(member="mbr_house")


def test_an_address_of_nobodys_is_forgotten_and_never_written_to_again(place: Any) -> None:
    mine = invited(place, mail="ada@mail.example")
    people.join(namespace="demo", name=NAME, mail=MAIL)
    assert erasure.erase_address(namespace="demo", mail="ada@mail.example") == 1
    assert not Invitation.objects.get(pk=mine.pk).recipient_sealed
    assert Suppression.objects.get().reason == "erased"
    assert erasure.erase_address(namespace="demo", mail="ada@mail.example") == 0
    with pytest.raises(NotAllowed):
        erasure.erase_address(namespace="demo", mail=MAIL)


def test_whoever_was_forgotten_and_joins_again_is_written_to_as_a_member(
    place: Any, leila: Member
) -> None:
    erasure.erase(member=leila.id)
    assert (goes("handle_warned"), goes("sign_in_code")) == (False, True)
    people.join(namespace="demo", name=NAME, mail=MAIL)
    assert (goes("security_changed"), goes("invitation")) == (True, False)


def goes(kind: str) -> bool:
    """Whether a letter of this kind to the address would leave."""
    record.notify(namespace="demo", kind=kind, about="x", now=clock.now(), address=MAIL)
    letter = notices.letter(Notice.objects.get(kind=kind, about="x").id)
    assert letter is not None
    return not letter.suppressed


def test_an_address_that_is_another_members_by_now_is_not_forgotten_with_its_first(
    place: Any, leila: Member
) -> None:
    MailAddress.objects.filter(member=leila).update(replaced_at=clock.now())
    other = people.join(namespace="demo", name="Mona", mail=MAIL)
    record.notify(namespace="demo", kind="paid_out", about="y", now=clock.now(), member=other.id)
    erasure.erase(member=leila.id)
    assert goes("security_changed")
    assert Notice.objects.get(about="y").address_sealed


def test_what_has_had_its_time_goes_and_the_rest_stays(
    place: Any, leila: Member, settings: Any, tmp_path: Path
) -> None:
    mine = invited(place)
    folders = [tmp_path / f"import-{number}" for number in range(4)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        at = clock.now() - timedelta(days=400 - number)
        DirectoryImport.objects.create(
            id=f"imp_{number}", namespace=place, path=str(folder), rows=1, at=at
        )
    assert retention.purge() == dict.fromkeys(core.KINDS, 0) | {"directories": 2}
    assert [folder.exists() for folder in folders] == [False, False, True, True]
    long_ago = clock.now() - timedelta(days=181)
    Invitation.objects.filter(pk=mine.pk).update(closed_at=long_ago)
    assert retention.purge()["invitations"] == 1
    assert retention.purge()["invitations"] == 0
    assert not Invitation.objects.get(pk=mine.pk).recipient_sealed
    settings.RETENTION = core.read("notices = 1")
    Notice.objects.filter(about="off_1").update(made_at=clock.now() - timedelta(days=2))
    assert retention.purge()["notices"] == 1


def test_an_appeal_falls_silent_long_after_it_was_decided(place: Any, leila: Member) -> None:
    process = make.reclaimed(place, "moon")
    made = Appeal.objects.create(
        id="apl_1",
        namespace=place,
        handle=process.handle,
        process=process,
        account_id="acc-moon",
        member=leila,
        text_sealed=secrets.seal("I was ill.", place="appeal.text/apl_1"),
        state="rejected",
        opened_at=make.NOW,
        decided_at=clock.now() - timedelta(days=1000),
        decided_by=make.member(place, roles="reviewer"),
    )
    assert retention.purge()["appeals"] == 0
    assert Appeal.objects.get().text == "I was ill."
    Appeal.objects.update(decided_at=clock.now() - timedelta(days=1096))
    assert retention.purge()["appeals"] == 1
    assert Appeal.objects.get(pk=made.id).text == ""


def test_relying_sites_of_whoever_leaves_are_told_nothing_more(place: Any, leila: Member) -> None:
    made = webhook.subscribe(namespace="demo", by=leila.id, url="https://site.example/hook")
    Webhook.objects.filter(pk=made.id).update(state="active")
    assert len(export.export(leila.id)["webhooks"]) == 1
    erasure.erase(member=leila.id)
    row = Webhook.objects.get(pk=made.id)
    assert (row.state, bytes(row.url_sealed), bytes(row.secret_sealed)) == ("ended", b"", b"")
    assert not Link.objects.filter(is_primary=True).exists()
