"""`onym policy`: check policy files, explain one account's verdict, show who changes verdict."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import click

from onym.core import errors, names
from onym.core import policy as rules
from onym.core.policy import Kind, Policy, Verdict
from onym.sweep import columns, comparing, engines, sweeping
from onym.sweep.accounts import DEFAULT_PROFILE, Accounts, open_accounts


class Instant(click.ParamType[datetime]):
    """A date (its midnight) or an instant with an offset, in UTC."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            return read_instant(str(value))
        except ValueError as why:
            self.fail(str(why), param, ctx)


def read_instant(text: str) -> datetime:
    """The instant in `text`; ValueError says what is wrong with it."""
    told = f"{text!r} is no date such as 2026-11-20 and no instant such as 2026-11-20T12:00:00Z"
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        given = datetime.fromisoformat(text.replace("z", "Z"))
        if given.tzinfo is not None:
            return given.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(told) from None
    raise ValueError(f"{text!r} needs its offset, such as Z")


class Mapped(click.ParamType[Mapping[str, str]]):
    """`column=source,…`"""

    name = "mapping"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mapping[str, str]:
        if not isinstance(value, str):
            return dict(value)
        try:
            return columns.read_mapping(value)
        except errors.Malformed as refusal:
            self.fail(refusal.detail.removeprefix("--map: "), param, ctx)


as_of_option = click.option(
    "--as-of", type=Instant(), metavar="INSTANT", help="A date, or an instant with its offset."
)
map_option = click.option(
    "--map",
    "mapping",
    type=Mapped(),
    metavar="COLUMN=SOURCE,…",
    default="",
    help="Columns that have another name in the files.",
)
profile_option = click.option(
    "--profile",
    type=click.Choice(tuple(names.PROFILES)),
    help="What a handle is; default: the policy's.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")


def load(id_or_file: str) -> Policy:
    """A built-in policy by its id, or the one in a file; refuses what is neither."""
    if id_or_file in rules.BUILT_IN:
        return rules.built_in(id_or_file)
    path = Path(id_or_file)
    if not path.exists():
        known = ", ".join(rules.BUILT_IN)
        raise errors.NotFound(f"no policy {id_or_file!r}: there is no such file, nor {known}")
    try:
        return rules.parse(path.read_text("utf-8"), id_or_file)
    except UnicodeDecodeError:
        raise errors.Malformed(f"{id_or_file}: this is not a text in UTF-8") from None


