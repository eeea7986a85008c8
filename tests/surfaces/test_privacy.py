"""A member takes their data along or leaves, on the pages and by command; the daily purge."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.test import Client
from tests import make
from tests.demo.servers import until

from onym.cli import person
from onym.flows import listing, people
from onym.jobs import retention
from onym.store.models import MailCode, Member

pytestmark = pytest.mark.usefixtures("database")
MAIL, PASSWORD = "leila@mail.example", "orbit-and-tide"


@pytest.fixture
def leila(database: Any, settings: Any) -> Member:
    settings.NAMESPACE = "demo"
    make.namespace()
    row = people.join(namespace="demo", name="Leila", mail=MAIL, password=PASSWORD)
    people.link(member=row.id, account_id="acc-moon")
    return row


def signed_in() -> Client:
    client = Client()
    client.post("/en/sign-in", {"mail": MAIL, "password": PASSWORD})
    return client


def test_the_button_gives_the_file_and_an_address_alone_does_not(leila: Member) -> None:
    client = signed_in()
    assert client.get("/en/me/data.json")["Location"] == "/en/me/settings"
    answer = client.post("/en/me/data.json")
    assert answer["Content-Disposition"] == f'attachment; filename="{leila.id}.json"'
    assert answer["Cache-Control"] == "no-store"
    assert answer.json()["addresses"][0]["mail"] == MAIL


def test_a_proof_of_long_ago_is_asked_for_anew(leila: Member) -> None:
    client = signed_in()
    make.totp(leila)
    for path in ("/en/me/data.json", "/en/me/leave"):
        assert "/en/me" not in client.post(path)["Location"].split("?")[0]
    assert Member.objects.get(pk=leila.id).erased_at is None


@pytest.mark.parametrize("typed", ["", "mbr_other", "<b>", "x" * 10_000, "\u202eleila"])
def test_leaving_wants_the_very_word_typed(leila: Member, typed: str) -> None:
    client = signed_in()
    assert leila.id in client.get("/en/me/leave").content.decode()
    assert client.post("/en/me/leave", {"typed": typed}).status_code == 422
    assert Member.objects.get(pk=leila.id).erased_at is None


def test_who_leaves_is_signed_out_and_forgotten(leila: Member) -> None:
    client = signed_in()
    assert client.post("/en/me/leave", {"typed": leila.id})["Location"] == "/en/"
    assert Member.objects.get(pk=leila.id).erased_at is not None
    assert client.get("/en/me").status_code == 302
    assert client.post("/en/sign-in", {"mail": MAIL, "password": PASSWORD}).status_code != 302


def test_what_is_open_is_named_and_nobody_is_forgotten(leila: Member) -> None:
    row = make.handle(leila.namespace, "moon", account_id="acc-moon")
    listing.open_(namespace="demo", handle=row.handle, seller=leila.id, price=make.usd(900))
    answer = signed_in().post("/en/me/leave", {"typed": leila.id})
    assert answer.status_code == 409
    assert Member.objects.get(pk=leila.id).name == "Leila"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(person.command, list(arguments))


def test_the_commands_export_and_erase_a_member(leila: Member, tmp_path: Path) -> None:
    file = tmp_path / "leila.json"
    assert run("export", MAIL, "--out", str(file)).exit_code == 0
    assert json.loads(file.read_text())["member"]["id"] == leila.id
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(run("export", MAIL).output)["member"]["name"] == "Leila"
    unasked = CliRunner().invoke(person.command, ["erase", MAIL], input="n\n")
    assert (unasked.exit_code, "say --yes" in unasked.output) == (2, True)
    assert Member.objects.get(pk=leila.id).name == "Leila"
    assert json.loads(run("erase", MAIL, "--yes", "--json").output)["member"] == leila.id
    assert json.loads(run("erase", MAIL, "--yes", "--json").output) == {"member": None, "rows": 0}
    assert "notices" in json.loads(run("purge", "--json").output)


def test_an_export_over_a_file_that_others_read_is_for_its_owner_alone(
    leila: Member, tmp_path: Path
) -> None:
    file, elsewhere = tmp_path / "leila.json", tmp_path / "shared"
    for there in (file, elsewhere):
        there.write_text("old")
        there.chmod(0o644)
    linked = tmp_path / "linked.json"
    linked.symlink_to(elsewhere)
    with file.open() as reader:
        for out in (file, linked):
            assert run("export", MAIL, "--out", str(out)).exit_code == 0
            assert (out.stat().st_mode & 0o777, out.is_symlink()) == (0o600, False)
        assert (reader.read(), elsewhere.read_text()) == ("old", "old")
    assert {path.name for path in tmp_path.iterdir()} == {"leila.json", "linked.json", "shared"}


def test_the_jobs_process_takes_away_what_has_had_its_time(leila: Member) -> None:
    code = MailCode.objects.create(
        id="mcd_1",
        namespace=leila.namespace,
        member=leila,
        address_sealed=b"",
        name_sealed=b"",
        language="en",
        joins=False,
        digest="",
        ordered_at=make.LONG_AGO,
    )
    stop = threading.Event()
    thread = threading.Thread(target=retention.keep, args=(stop,), kwargs={"first": 0.0})
    thread.start()
    try:
        until(lambda: not MailCode.objects.filter(pk=code.pk).exists())
    finally:
        stop.set()
        thread.join(timeout=20)
