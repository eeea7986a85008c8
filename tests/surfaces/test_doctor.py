"""`onym doctor` against a real database, mail server, resolver, platform and payment provider: each
thing that is wrong is one finding with what to do, and what is right says so."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import psycopg
import pytest
from tests import make, world
from tests.demo.servers import free_port
from tests.surfaces import keeping
from tests.surfaces.keeping import Place

from onym.core.errors import Malformed
from onym.flows import log, people
from onym.ports import sql
from onym.site import doctor, doctor_mail, findings, numbers
from onym.tlog import integrator

RECORDS = {
    "names.test.": "v=spf1 mx -all",
    "_dmarc.names.test.": "v=DMARC1; p=quarantine; rua=mailto:d@names.test",
    "k1._domainkey.names.test.": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMl",
}


@contextmanager
def name_server(records: dict[str, str]) -> Iterator[str]:
    """A small DNS server on loopback; several TXT records of a name are apart by a line."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                data, client = server.recvfrom(4096)
            except TimeoutError:
                continue
            server.sendto(answered(data, records), client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        server.close()


def answered(data: bytes, records: dict[str, str]) -> bytes:
    asked = dns.message.from_wire(data)
    answer = dns.message.make_response(asked)
    name = asked.question[0].name.to_text()
    if name in records:
        lines = [json.dumps(text) for text in records[name].splitlines()]
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *lines))
    else:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer.to_wire()


@pytest.fixture
def home(database: str, settings: Any, tmp_path: Path) -> Place:
    """A market whose key the running platform knows, with two people on the desk."""
    import base64

    made = keeping.market(settings, tmp_path / "data")
    seed = world.outside().plaza.key.private_bytes_raw()
    (made.data / "keys" / "platform").write_text(
        base64.urlsafe_b64encode(seed).decode().rstrip("=")
    )
    people.keep_with(namespace="demo", custodian=str(world.outside().custodian()))
    for _ in range(2):
        people.grant(member=make.member(made_namespace()).id, role="curator")
    log.integrate()
    return made


def made_namespace() -> Any:
    from onym.store.models import Namespace

    return Namespace.objects.get()


def outside(resolver: str, **more: str) -> dict[str, str]:
    there = world.outside()
    return {
        "ONYM_BASE_URL": "https://names.test",
        "ONYM_MAIL_FROM": "Names <names@names.test>",
        "ONYM_SMTP_HOST": "127.0.0.1",
        "ONYM_SMTP_PORT": str(there.smtp),
        "ONYM_DNS": resolver,
        "ONYM_DKIM_SELECTOR": "k1",
        "ONYM_PLATFORM_URL": there.plaza.program.base,
        "ONYM_PAYMENTS_URL": there.provider.base,
        "ONYM_PAYMENTS_KEY": "sk_test_onym",
        "ONYM_PAYMENTS_WEBHOOK_SECRET": world.SECRET,
        **more,
    }


def examined(place: Place, *words: str, **environment: str) -> tuple[int, list[dict[str, str]]]:
    said = place.run("doctor", "--json", *words, **environment)
    assert not said.stderr, said.stderr
    told = json.loads(said.stdout)
    assert told["ok"] == (said.returncode == 0)
    return said.returncode, told["findings"]


def test_a_sound_installation_is_ok_but_for_its_jobs_and_says_what_it_found(home: Place) -> None:
    with name_server(RECORDS) as resolver:
        code, found = examined(home, "--without", "jobs", **outside(resolver))
    states = {(one["area"], one["state"]) for one in found}
    assert code == 0, [one for one in found if one["state"] == "fail"]
    sound = {"settings", "database", "market", "log", "disk", "mail", "dns", "platform", "payments"}
    assert {area for area, state in states if state == "ok"} == sound
    assert [one["found"] for one in found if one["area"] == "platform"][-1] == (
        "it accepts our signature"
    )
    assert all(one["todo"] for one in found if one["state"] != "ok")


def test_what_is_wrong_outside_is_said_with_what_to_do(home: Place) -> None:
    """A stranger's key, a wrong payment key, no mail server, no worker, no DNS records at all."""
    (home.data / "keys" / "platform").unlink()
    (home.data / "keys" / "field").chmod(0o644)
    wrong = {"ONYM_PAYMENTS_KEY": "sk_test_", "ONYM_SMTP_PORT": str(free_port())}
    with name_server({}) as resolver:
        code, found = examined(home, **outside(resolver, **wrong))
    assert code == 1
    failed = {one["area"]: one["found"] for one in found if one["state"] == "fail"}
    assert set(failed) == {"settings", "jobs", "mail", "dns", "platform", "payments"}
    assert "may be read by others" in failed["settings"]
    assert "does not accept our signature" in failed["platform"]
    assert failed["jobs"] == "a worker was last seen never"


