"""`onym init`: a file of settings for one pair of eyes, keys, and a market that begins closed."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest
from tests import make
from tests.surfaces import keeping
from tests.surfaces.keeping import Place

from onym.core.errors import Malformed, NotAllowed
from onym.flows import people
from onym.site import embedded, questions, settings_file

pytestmark = pytest.mark.usefixtures("database")
ANSWERS = {
    "base-url": "https://names.example/",
    "namespace": "plaza",
    "currency": "eur",
    "mail-from": "Names <names@names.example>",
    "smtp-password": 'a"b\\c$d',
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data", "")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers"
    file.write_text("".join(f"{name}={value}\n" for name, value in ANSWERS.items()))
    return file


def bare(place: Place, url: str) -> dict[str, str]:
    kept = place.environment(DATABASE_URL=url)
    return {k: v for k, v in kept.items() if k not in ("ONYM_NAMESPACE", "ONYM_LOG_ORIGIN")}


def test_a_market_is_founded_from_a_file_of_answers(place: Place, answers: Path) -> None:
    empty = keeping.elsewhere(place.data, like=keeping.MIGRATED)
    told = place.done("init", "--answers", answers, "--title", "Names", "--database-url", empty.url)
    assert told["namespace"] == "plaza"
    file = Path(told["settings"])
    assert file == place.data / "onym.env"
    assert file.stat().st_mode & 0o777 == 0o600
    kept = settings_file.read(file)
    assert kept["ONYM_BASE_URL"] == "https://names.example"
    assert kept["ONYM_SITE_NAME"] == "Names"
    assert kept["ONYM_SMTP_PASSWORD"] == ANSWERS["smtp-password"]
    assert kept["DATABASE_URL"] == empty.url
    assert empty.asked("select id, currency, phase, release_stop from store_namespace") == [
        ("plaza", "EUR", "closed", True)
    ]
    assert empty.asked("select count(*) from store_member where is_house") == [(1,)]
    assert empty.asked("select kind from store_document order by 1") == [
        ("fees",),
        ("guidelines",),
        ("policy",),
    ]
    for name in ("secret", "field", "log", "platform", "platform.pem"):
        assert (place.data / "keys" / name).exists(), name
    states = {finding["area"]: finding["state"] for finding in told["findings"]}
    assert states["database"] == "ok"
    assert (states["platform"], states["payments"]) == ("fail", "fail")


def test_a_file_that_is_there_is_not_replaced_unless_forced(place: Place, answers: Path) -> None:
    file = settings_file.path(place.data)
    settings_file.write(file, 'ONYM_BASE_URL="https://mine.example"\n')
    assert place.refused("init", "--answers", answers)[0] == "already_set_up"
    assert settings_file.read(file) == {"ONYM_BASE_URL": "https://mine.example"}


def test_an_interrupted_set_up_goes_on_with_what_was_answered(place: Place, answers: Path) -> None:
    """The file was written, the market was not founded; what was added by hand stays, too."""
    empty = keeping.elsewhere(place.data, like=keeping.MIGRATED)
    place.done("init", "--answers", answers, "--profile", "precis", "--database-url", empty.url)
    file = settings_file.path(place.data)
    before = settings_file.read(file) | {"ONYM_HOSTS": "b.example", "ONYM_FIELD_KEY": "mine"}
    written = settings_file.text({"Mine": before})
    settings_file.write(file, written)
    again = keeping.elsewhere(place.data, "onym_again", like=keeping.MIGRATED)
    place.done("init", "--force", "--no-input", "--database-url", again.url)
    assert settings_file.read(file) == before | {"DATABASE_URL": again.url}
    (kept,) = place.data.glob("onym.env.before-*")
    assert (kept.stat().st_mode & 0o777, kept.read_text()) == (0o600, written)
    assert again.asked("select id, profile, currency from store_namespace") == [
        ("plaza", "precis", "EUR")
    ]


def test_where_nobody_can_be_asked_nothing_is_taken_for_granted(place: Place) -> None:
    said = subprocess.run(
        place.command("init"),
        env=bare(place, ""),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, "add --no-input" in said.stderr) == (2, True), said.stderr
    assert not settings_file.path(place.data).exists()


def test_the_custodian_is_learned_when_the_platform_is_there_and_kept_while_it_holds_something(
    database: str,
) -> None:
    place = make.namespace()
    people.keep_with(namespace=place.id, custodian="acc_keeper")
    people.keep_with(namespace=place.id, custodian="acc_keeper")
    place.refresh_from_db()
    assert place.custodian_account_id == "acc_keeper"
    make.handle(place, "kept", account_id="acc_keeper")
    with pytest.raises(NotAllowed):
        people.keep_with(namespace=place.id, custodian="acc_other")
    place.refresh_from_db()
    assert place.custodian_account_id == "acc_keeper"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base-url", "names.example"),
        ("base-url", "https://names.example/market"),
        ("namespace", "Big Plaza"),
        ("profile", "y"),
        ("currency", "ZZZ"),
        ("database-url", "mysql://root@127.0.0.1/onym"),
        ("database-url", "postgresql://onym@127.0.0.1:1/onym"),
        ("mail-from", "Handle Team"),
        ("smtp-port", "99999"),
        ("smtp-tls", "perhaps"),
        ("platform-url", "plaza"),
        ("payments-key", "pk_test_1"),
        ("title", ""),
        ("security-contact", "http://x.example"),
        ("security-contact", "nobody"),
    ],
)
def test_what_is_typed_is_checked(name: str, value: str) -> None:
    (one,) = [one for one in questions.ALL if one.name == name]
    with pytest.raises(Malformed):
        one.check(value)


def test_every_default_passes_its_own_check() -> None:
    for one in questions.ALL:
        one.check(one.default)


def test_a_wrong_answer_names_its_question_and_nothing_is_written(place: Place) -> None:
    code, detail = place.refused("init", "--namespace", "Big Plaza")
    assert code == "malformed"
    assert detail.startswith("namespace: a namespace is ")
    assert not settings_file.path(place.data).exists()


def test_a_person_is_asked_again_until_it_will_do(place: Place) -> None:
    """On a terminal of its own; the rest is answered by flags."""
    given = [
        word
        for one in questions.ALL
        if one.name not in ("namespace", "currency")
        for word in (f"--{one.name}", one.default)
    ]
    terminal, end = pty.openpty()
    empty = keeping.elsewhere(place.data, like=keeping.MIGRATED)
    process = subprocess.Popen(
        place.command("init", *given, "--database-url", empty.url),
        env=bare(place, ""),
        stdin=end,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.write(terminal, b"Big Plaza\nplaza\n\n")
    said, _ = process.communicate(timeout=60)
    os.close(terminal)
    os.close(end)
    assert process.returncode == 0, said
    assert "a namespace is lower-case letters" in said
    assert "Next:" in said
    assert settings_file.read(settings_file.path(place.data))["ONYM_NAMESPACE"] == "plaza"


def test_commands_read_the_file_and_the_environment_wins(place: Place) -> None:
    settings_file.write(settings_file.path(place.data), "DATABASE_URL=mysql://nowhere\n")
    said = subprocess.run(
        place.command("migrate"),
        env={k: v for k, v in bare(place, "").items() if k != "DATABASE_URL"},
        capture_output=True,
        text=True,
    )
    assert said.stderr == "onym: malformed: DATABASE_URL must begin with postgresql://\n"
    nowhere = "postgresql://onym@127.0.0.1:1/onym"
    said = place.run("migrate", DATABASE_URL=nowhere)
    assert said.stderr.startswith("onym: database_unavailable")


def test_a_mistake_in_the_file_is_named_by_its_line(place: Place) -> None:
    settings_file.write(settings_file.path(place.data), "# mine\n\nONYM BASE_URL=x\n")
    code, detail = place.refused("migrate")
    assert (code, "line 3" in detail) == ("malformed", True)
    assert embedded.join(place.data) is None
