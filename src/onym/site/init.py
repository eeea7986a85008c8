"""`onym init`: asks, writes `DATA/onym.env` and the keys, founds the namespace, runs the doctor.

Run again with --force, it goes on where it was interrupted: what the file says is the default of
each question and stays otherwise; keys, namespace and documents are added where they are missing.
docs/guides/running.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import click

from onym.core.errors import AlreadyClosed, Malformed, Refusal
from onym.site import command as commands
from onym.site import database, embedded, questions, settings_file
from onym.site.questions import Question


class AlreadySetUp(Refusal):
    status, code, title = 409, "already_set_up", "The settings are written already"


@click.command("init")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of answers, `name=value` a line, named as the options here.",
)
@click.option("--no-input", is_flag=True, help="Ask nothing: take the default for what is missing.")
@click.option("--force", is_flag=True, help="Again: keep what is set and is not answered anew.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; asks nothing.")
def command(
    answers: Path | None, no_input: bool, force: bool, as_json: bool, **given: str | None
) -> None:
    """Ask what a market needs, write its settings, make its keys, and examine the result.

    \b
    Example:
      onym init --data /var/lib/onym
    """
    data_dir = embedded.data_directory()
    file = settings_file.path(data_dir)
    if file.exists() and not force:
        raise AlreadySetUp(
            f"{file} exists: change it by hand, or go on with --force, which keeps what it says"
        )
    before = settings_file.in_(data_dir)
    told = _from_file(answers) | {
        name.replace("_", "-"): value for name, value in given.items() if value is not None
    }
    asks = not (no_input or as_json)
    if asks and not sys.stdin.isatty():
        raise click.UsageError(
            "nobody can be asked here: answer by options or --answers, and add --no-input"
        )
    found = {one.name: _answer(_kept(one, before), told, asks=asks) for one in questions.ALL}
    _keep(file)
    settings_file.write(file, settings_file.text(_sections(found, before)))
    settings_file.use(data_dir, replace=True)
    _set_up(found, data_dir)
    _report(file, found, as_json=as_json)


command.params += [
    click.Option([f"--{one.name}"], metavar="TEXT", help=f"{one.words}.") for one in questions.ALL
]
command.params.append(commands.data_option())


def _from_file(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    known = {one.name for one in questions.ALL}
    found = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals or name.strip() not in known:
            raise Malformed(f"{file}, line {number}: no such question: {name.strip()[:40]}")
        found[name.strip()] = value.strip()
    return found


def _kept(one: Question, before: Mapping[str, str]) -> Question:
    """The question with what was answered before as its default."""
    if one.setting not in before:
        return one
    return replace(one, default=before[one.setting].removeprefix("mailto:"))


def _answer(one: Question, told: Mapping[str, str], *, asks: bool) -> str:
    """What was given, checked; else what is typed, until it will do; else the default."""
    if one.name in told or not asks:
        try:
            return one.check(told.get(one.name, one.default))
        except Malformed as refusal:
            raise Malformed(f"{one.name}: {refusal.detail}") from None
    while True:
        typed = click.prompt(
            one.words, default=one.default, show_default=bool(one.default), hide_input=one.is_secret
        )
        try:
            return one.check(str(typed).strip())
        except Malformed as refusal:
            click.echo(f"  {refusal.detail}")


def _sections(found: Mapping[str, str], before: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What was answered, and last what somebody wrote into the file by hand."""
    sections: dict[str, dict[str, str]] = {}
    for one in questions.ALL:
        value = found[one.name]
        if one.setting == "ONYM_SECURITY_CONTACT" and "@" in value:
            value = f"mailto:{value}"
        if value and (one.name, value) != ("title", one.default):
            sections.setdefault(one.section, {})[one.setting] = value
    asked = {one.setting for one in questions.ALL}
    own = {name: value for name, value in before.items() if name not in asked}
    return sections | ({"By hand": own} if own else {})


def _set_up(found: Mapping[str, str], data_dir: Path) -> None:
    """Keys, tables, the namespace with its house member and the built-in documents."""
    with database.connected(migrations="apply"):
        from onym.flows import log, people
        from onym.site import keys

        log.signer()
        custodian = _custodian(found)
        keys.public_key_file(data_dir)
        people.found(
            namespace=found["namespace"],
            title=found["title"],
            profile=found["profile"],
            currency=found["currency"],
            custodian=custodian or people.CUSTODIAN,
            phase="closed",
        )
        if custodian:
            people.keep_with(namespace=found["namespace"], custodian=custodian)
        people.house(namespace=found["namespace"], name=found["title"])
        _publish(found["namespace"])


def _keep(file: Path) -> None:
    """What the file said stays beside it: comments are not carried over, and an answer may err."""
    if file.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        settings_file.write(file.with_name(f"{file.name}.before-{stamp}"), file.read_text())


def _custodian(found: Mapping[str, str]) -> str:
    """As the platform names it; empty where it has none or does not run yet."""
    from onym import ports

    if not found["platform-url"]:
        return ""
    try:
        return ports.platform(found["namespace"]).capabilities().custodian or ""
    except Refusal:
        return ""


def _publish(namespace: str) -> None:
    from onym.core import guidelines
    from onym.flows import documents

    core = resources.files("onym.core")
    texts = [("policy", core.joinpath("policies/onym-default.toml").read_text())]
    texts += [("fees", core.joinpath("data/fees/onym-2026.toml").read_text())]
    texts += [("guidelines", guidelines.built_in())]
    for kind, text in texts:
        try:
            documents.publish(namespace=namespace, kind=kind, text=text)
        except AlreadyClosed:
            continue


def _report(file: Path, found: Mapping[str, str], *, as_json: bool) -> None:
    from onym.site import doctor

    findings = list(doctor.examine(frozenset({"jobs", "witnesses"})))
    is_well = all(finding.state != "fail" for finding in findings)
    if as_json:
        told = {"settings": str(file), "namespace": found["namespace"], "ok": is_well}
        click.echo(json.dumps(told | {"findings": [finding.plain() for finding in findings]}))
        return
    click.echo(f"{file} is written.\n")
    for finding in findings:
        click.echo(str(finding))
    click.echo(NEXT)


NEXT = """
Next:
  1. Correct what failed above in onym.env, and run: onym doctor
  2. Two people at least for the desk:               onym desk add MAIL --role curator
  3. Give the platform our public key:               DATA/keys/platform.pem
  4. Read the accounts:                              onym import accounts FILE --namespace N
  5. Start:                                          onym up, or the units in deploy/
  6. A backup every day:                             onym backup FILE"""
