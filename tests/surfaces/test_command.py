"""The command line from outside: exit codes, one line per trouble, nothing loaded too early."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import click
import psycopg
import pytest
from tests import make

from onym.core.errors import NotFound
from onym.site import command, database

ROOT = Path(__file__).resolve().parents[2]


def onym(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "onym.site.command", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_answers_at_once_and_offers_only_what_exists() -> None:
    began = time.monotonic()
    said = onym("--help")
    assert time.monotonic() - began < 2
    assert said.returncode == 0
    offered = {line.split()[0] for line in said.stdout.split("Commands:")[1].splitlines() if line}
    assert {"up", "migrate"} <= offered <= set(command.COMMANDS)


def test_help_loads_neither_django_nor_an_engine() -> None:
    program = (
        "import sys; from onym.site import command; command.run(['--help']);"
        "heavy = {'django', 'duckdb', 'ibis', 'pandas', 'pyarrow', 'psycopg'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stderr) == (0, "")


def test_every_command_that_exists_has_help_of_its_own() -> None:
    for name in command.group.list_commands(click.Context(command.group)):
        said = onym(name, "--help")
        assert said.returncode == 0, said.stderr
        assert said.stdout.startswith(f"Usage: onym {name}"), name


def leaves() -> list[tuple[list[str], click.Command]]:
    """Every command that does something, with the words that lead to it; Django is set up."""
    found: list[tuple[list[str], click.Command]] = []

    def walk(words: list[str], one: click.Command) -> None:
        if not isinstance(one, click.Group):
            found.append((words, one))
            return
        for name in one.list_commands(click.Context(one)):
            below = one.get_command(click.Context(one), name)
            assert below is not None
            walk([*words, name], below)

    for name in command.group.list_commands(click.Context(command.group)):
        module = importlib.import_module(command.COMMANDS[name][0])
        walk([name], module.command)
    return found


def test_every_command_has_an_example_that_its_own_words_understand() -> None:
    for words, one in leaves():
        _, found, example = inspect.cleandoc(one.help or "").partition("\b\nExample:\n")
        assert found, f"onym {' '.join(words)} has no example"
        typed = shlex.split(example)
        assert typed[: len(words) + 1] == ["onym", *words]
        context = click.Context(one)
        given, rest, _ = one.make_parser(context).parse_args(typed[len(words) + 1 :])
        assert rest == []
        missing = [p.name for p in one.params if p.required and given.get(p.name or "") is None]
        assert missing == [], f"onym {' '.join(words)}"


def test_every_option_of_every_command_is_explained() -> None:
    unsaid = [
        f"onym {' '.join(words)} {option.opts[0]}"
        for words, one in leaves()
        for option in one.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert unsaid == []


def test_nothing_typed_shows_the_help_and_is_usage() -> None:
    said = onym()
    assert said.returncode == 2
    assert "Commands:" in said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_a_word_that_is_nearly_one_of_ours_is_told_with_its_like() -> None:
    said = onym("bakcup")
    assert (said.returncode, "Did you mean 'backup'?" in said.stderr) == (2, True)


SLOW = """
import click, duckdb
@click.command()
def command():
    raise duckdb.InterruptException("INTERRUPT Error: Interrupted!")
"""


def test_ctrl_c_in_the_middle_of_a_query_is_no_bug(tmp_path: Path) -> None:
    """DuckDB takes the signal itself and raises an error of its own, after a while of its own."""
    (tmp_path / "slow.py").write_text(SLOW)
    program = (
        "from onym.site import command; command.COMMANDS['slow'] = ('slow', '');"
        "command.main(['slow'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (said.returncode, said.stderr) == (130, "stopped\n")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (
            ["desk", "add", "ada@x.example", "--role", "curator", "--password", "p" * 16],
            "not_found",
        ),
        (["desk", "add", "no address", "--role", "curator", "--password", "p" * 16], "malformed"),
    ],
)
def test_nobody_joins_a_market_that_is_not_there_or_without_an_address(
    database: str, words: list[str], code: str
) -> None:
    said = onym(*words, "--json", ONYM_NAMESPACE="nowhere")
    assert said.returncode == 1
    assert json.loads(said.stdout)["code"] == code


@pytest.mark.parametrize(
    "words",
    [["person", "erase", "a@b.example"], ["desk", "add", "a@b.example", "--role", "curator"]],
)
def test_where_nobody_can_be_asked_the_option_that_answers_is_named(
    database: str, words: list[str]
) -> None:
    make.namespace()
    said = onym(*words, ONYM_NAMESPACE="demo")
    assert (said.returncode, "nobody can be asked here" in said.stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments", [["unknown"], ["up", "--port", "many"], ["up", "--port", "-1"], ["migrate", "-x"]]
)
def test_a_mistake_in_the_words_is_usage_and_exits_2(arguments: list[str]) -> None:
    said = onym(*arguments)
    assert said.returncode == 2
    assert "Usage: onym" in said.stderr
    assert "Traceback" not in said.stderr


NOWHERE = "postgresql://onym@127.0.0.1:1/onym"


def test_a_database_that_is_down_is_one_line_and_exit_1() -> None:
    said = onym("migrate", DATABASE_URL=NOWHERE)
    assert said.returncode == 1
    assert said.stderr.startswith("onym: database_unavailable: the database does not answer: ")
    assert said.stderr.count("\n") == 1
    assert said.stdout == ""


def test_with_json_a_refusal_is_a_problem_object_on_standard_output() -> None:
    said = onym("migrate", "--json", DATABASE_URL=NOWHERE)
    assert said.returncode == 1
    problem = json.loads(said.stdout)
    assert problem["type"] == "/problems/database_unavailable"
    assert (problem["status"], problem["code"]) == (503, "database_unavailable")


def test_a_url_of_another_kind_of_database_is_refused() -> None:
    said = onym("migrate", DATABASE_URL="mysql://root@127.0.0.1/onym")
    assert said.returncode == 1
    assert said.stderr == "onym: malformed: DATABASE_URL must begin with postgresql://\n"


def test_a_server_older_than_16_is_refused_by_its_version(tmp_path: Path) -> None:
    """A program that says it is PostgreSQL 15, as Debian 12's does."""
    server = tmp_path / "postgres"
    server.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)'\n")
    server.chmod(0o755)
    environment = {"ONYM_PG_BIN": str(tmp_path), "DATABASE_URL": ""}
    said = onym("migrate", "--data", str(tmp_path / "data"), **environment)
    assert said.returncode == 1
    assert said.stderr == (
        f"onym: database_unavailable: PostgreSQL 15 in {tmp_path} is too old; "
        "16 or newer is needed\n"
    )


