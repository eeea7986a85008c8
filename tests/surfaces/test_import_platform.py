"""`onym import platform`: the platform's list as the directory, whole or only what changed since,
and lists that change while they are read, lie, go in circles, or give an id to somebody else.
"""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from django.conf import settings as site
from tests import make
from tests.demo import plaza as plazas
from tests.demo.plaza import move

from onym import ports
from onym.cli import import_
from onym.core.errors import InProgress, PlatformUnavailable, Refusal
from onym.flows import contacts, names, refresh
from onym.ports.platform import Page
from onym.ports.signed_http import SignedHttp
from onym.store.models import DirectoryImport
from onym.sweep.directory import Directory

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


@pytest.fixture
def place(database, plaza):
    """A namespace of its own, with the platform as its platform."""
    name = str(make.namespace(id=f"plaza{next(_numbers)}").id)
    ports.install(platforms={name: plaza.port()})
    yield name
    ports.clear()


def read(place: str, *arguments: str) -> dict[str, Any]:
    """What the command says; a refusal is raised."""
    given = ["platform", "--namespace", place, "--json", *arguments]
    said = CliRunner().invoke(import_.command, given)
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    found: dict[str, Any] = json.loads(said.output)
    return found


def known(place: str) -> Directory:
    found = names.directory(place)
    assert found is not None
    return found


class Wayward(SignedHttp):
    """The real platform, read in pages of seven; `between` happens after the page of its number."""

    def __init__(self, plaza, between=None, **changed):
        super().__init__(base=plaza.program.base, key_id="onym", private_key=plaza.key)
        self.between, self.changed, self.pages = between or {}, changed, 0

    def _read(self, path):
        if path.partition("?")[0] == "/accounts":
            path += ("&" if "?" in path else "?") + "limit=7"
        return super()._read(path)

    def page(self, **asked):
        found = super().page(**asked)
        self.pages += 1
        self.between.get(self.pages, lambda: None)()
        rows = [row | self.changed.get(f"a{row['account_id']}", {}) for row in found.rows]
        return Page(rows, found.next, found.as_of)


def test_the_whole_list_becomes_the_directory_with_its_addresses(plaza, place):
    facts = read(place)
    assert (facts["since"], facts["rejects"], facts["reused"]) == (None, 0, [])
    assert facts["rows"] == facts["told"] >= 60
    row = known(place).by_handle("handle")
    assert row is not None
    assert (row["account_id"], row["inbound_refs"]) == ("1007", 8214)
    mailed = next(r for r in plaza.port().accounts()[0] if r.get("email"))
    assert known(place).email(mailed["account_id"]) == mailed["email"]


def test_the_next_reading_asks_only_for_what_changed_and_makes_the_same_directory(plaza, place):
    whole = read(place)
    (seller, handle), (buyer, _) = plaza.sign_up(), plaza.sign_up(email="b@mail.example")
    assert move(plaza.port(), handle, seller, buyer).done
    plaza.program.pull("/demo/login", account_id="1005")
    plaza.advance_to(60)
    part = read(place)
    assert part["since"] is not None
    assert part["told"] < whole["told"] / 2
    assert (part["rows"], part["rejects"]) == (whole["rows"] + 2, 0)
    found = known(place)
    row = found.by_handle(handle)
    assert row is not None
    assert (row["account_id"], found.email(buyer)) == (buyer, "b@mail.example")
    seen = found.by_account("1005")
    assert seen is not None
    assert seen["last_login_at"] > known(place).by_account("1007")["last_login_at"]
    again = read(place, "--whole")
    assert (again["since"], again["root"]) == (None, part["root"])
    mails = [known(place).email(str(number)) for number in range(1001, 1061)]
    assert mails == [found.email(str(number)) for number in range(1001, 1061)]
    assert any(mails)


def test_a_platform_that_does_not_tell_what_changed_is_read_whole_each_time(plaza, place):
    class Plain(SignedHttp):
        def _read(self, path):
            found = super()._read(path)
            return found | {"since": False} if path == "/capabilities" else found

    plain = Plain(base=plaza.program.base, key_id="onym", private_key=plaza.key)
    ports.install(platforms={place: plain})
    first, second = read(place), read(place)
    assert [first["since"], second["since"]] == [None, None]
    assert second["told"] == first["told"]