@contextlib.contextmanager
def accounts_of(
    files: Iterable[Path], mapping: Mapping[str, str], profile: str
) -> Iterator[Accounts]:
    """The account table in `files`, for as long as the block lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="onym-policy-") as scratch,
        engines.connected(Path(scratch)) as con,
        open_accounts(
            con, list(files), mapping=mapping, profile=profile, scratch=Path(scratch)
        ) as found,
    ):
        yield found


@click.group("policy")
def command() -> None:
    """Check, explain and compare policies. A policy is a file or a built-in id."""


@command.command()
@click.argument("policies", nargs=-1, required=True, metavar="FILE…")
@json_option
def check(policies: tuple[str, ...], as_json: bool) -> int:
    """Validate policies; every fault is told with its line and column.

    \b
    Example:
      onym policy check x-2023 mine.toml
    """
    told = [_checked(name) for name in policies]
    if as_json:
        click.echo(json.dumps(told if len(told) > 1 else told[0]))
    else:
        for each in told:
            click.echo(each["says"], err=not each["ok"])
    return 0 if all(each["ok"] for each in told) else 1


def _checked(name: str) -> dict[str, Any]:
    try:
        found = load(name)
    except errors.Refusal as refusal:
        faults = refusal.facts.get("faults", [])
        return {
            "file": name,
            "ok": False,
            "code": refusal.code,
            "says": refusal.detail,
            "faults": faults,
        }
    counts = f"{len(found.rules)} rules, {len(found.tiers)} tiers"
    says = f"{name}: {found.id} version {found.version}, {counts}: nothing wrong"
    return {"file": name, "ok": True, "id": found.id, "version": found.version, "says": says}


@command.command()
@click.argument("policy")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[ACCOUNTS…]")
@click.option("--handle", help="Whose account in the tables; all of them without it.")
@click.option("--set", "given", multiple=True, metavar="COLUMN=VALUE", help="An account by hand.")
@as_of_option
@map_option
@profile_option
@json_option
def explain(
    policy: str,
    files: tuple[Path, ...],
    handle: str | None,
    given: tuple[str, ...],
    as_of: datetime | None,
    mapping: Mapping[str, str],
    profile: str | None,
    as_json: bool,
) -> None:
    """Show an account's verdict, and what each rule of POLICY saw.

    The account stands in ACCOUNTS under --handle, or is given by --set; a column that is left out
    is unknown.

    \b
    Example:
      onym policy explain x-2023 accounts.csv --handle moon
    """
    judged = load(policy)
    at = as_of or datetime.now(UTC)
    if files:
        if not handle:
            raise click.UsageError("name the account's --handle")
        account = _account(files, handle, mapping, profile or judged.profile or DEFAULT_PROFILE)
    else:
        account = dict(_setting(item) for item in given)
    found, seen = rules.explain(judged, account, at)
    body = {"handle": account.get("handle"), "as_of": sweeping.wire(at), **_wire(found)}
    body["rules"] = [_seen(each) for each in seen]
    click.echo(json.dumps(body) if as_json else _text(body))


def _account(
    files: Iterable[Path], handle: str, mapping: Mapping[str, str], profile: str
) -> dict[str, Any]:
    canonical = names.canon(handle, profile)
    with accounts_of(files, mapping, profile) as found:
        row = comparing.account(found, canonical)
    if row is None:
        raise errors.NotFound(f"no account in the table holds {canonical!r}")
    return row


def _setting(item: str) -> tuple[str, Any]:
    column, equals, text = (part.strip() for part in item.partition("="))
    if not equals:
        raise click.UsageError(f"--set {item}: a column and its value are needed, as posts=3")
    if column not in rules.SIGNALS:
        known = ", ".join(sorted(rules.SIGNALS))
        raise click.UsageError(f"--set {item}: no rule reads {column!r}; there are {known}")
    return column, None if text == "" else _value(item, rules.SIGNALS[column], text)


def _value(item: str, kind: Kind, text: str) -> Any:
    try:
        if kind is Kind.FLAG:
            return {"true": True, "false": False}[text.lower()]
        if kind is Kind.INSTANT:
            return read_instant(text)
        return (float(text) if "." in text else int(text)) if kind is Kind.NUMBER else text
    except (KeyError, ValueError):
        raise click.UsageError(f"--set {item}: {text!r} is not a {kind}") from None


def _wire(found: Verdict) -> dict[str, Any]:
    return {
        "verdict": found.verdict.value,
        "reasons": list(found.reasons),
        "idle_days": found.idle_days,
        "deadline_at": found.deadline_at and sweeping.wire(found.deadline_at),
        "resting_days": found.resting_days,
        "earliest_at": found.earliest_at and sweeping.wire(found.earliest_at),
    }


def _seen(seen: rules.Seen) -> dict[str, Any]:
    signal, when = seen.signal, seen.rule.when
    value = list(when.value) if isinstance(when.value, tuple) else when.value
    return {
        "code": seen.rule.code,
        "effect": seen.rule.effect.value,
        "condition": f"{when.signal} {when.op} {json.dumps(value)}",
        "signal": sweeping.wire(signal) if isinstance(signal, datetime) else signal,
        "holds": seen.holds,
        "decided": seen.decided,
    }


def _text(body: Mapping[str, Any]) -> str:
    lines = [f"{body['verdict']}: {', '.join(body['reasons'])}  (as of {body['as_of']})"]
    for label in ("idle_days", "deadline_at", "resting_days", "earliest_at"):
        if body[label] is not None:
            lines.append(f"  {label:<14} {body[label]}")
    for each in body["rules"]:
        holds = {True: "holds", False: "does not hold", None: "unknown"}[each["holds"]]
        mark = "→" if each["decided"] else " "
        lines.append(f"{mark} {each['effect']:<8} {each['condition']:<34} {holds}")
    return "\n".join(lines)


@command.command()
@click.argument("old")
@click.argument("new")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[ACCOUNTS…]")
@as_of_option
@map_option
@profile_option
@json_option
def diff(
    old: str,
    new: str,
    files: tuple[Path, ...],
    as_of: datetime | None,
    mapping: Mapping[str, str],
    profile: str | None,
    as_json: bool,
) -> None:
    """Show who changes verdict when NEW replaces OLD; without ACCOUNTS, which rules change.

    \b
    Example:
      onym policy diff x-2023 mine.toml accounts.csv
    """
    before, after = load(old), load(new)
    if not files:
        told = comparing.texts(before, after)
        click.echo(json.dumps({"changes": told}) if as_json else "\n".join(told) or "no difference")
        return
    at = as_of or datetime.now(UTC)
    with (
        accounts_of(files, mapping, profile or after.profile or DEFAULT_PROFILE) as found,
        comparing.changes(found, before, after, at) as changed,
    ):
        _show_changes(changed, as_json)


def _show_changes(changed: Iterable[comparing.Change], as_json: bool) -> None:
    """A line for each account, as they come."""
    count = 0
    for each in changed:
        count += 1
        if as_json:
            click.echo(json.dumps(each._asdict()))
        else:
            was, now = (f"{v} ({', '.join(r)})" for v, r in (each.old, each.new))
            click.echo(f"{each.canonical}  {was} → {now}")
    if not as_json:
        click.echo(f"{count:,} accounts change verdict or reasons")
