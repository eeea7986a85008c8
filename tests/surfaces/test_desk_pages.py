"""What the handle team does at the desk: choose, check before acting, take back, watch."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from tests import make
from tests.surfaces.test_desk import send, sign_in, text_of

from onym.core.access import PHASES
from onym.flows import invitation, shortlist, sweep
from onym.store.models import (
    Approval,
    Campaign,
    DirectoryImport,
    Disclosure,
    Handle,
    Invitation,
    Listing,
    Plan,
    PlanPart,
    Sale,
    ShortlistEntry,
    Sweep,
)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", state="released")
    return made


@pytest.fixture
def amal(place: Any) -> Client:
    return sign_in("amal", "curator")


# The queue


def propose(client: Client, price: str = "50,000") -> Any:
    assert send(client, "/en/desk/handles/moon", do="list", price=price).status_code == 302
    return Approval.objects.latest("proposed_at")


def test_a_proposal_is_shown_with_price_and_appraisal_and_who_asks(amal: Client) -> None:
    propose(amal)
    page = text_of(sign_in("bruno", "curator"), "/en/desk/")
    case = page[page.index('<article class="case"') : page.index("</article>")]
    assert "$50,000.00" in case
    assert "Appraisal, most likely" in case
    assert ">amal</bdi>" in case
    assert 'value="approve"' in case
    assert 'value="withdraw"' not in case


def test_its_proposer_withdraws_a_proposal_and_nobody_can_approve_it_then(amal: Client) -> None:
    made, bruno = propose(amal), sign_in("bruno", "curator")
    assert "somebody else must approve it" in text_of(amal, "/en/desk/")
    assert send(bruno, "/en/desk/", do="withdraw", about=made.id).status_code == 403
    done = send(amal, "/en/desk/", do="withdraw", about=made.id)
    assert "Nothing has happened" in text_of(amal, done["Location"])
    late = bruno.post(
        "/en/desk/", {"key": "late-key", "do": "approve", "about": made.id, "shown": made.shown}
    )
    assert late.status_code == 409
    assert not Listing.objects.exists()
    assert "Nothing waits for you." in text_of(bruno, "/en/desk/")


def test_what_changed_since_a_proposal_is_marked(amal: Client) -> None:
    propose(amal)
    assert "Something has changed" not in text_of(amal, "/en/desk/")
    Handle.objects.update(appeal_open=True)
    page = text_of(amal, "/en/desk/")
    assert "Something has changed" in page
    assert re.search(r"<del>no\s*</del> <ins>yes\s*</ins>", page)


def test_the_queue_narrows_to_one_kind(amal: Client, place: Any) -> None:
    propose(amal)
    process = make.reclaimed(place, "sunset", state="resting")
    process.listed_at = make.NOW
    process.save()
    everything = text_of(amal, "/en/desk/")
    assert everything.index('id="sunset"') < everything.index('id="apr_'), "the oldest first"
    only = text_of(amal, "/en/desk/?kind=unreached")
    assert 'id="sunset"' in only
    assert 'id="apr_' not in only


def disputed(place: Any) -> Any:
    from onym.flows import listing, sale

    buyer = make.member(place, account="acc-buyer", mail="buyer@mail.example")
    team = make.member(place, roles="curator")
    listed = listing.open_house(namespace="demo", handle="moon", by=team.id, price=make.usd(900))
    made = listing.buy(listing_id=listed.id, buyer=buyer.id)
    Sale.objects.update(
        state="inspection",
        read_back_account_id="acc-buyer",
        inspection_until="2999-01-01T00:00:00Z",
    )
    Handle.objects.update(locked_by=made.id)
    return sale.dispute(sale_id=made.id, by=buyer.id)


def test_a_dispute_waits_in_the_queue_with_its_money(amal: Client, place: Any) -> None:
    made = disputed(place)
    page = text_of(amal, "/en/desk/?kind=dispute")
    assert f'id="{made.id}"' in page
    assert "$900.00" in page
    assert 'value="return"' in page
    assert 'value="return"' not in text_of(sign_in("otto", "auditor"), "/en/desk/?kind=dispute")


# Looks at confidential data


def test_who_recipients_are_is_shown_on_request_and_written_down(amal: Client) -> None:
    made = make.campaign(Handle.objects.get())
    path = f"/en/desk/campaigns/{made.id}"
    assert "ada@mail.example" not in text_of(amal, path)
    assert not Disclosure.objects.exists()
    shown = amal.post(path, {"do": "reveal"})
    assert "ada@mail.example" in shown.content.decode()
    assert Disclosure.objects.values_list("what", "about").get() == ("recipients", made.id)


@pytest.mark.parametrize("did", ["reveal", "again"])
def test_neither_auditor_nor_reviewer_learns_who_recipients_are(place: Any, did: str) -> None:
    made = make.campaign(Handle.objects.get())
    for role in ("auditor", "reviewer"):
        asked = sign_in(role, role).post(f"/en/desk/campaigns/{made.id}", {"do": did})
        assert asked.status_code == 403
    assert not Disclosure.objects.exists()


# Stock and shortlist


def test_a_handle_is_marked_noted_and_taken_off_and_all_of_it_stays_on_record(
    amal: Client,
) -> None:
    assert send(amal, "/en/desk/stock", do="mark", about="Moon").status_code == 302
    send(amal, "/en/desk/shortlist", do="note", about="moon", note="ask Acme first <b>")
    assert "ask Acme first &lt;b&gt;" in text_of(amal, "/en/desk/shortlist")
    send(amal, "/en/desk/shortlist", do="unmark", about="moon")
    assert "Nothing is marked." in text_of(amal, "/en/desk/shortlist")
    kept = ShortlistEntry.objects.get()
    assert (kept.handle, kept.added_by_id, kept.note) == ("moon", kept.removed_by_id, kept.note)
    again = send(amal, "/en/desk/stock", do="unmark", about="moon")
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"do": "mark", "about": "no handle"}, 422),
        ({"do": "note", "about": "moon", "note": "x" * 2_001}, 400),
        ({"do": "sell", "about": "moon"}, 400),
    ],
)
def test_a_mark_that_cannot_be_made_is_refused(amal: Client, fields: Any, status: int) -> None:
    assert send(amal, "/en/desk/stock", **fields).status_code == status
    assert not ShortlistEntry.objects.exists()


def test_an_auditor_marks_nothing(place: Any) -> None:
    form = {"key": "some-key", "do": "mark", "about": "moon"}
    assert sign_in("otto", "auditor").post("/en/desk/stock", form).status_code == 403


NARROWED = [
    ("", {"moon", "qx7", "longhandle"}),
    ("max_length=4", {"moon", "qx7"}),
    ("min_length=٤&max_length=4", {"moon"}),
    ("q=lo", {"longhandle"}),
    ("tier=rare", {"moon", "qx7"}),
    ("max_worth=1", set()),
    ("min_worth=words", {"moon", "qx7", "longhandle"}),
    ("marked=on", {"qx7"}),
]


@pytest.mark.parametrize(("asked", "found"), NARROWED)
def test_the_stock_narrows_and_what_cannot_be_read_narrows_nothing(
    amal: Client, place: Any, asked: str, found: set[str]
) -> None:
    for name in ("qx7", "longhandle"):
        make.handle(place, name, state="released")
    team = make.member(place, roles="curator").id
    shortlist.mark(namespace="demo", handle="qx7", by=team)
    page = text_of(amal, f"/en/desk/stock?{asked}")
    assert set(re.findall(r'<th scope="row"><a href="/en/desk/handles/(\w+)"', page)) == found
    assert ("A marked field cannot be read" in page) is (asked == "min_worth=words")


def test_marked_handles_stand_side_by_side(amal: Client, place: Any) -> None:
    make.handle(place, "sunset", state="held")
    team = make.member(place, roles="curator").id
    for name in ("moon", "sunset"):
        shortlist.mark(namespace="demo", handle=name, by=team)
    page = text_of(amal, "/en/desk/shortlist?pick=moon&pick=sunset&pick=nobody")
    table = page[page.index("Side by side") : page.index("</table>")]
    assert table.count('<th scope="col">') == 2
    assert "Strongest factors" in table


# Price and approve


def check(client: Client, way: str, **fields: str) -> str:
    answer = client.post("/en/desk/handles/moon", {"do": f"check-{way}", **fields})
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def test_sums_and_the_second_person_are_told_before_anything_happens(amal: Client) -> None:
    small = check(amal, "list", price="900.50")
    assert "This takes effect at once" in small
    assert small.count("$900.50") >= 2
    dear = check(amal, "list", price="10,000")
    assert "A second person must approve this" in dear
    assert "What the second person will see" in dear
    assert not Listing.objects.exists()
    assert not Approval.objects.exists()


def test_a_house_purchase_is_told_to_need_two_at_any_price(amal: Client) -> None:
    assert "A second person must approve this" in check(amal, "house", price="1")


def test_checked_offers_are_sent_on_as_they_were_typed(amal: Client) -> None:
    typed = {"price": "900", "criteria": "firms", "days": "7", "recipients": "a@b.example, A, fr"}
    page = check(amal, "campaign", **typed)
    assert "It goes to 1 candidate." in page
    key = re.search(r'name="key" value="([^"]+)"', page[page.index('id="checked"') :])
    assert key
    amal.post("/en/desk/handles/moon", {"key": key[1], "do": "campaign", **typed})
    assert Campaign.objects.get().expires_in_days == 7


@pytest.mark.parametrize("way", ["list", "campaign", "house", "auction"])
def test_a_price_that_cannot_be_read_is_refused_beside_what_was_typed(
    amal: Client, way: str
) -> None:
    answer = amal.post("/en/desk/handles/moon", {"do": f"check-{way}", "price": "dear <b>"})
    assert answer.status_code == 400
    assert "dear &lt;b&gt;" in answer.content.decode()


def test_a_listing_is_taken_back_where_it_was_made(amal: Client) -> None:
    send(amal, "/en/desk/handles/moon", do="list", price="900")
    listed = Listing.objects.get()
    done = send(amal, "/en/desk/handles/moon", do="withdraw", about=listed.id)
    assert done["Location"] == "/en/desk/handles/moon?did=unlisted"
    assert Listing.objects.get().state == "withdrawn"


# Campaigns


def test_a_campaign_shows_its_results_by_position(amal: Client) -> None:
    made = make.campaign(Handle.objects.get())
    invitation.send(campaign_id=made.id, by=made.proposed_by_id)
    for row in Invitation.objects.order_by("position"):
        invitation.sending(invitation_id=row.id)
    invitation.decline(token=Invitation.objects.get(position=1).token)
    page = text_of(amal, f"/en/desk/campaigns/{made.id}")
    each = page[page.index("<tbody>") : page.index("</tbody>")]
    assert re.findall(r'<th scope="row" class="end num">(\d+)', each) == ["1", "2"]
    assert [each.count(state) for state in (">sent<", ">declined<")] == [1, 1]


def test_it_is_offered_again_to_those_who_did_not_decline(amal: Client) -> None:
    made = make.campaign(Handle.objects.get())
    Invitation.objects.filter(position=0).update(state="declined")
    page = amal.post(f"/en/desk/campaigns/{made.id}", {"do": "again"}).content.decode()
    assert "bo@mail.example" in page
    assert "ada@mail.example" not in page
    assert Disclosure.objects.count() == 1


# Sweeps


def imported(place: Any) -> None:
    DirectoryImport.objects.create(
        id="imp_1", namespace=place, path="/nowhere", rows=10, root="0" * 64, sha256="0" * 64,
        at=make.NOW,
    )  # fmt: skip


def test_a_sweep_is_asked_for_once_and_watched(amal: Client, place: Any) -> None:
    imported(place)
    page = text_of(amal, "/en/desk/sweeps")
    key = re.search(r'name="key" value="([^"]+)"', page)
    assert key
    form = {"key": key[1], "policy": "x-2023", "as_of": "2026-06-01", "dry_run": "on"}
    first, second = amal.post("/en/desk/sweeps", form), amal.post("/en/desk/sweeps", form)
    made = Sweep.objects.get()
    assert first["Location"] == second["Location"] == f"/en/desk/sweeps/{made.id}?did=ordered"
    assert (made.dry_run, made.as_of.date().isoformat()) == (True, "2026-06-01")
    watched = text_of(amal, f"/en/desk/sweeps/{made.id}")
    assert 'hx-trigger="every 2s"' in watched
    assert '<noscript><meta http-equiv="refresh"' in watched
    sweep.finish(sweep_id=made.id, accounts=10, verdicts={"keep": 10}, reasons={}, stock=None)
    done = text_of(amal, f"/en/desk/sweeps/{made.id}")
    assert "hx-trigger" not in done
    assert "A dry run cannot be taken into use." in done


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"policy": "nonesuch"}, 404),
        ({"policy": "x-2023", "as_of": "soon"}, 400),
        ({"policy": "x-2023", "as_of": "2999-01-01"}, 400),
        ({"policy": "x-2023", "as_of": "2999-01-01", "dry_run": "on"}, 400),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(
    amal: Client, place: Any, fields: Any, status: int
) -> None:
    imported(place)
    assert send(amal, "/en/desk/sweeps", **fields).status_code == status
    assert not Sweep.objects.exists()


def test_a_sweep_is_taken_into_use_in_announced_stages(amal: Client, place: Any) -> None:
    team = make.member(place, roles="curator").id
    made = make.sweep(place, by=team, stock=str(make.stock("june")))
    path = f"/en/desk/sweeps/{made.id}"
    page = text_of(amal, path)
    assert page.count('name="stage_') == 3
    wrong = {"stage_0": "2999-02-01", "stage_1": "2999-01-01", "stage_2": "2999-03-01"}
    assert send(amal, path, do="adopt", **wrong).status_code == 400
    days = {"stage_0": "2999-01-01", "stage_1": "2999-01-15", "stage_2": "2999-02-01"}
    answer = send(amal, path, do="adopt", **days)
    plan = Plan.objects.get()
    assert answer["Location"] == f"/en/desk/plans?did=adopted&plan={plan.id}"
    assert [at[:10] for _, at in plan.stages] == list(days.values())
    assert "in use" in text_of(amal, path)


def test_a_funnel_only_narrows(amal: Client, place: Any) -> None:
    process = make.reclaimed(place, "mira", state="released", looked_at=make.NOW)
    make.campaign(Handle.objects.get(handle="moon"))
    Campaign.objects.update(handle=process.handle)
    PlanPart.objects.create(
        plan=process.plan, stage=0, low=0, high=10_000, starts_at=make.NOW, sent=[make.NOW] * 3,
        resting=[[30, 4]],
    )  # fmt: skip
    team = make.member(place, roles="curator").id
    made = make.sweep(place, by=team, stock=process.plan.path)
    page = text_of(amal, f"/en/desk/sweeps/{made.id}")
    funnel = page[page.index('data-kind="funnel"') :]
    counts = [int(n) for n in re.findall(r"<td>(\d+)</td>", funnel[: funnel.index("</table>")])]
    assert counts[:2] == [10, 4]
    assert counts[-2:] == [1, 0]
    assert counts == sorted(counts, reverse=True)
    assert "Findings" not in text_of(amal, f"/fr/desk/sweeps/{made.id}")


# Switches


def test_what_a_phase_allows_is_shown_as_it_is(amal: Client) -> None:
    page = text_of(amal, "/en/desk/switches")
    table = page[page.index("What each phase allows") : page.index("</table>")]
    assert table.count('class="good-mark"') == sum(map(len, PHASES.values()))