def test_a_field_key_that_does_not_open_what_is_kept_is_told(home: Place) -> None:
    make.member(made_namespace(), mail="ada@x.example")
    away, without = outside("127.0.0.1:1"), ("--without", "dns")
    told = "the field key does not open the addresses that are kept"
    assert told not in [one["found"] for one in examined(home, *without, **away)[1]]
    (home.data / "keys" / "field").write_text("another key")
    (one,) = [one for one in examined(home, *without, **away)[1] if one["found"] == told]
    assert (one["area"], one["state"]) == ("market", "fail")


def test_a_log_that_may_not_sign_is_the_first_thing_to_see(home: Place) -> None:
    integrator.hold(home.data / "log", "{}")
    code, found = examined(home, "--without", "dns", **outside("127.0.0.1:1"))
    assert code == 1
    (one,) = [one for one in found if one["area"] == "log"]
    assert one["found"].startswith("log_held: ")
    assert "onym log resume" in one["todo"]


def test_without_a_database_the_rest_is_still_examined(home: Place) -> None:
    nowhere = "postgresql://onym@127.0.0.1:1/onym"
    with name_server(RECORDS) as resolver:
        code, found = examined(home, **outside(resolver, DATABASE_URL=nowhere))
    assert code == 1
    states = {one["area"]: one["state"] for one in found}
    assert states["database"] == "fail"
    assert states["mail"] == "ok"


@pytest.mark.parametrize(
    ("name", "text", "state", "says"),
    [
        ("names.test.", "v=spf1 +all", "fail", "lets everybody send"),
        ("names.test.", "v=spf1 mx", "warn", "forbids nobody"),
        ("names.test.", "v=spf1 mx -all\nv=spf1 a -all", "fail", "has 2 SPF records"),
        ("names.test.", "something else", "fail", "has no SPF record"),
        ("_dmarc.names.test.", "v=DMARC1; p=none", "warn", "only watches"),
        ("_dmarc.names.test.", "v=DMARC1; rua=mailto:x@names.test", "fail", "has no policy"),
        ("k1._domainkey.names.test.", "v=DKIM1; p=", "fail", "is revoked"),
    ],
)
def test_a_record_of_the_senders_domain_is_judged(
    settings: Any, name: str, text: str, state: str, says: str
) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.DKIM_SELECTOR = "names@names.test", "k1"
    with name_server(RECORDS | {name: text}) as resolver:
        settings.DNS = resolver
        found = list(doctor_mail.AREAS["dns"]())
    odd = [one for one in found if one.state != "ok"]
    assert [(one.state, says in one.found) for one in odd] == [(state, True)]


def test_a_data_without_a_market_is_told_and_nothing_is_made_of_it(
    database: str, tmp_path: Path
) -> None:
    typo = Place(tmp_path / "typo", "")
    code, found = examined(typo, DATABASE_URL="")
    assert (code, [one["area"] for one in found]) == (1, ["database"])
    assert f"there is no market in {typo.data}" in found[0]["found"]
    assert not typo.data.exists()


def test_while_migrations_are_missing_that_alone_is_said_of_what_lies_in_tables(
    home: Place,
) -> None:
    bare = keeping.elsewhere(home.data.parent / "bare")
    _, found = examined(bare, "--without", "dns", **outside("127.0.0.1:1"))
    of_tables = [one for one in found if one["area"] in ("database", "market", "log", "jobs")]
    assert [one["todo"] for one in of_tables if one["state"] != "ok"] == ["run onym migrate"]


def test_an_area_that_is_none_and_a_setting_that_is_none_are_told(home: Place) -> None:
    said = home.run("doctor", "--without", "weather")
    assert (said.returncode, "'weather' is not one of" in said.stderr) == (2, True)
    (home.data / "onym.env").write_text("ONYM_BASEURL=https://names.test\n")
    _, found = examined(home, "--without", "dns", **outside("127.0.0.1:1"))
    (odd,) = [one for one in found if one["found"] == "there is no setting ONYM_BASEURL"]
    assert (odd["state"], odd["todo"]) == ("warn", "write ONYM_BASE_URL")