def test_after_an_instant_that_has_not_come_yet_the_whole_list_is_read_again(plaza, place):
    class Ahead(SignedHttp):
        def page(self, **asked):
            found = super().page(**asked)
            return Page(found.rows, found.next, found.as_of + timedelta(days=3650))

    ahead = Ahead(base=plaza.program.base, key_id="onym", private_key=plaza.key)
    ports.install(platforms={place: ahead})
    first, second = read(place), read(place)
    assert (second["since"], second["told"]) == (None, first["told"])


@pytest.mark.parametrize("pages_before_the_end", [0, 1])
def test_handles_that_move_while_the_list_is_read_are_told_as_they_are_at_its_end(
    plaza, place, pages_before_the_end
):
    (early, sold), *_, (late, old) = [plaza.sign_up() for _ in range(16)]
    port, turns = plaza.port(), itertools.count(1)

    def swap():
        """After this, pages already read are old news and pages to come are not."""
        assert move(port, sold, early, late, fence=next(turns)).done

    pages = (len(port.accounts()[0]) + 6) // 7
    wayward = Wayward(plaza, {pages - pages_before_the_end: swap})
    ports.install(platforms={place: wayward})
    facts = read(place)
    assert (facts["rejects"], wayward.pages > pages) == (0, True)
    row = known(place).by_handle(sold)
    assert row is not None
    assert row["account_id"] == late
    assert known(place).by_handle(old) is None
    assert known(place).by_account(early)["handle"] == f"user_{early}"


def test_a_handle_that_the_list_gives_to_two_accounts_is_asked_about(plaza, place):
    (one, handle), (two, other) = plaza.sign_up(), plaza.sign_up()
    lying = Wayward(plaza, **{f"a{two}": {"handle": handle}})
    ports.install(platforms={place: lying})
    facts = read(place)
    assert facts["rejects"] == 0
    holders = [known(place).by_handle(name)["account_id"] for name in (handle, other)]
    assert holders == [one, two]


def test_an_id_that_is_given_to_somebody_else_is_left_out_until_a_person_accepts_it(plaza, place):
    account_id, handle = plaza.sign_up()
    read(place)
    born = plaza.port().account(account_id=account_id)["created_at"] + timedelta(days=1)
    ports.install(platforms={place: Wayward(plaza, **{f"a{account_id}": {"created_at": born}})})
    for _ in range(2):
        facts = read(place)
        assert facts["reused"] == [account_id]
        assert known(place).by_handle(handle) is None
    facts = read(place, "--whole", "--accept", account_id)
    assert facts["reused"] == []
    assert known(place).by_handle(handle)["created_at"] == born


def test_a_list_that_goes_in_circles_is_refused_and_nothing_changes(plaza, place):
    read(place)
    before = DirectoryImport.objects.count()

    class Circling(Wayward):
        def page(self, **asked):
            found = super().page(**asked)
            return Page(found.rows, found.next and "1007", found.as_of)

    ports.install(platforms={place: Circling(plaza)})
    with pytest.raises(PlatformUnavailable, match="circles"):
        read(place, "--whole")
    assert DirectoryImport.objects.count() == before
    assert known(place).by_handle("handle") is not None


def test_a_platform_that_fails_half_way_leaves_the_old_directory_in_use(plaza, place):
    read(place)
    before = DirectoryImport.objects.count()

    def fail():
        plaza.arm("error", on="accounts")

    ports.install(platforms={place: Wayward(plaza, {3: fail})})
    with pytest.raises(Refusal):
        read(place, "--whole")
    assert DirectoryImport.objects.count() == before
    folder = site.DATA / "namespaces" / place / "directory"
    assert list(folder.glob(f"{refresh.SCRATCH}*")) == []


def test_two_readings_at_once_are_one(plaza, place):
    folder = site.DATA / "namespaces" / place / "directory"
    told = []

    def meanwhile():
        with pytest.raises(InProgress):
            read(place)
        told.append(True)

    ports.install(platforms={place: Wayward(plaza, {1: meanwhile})})
    read(place)
    assert told == [True]
    left = folder / f"{refresh.SCRATCH}left"  # as a killed one leaves it
    left.mkdir()
    read(place)
    assert not left.exists()
    assert contacts.directory(place) is not None