def test_data_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a directory should be")
    said = onym("migrate", "--data", str(tmp_path / "file" / "data"), DATABASE_URL="")
    assert said.returncode == 1
    assert said.stderr.startswith("onym: unreadable: ")
    assert said.stderr.endswith("Not a directory; name another place, or see who owns it\n")


@pytest.mark.parametrize("megabytes", [1, 20, 45])
def test_a_full_disk_is_said_and_the_next_try_succeeds_once_there_is_room(
    tmp_path: Path, megabytes: int
) -> None:
    """On a file system of that size: before, in the middle of and after making the cluster."""
    apart = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-rm"]
    program = f"{sys.executable} -m onym.site.command migrate --json --data {tmp_path}/data"
    script = (
        f"mount -t tmpfs -o size={megabytes}m none {tmp_path} && ! {program} "
        f"&& mount -o remount,size=200m {tmp_path} && {program}"
    )
    said = subprocess.run(
        [*apart, "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 0, said.stderr
    first, second = (json.loads(line) for line in said.stdout.splitlines())
    assert first["code"] == "database_unavailable"
    assert "no space is left on the disk" in first["detail"]
    assert second["applied"][-1].startswith("store.")


def test_a_reader_that_goes_away_is_no_fault() -> None:
    program = f"{sys.executable} -m onym.site.command --help | true"
    said = subprocess.run(
        ["bash", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert said.stderr == ""


def test_a_refusal_carries_its_facts_in_the_problem() -> None:
    body = command.problem(NotFound("no such handle", handle="moon"))
    assert body == {
        "type": "/problems/not_found",
        "title": NotFound.title,
        "status": 404,
        "code": "not_found",
        "detail": "no such handle",
        "handle": "moon",
    }


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "no space is left"),
        (psycopg.errors.DiskFull("could not extend file"), "disk_full", "no space is left"),
        (psycopg.OperationalError("server closed"), "database_unavailable", "server closed"),
        (FileNotFoundError(2, "No such file", "a.csv"), "unreadable", "a.csv: No such file"),
        (MemoryError(), "out_of_memory", "not enough memory"),
        (ZeroDivisionError("division by zero"), "fault", "details are in"),
    ],
)
def test_what_the_machine_does_to_us_has_a_code_and_a_sentence(
    fault: Exception, code: str, said: str
) -> None:
    assert command.trouble(fault)[0] == code
    assert said in command.trouble(fault)[1]


def test_a_bug_leaves_its_traceback_in_a_file_and_not_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "onym_broken.py").write_text(
        "import click\n@click.command('broken')\ndef command(): raise KeyError('x')\n"
    )
    program = (
        "from onym.site import command\n"
        "command.COMMANDS['broken'] = ('onym_broken', 'Has a bug.')\n"
        "command.main(['broken'])"
    )
    path = f"{ROOT / 'src'}:{tmp_path}"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "ONYM_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 1
    log = tmp_path / "logs" / "faults.log"
    assert said.stderr == f"onym: fault: KeyError: 'x' (a bug: details are in {log})\n"
    assert "Traceback" in log.read_text()


def test_a_database_that_lacks_tables_names_the_first_and_the_remedy(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as link:
        link.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
        link.execute("DROP TABLE django_session")
    said = onym("migrate", "--json", DATABASE_URL=database)
    assert json.loads(said.stdout) == {"applied": ["sessions.0001_initial"]}
    assert onym("migrate", DATABASE_URL=database).stdout == "nothing to do\n"


def test_other_commands_demand_the_tables_of_an_external_database(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as link:
        link.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    program = "from onym.site import database\nwith database.connected(): pass"
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "DATABASE_URL": database},
        capture_output=True,
        text=True,
    )
    assert "lacks 1 migrations, sessions.0001_initial first: run `onym migrate`" in said.stderr


def test_a_commands_need_is_read_without_importing_it(tmp_path: Path) -> None:
    said = {
        "NEEDS_DATABASE = True\n": True,
        "NEEDS_DATABASE = {'explain'}\n": {"explain"},
        "other = 1\n": False,
    }
    for number, (source, needs) in enumerate(said.items()):
        name = f"onym_need_{number}"
        (tmp_path / f"{name}.py").write_text(source + "raise SystemExit('imported')\n")
        sys.path.insert(0, str(tmp_path))
        try:
            assert command._needs_database(name) == needs
        finally:
            sys.path.remove(str(tmp_path))


def test_the_first_line_of_a_drivers_message_is_kept() -> None:
    assert database.first_line(ValueError("one\ntwo")) == "one"
    assert database.first_line(ValueError()) == "ValueError"