def test_a_platform_with_another_custodian_than_the_markets_is_told(home: Place) -> None:
    make_other = "update store_namespace set custodian_account_id = 'custodian-of-old'"
    with psycopg.connect(home.url) as link:
        link.execute(make_other)
    _, found = examined(home, "--without", "dns", **outside("127.0.0.1:1"))
    failed = [one["found"] for one in found if one["area"] == "platform" and one["state"] == "fail"]
    assert len(failed) == 1
    assert failed[0].endswith("and the market's custodian-of-old")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ONYM_SMTP_PORT", "smtp", "a whole number, 1 to 65535"),
        ("ONYM_LOG_LEVEL", "LOUD", "is one of DEBUG"),
        ("ONYM_PLATFORM_KIND", "ftp", "is one of http"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_finding_and_no_bug(
    home: Place, name: str, value: str, says: str
) -> None:
    code, found = examined(home, **outside("127.0.0.1:1", **{name: value}))
    assert code == 1
    assert found[-1]["area"] == "settings"
    assert found[-1]["found"].startswith(name)
    assert says in found[-1]["found"]


@pytest.mark.parametrize("text", ["soon", "-1", "0", "inf", "nan", "601"])
def test_a_time_to_wait_is_some_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONYM_PLATFORM_TIMEOUT", text)
    with pytest.raises(Malformed, match="a number of seconds"):
        numbers.seconds("ONYM_PLATFORM_TIMEOUT", 10)
    monkeypatch.setenv("ONYM_PLATFORM_TIMEOUT", "2.5")
    assert numbers.seconds("ONYM_PLATFORM_TIMEOUT", 10) == 2.5


def test_a_mapped_database_is_a_platform_and_nothing_is_written_there(
    home: Place, tmp_path: Path
) -> None:
    with psycopg.connect(home.url) as link:
        link.execute(sql.TABLES)
        link.execute("create view accounts as select ''::text as account_id, ''::text as handle")
        (custodian,) = link.execute("select custodian_account_id from store_namespace").fetchone()  # type: ignore[misc]  # a row
    facts = {"dsn": home.url, "profile": "x", "view": "accounts", "custodian": custodian}
    facts["rename"] = facts["notice"] = "select %(account_id)s, %(old)s, %(new)s, %(text)s"
    file = tmp_path / "mapping.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in facts.items()))
    mapped = {"ONYM_PLATFORM_KIND": "sql", "ONYM_PLATFORM_SQL": str(file), "ONYM_PLATFORM_URL": ""}
    _, found = examined(home, "--without", "dns", **outside("127.0.0.1:1", **mapped))
    (one,) = [one for one in found if one["area"] == "platform"]
    assert one["state"] == "ok"
    assert one["found"].startswith(f"{file} answers; it can: atomic_move, reserve, retain")
    assert home.asked("select count(*) from onym.answers") == [(0,)]


def test_a_provider_that_is_away_is_not_a_wrong_key(home: Place) -> None:
    away = {"ONYM_PAYMENTS_URL": f"http://127.0.0.1:{free_port()}"}
    _, found = examined(home, "--without", "dns", **outside("nonsense", **away))
    (one,) = [one for one in found if one["area"] == "payments" and one["state"] == "fail"]
    assert (one["found"], "ONYM_PAYMENTS_URL" in one["todo"]) == (
        "the provider does not answer",
        True,
    )


def test_a_resolver_is_host_and_port(settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.DNS = "names@names.test", "resolver"
    (one,) = doctor_mail.AREAS["dns"]()
    assert (one.state, "HOST:PORT" in one.todo) == ("fail", True)


def test_an_examination_that_breaks_is_a_finding() -> None:
    def breaks() -> Iterator[findings.Finding]:
        raise ValueError("no such thing")
        yield findings.ok("mail", "")

    (one,) = doctor._looked("mail", breaks, frozenset())
    assert (one.state, one.found) == ("fail", "ValueError: no such thing")


def test_the_two_clocks_are_compared(database: str) -> None:
    """The machine's against a server's that answers for an hour ago: a table in front of the
    function's schema is what the database's own clock says here."""
    from onym.site import doctor_log

    with psycopg.connect(database) as link:
        assert [one.state for one in doctor_log._clock(link)] == ["ok"]
        link.execute(
            "create schema lag; create function lag.clock_timestamp() returns timestamptz"
            " language sql as $$ select pg_catalog.clock_timestamp() - interval '1 hour' $$;"
            " set search_path = lag, pg_catalog, public"
        )
        (one,) = doctor_log._clock(link)
    assert one.state == "fail"
    assert "3600" in one.found.replace("3599.9", "3600")
