"""`onym platform check` from outside: a line a verdict, exit codes, plain words for trouble."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.demo import plaza as plazas
from tests.demo.servers import free_port
from tests.ports import starters

from onym.ports import conformance
from onym.site import command


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    running = plazas.start(tmp_path_factory.mktemp("plaza"))
    yield running
    running.program.stop()


def pem(key, path):
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(path)


@pytest.fixture
def key(plaza, tmp_path):
    return pem(plaza.key, tmp_path / "key.pem")


def check(capsys, *arguments):
    """(exit code, what it printed, what it said of trouble)."""
    code = command.run(["platform", "check", *arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err


def test_the_demos_platform_passes_with_a_line_for_each_clause(plaza, key, capsys):
    one, two = plaza.sign_up()[0], plaza.sign_up()[0]
    named = [
        "--account",
        one,
        "--account",
        two,
        "--handle",
        "trial_1",
        "--hand-over",
        "a@b.example",
    ]
    code, told, _ = check(capsys, plaza.program.base, "--key", key, *named)
    assert code == 0
    assert f"{len(conformance.CLAUSES)} pass, 0 fail, 0 not checked" in told
    assert all(clause.id in told for clause in conformance.CLAUSES)


def test_json_has_a_verdict_a_clause_and_says_why_one_was_not_checked(plaza, key, capsys):
    code, told, _ = check(capsys, plaza.program.base, "--key", key, "--json")
    found = json.loads(told)
    assert (code, found["ok"], found["astray"]) == (0, True, [])
    clauses = {clause["id"]: clause for clause in found["clauses"]}
    assert clauses["reads.handle"]["verdict"] == "pass"
    assert clauses["move.done"]["verdict"] == "not checked"
    assert "--account A --account B" in clauses["move.done"]["detail"]


def test_without_a_key_reads_go_unsigned_and_what_needs_one_is_not_checked(plaza, tmp_path, capsys):
    where = ["--data", str(tmp_path / "nothing"), "--json"]
    code, told, _ = check(capsys, plaza.program.base, *where)
    verdicts = {clause["id"]: clause["verdict"] for clause in json.loads(told)["clauses"]}
    assert (code, verdicts["reads.cursor"], verdicts["signatures.unsigned"]) == (0, "pass", "pass")
    assert verdicts["signatures.agreed"] == "not checked"


def test_the_key_is_found_where_onym_keeps_it(plaza, tmp_path, capsys):
    (tmp_path / "keys").mkdir()
    raw = urlsafe_b64encode(plaza.key.private_bytes_raw()).rstrip(b"=")
    (tmp_path / "keys" / "platform").write_bytes(raw)
    code, told, _ = check(capsys, plaza.program.base, "--data", str(tmp_path), "--json")
    verdicts = {clause["id"]: clause["verdict"] for clause in json.loads(told)["clauses"]}
    assert (code, verdicts["signatures.agreed"]) == (0, "pass")


def test_a_broken_platform_is_exit_1_and_names_the_clause_and_the_page(tmp_path, capsys):
    starter = starters.start("flask", tmp_path, starters.broken("refuses in plain text"))
    code, told, _ = check(capsys, starter.base, "--key", pem(starter.key, tmp_path / "key"))
    starter.stop()
    assert code == 1
    assert "fail         refusals.form" in told
    assert "see docs/guides/platform.md, What your answer means to Onym" in told


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("nonsense", 2, "no http or https address"),
        ("ftp://plaza.example", 2, "no http or https address"),
        ("http://[::1", 2, "no http or https address"),
        ("http://127.0.0.1:99999", 2, "no http or https address"),
        ("http://127.0.0.1:{free}", 1, "does not answer"),
        ("{plaza}/@handle", 1, "does not speak the contract"),
    ],
)
def test_a_wrong_address_is_told_in_a_line(plaza, key, capsys, url, code, said):
    here = url.replace("{plaza}", plaza.program.base).replace("{free}", str(free_port()))
    found, _, told = check(capsys, here, "--key", key)
    assert (found, said in told) == (code, True), told


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["--account", "1004"], "given twice"),
        (["--account", "1004", "--account", "1004"], "two different accounts"),
        (["--account", "1004", "--account", "404404"], "account 404404 cannot be used"),
        (["--account", "1004", "--account", "1000"], "the custodian"),
        (["--handle", "handle"], "@handle is not free"),
        (["--hand-over", "a@b.example"], "needs the two accounts"),
        (["--key", "nowhere.pem"], "No such file"),
    ],
)
def test_what_was_named_wrongly_is_usage(plaza, key, capsys, named, said):
    found, _, told = check(capsys, plaza.program.base, "--key", key, *named)
    assert (found, said in told) == (2, True), told


def test_a_key_that_the_platform_does_not_know_is_told(plaza, tmp_path, capsys):
    strange = pem(Ed25519PrivateKey.generate(), tmp_path / "strange.pem")
    code, _, told = check(capsys, plaza.program.base, "--key", strange)
    assert (code, "turns us away" in told) == (1, True), told


def test_a_file_that_is_no_key_is_usage(plaza, tmp_path, capsys):
    (tmp_path / "no.pem").write_text("hello")
    code, _, told = check(capsys, plaza.program.base, "--key", str(tmp_path / "no.pem"))
    assert (code, "holds no usable private key" in told) == (2, True), told
