"""`onym appraise`: tier and appraisal of handles, from the lexicon alone; it asks no database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from onym.core import appraisal, fees, names, policy, reading
from onym.core.errors import Refusal
from onym.core.lexicon import Lexicon
from onym.core.money import MINOR_DIGITS, Money
from onym.sweep import lexicon

LONGEST_LINE = 1_000
"""Characters of a line that are looked at; no profile takes a handle of that length."""


@click.command("appraise")
@click.argument("handles", nargs=-1, metavar="HANDLE…")
@click.option(
    "--file",
    type=click.File("r", encoding="utf-8", errors="replace"),
    help="A handle a line; - reads standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--profile",
    type=click.Choice(sorted(names.PROFILES)),
    help="Which handles are well-formed; without it, those of any profile.",
)
@click.option("--policy", "tiers", default="onym-default", help="Whose tiers; an id or a file.")
@click.option("--base", default="500.00", show_default=True, help="The level of all appraisals.")
@click.option(
    "--currency",
    type=click.Choice(sorted(MINOR_DIGITS)),
    default="USD",
    help="What figures are in.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the lexicon is kept; default: data/ under the current directory.",
)
def command(
    handles: tuple[str, ...],
    file: TextIO | None,
    as_json: bool,
    profile: str | None,
    tiers: str,
    base: str,
    currency: str,
    data: Path | None,
) -> int:
    """Say what handles may be worth, and why.

    A handle that is malformed is named and the others are answered; the exit code is then 1.

    \b
    Example:
      onym appraise moon sunset --json
    """
    if not handles and file is None:
        raise click.UsageError("name a handle, or a --file of them")
    level = _level(base, currency)
    judged = _policy(tiers)
    words = _lexicon(data)
    answer = partial(_answer, words=words, judged=judged, base=level, profile=profile)
    wrong = 0
    for given in _given(handles, file):
        try:
            found = answer(given)
        except Refusal as refusal:
            wrong += 1
            _say_wrong(given, refusal, as_json)
        else:
            click.echo(json.dumps(found, ensure_ascii=False) if as_json else _text(found))
    return 1 if wrong else 0


def _given(handles: tuple[str, ...], file: TextIO | None) -> Iterator[str]:
    """Every handle asked for; of an endless line only the start is kept."""
    yield from handles
    while file is not None and (line := file.readline(LONGEST_LINE)):
        given, rest = line, line
        while rest and not rest.endswith("\n") and len(rest) == LONGEST_LINE:
            rest = file.readline(LONGEST_LINE)
        if given := given.strip("\r\n"):
            yield given


def _answer(
    given: str, *, words: Lexicon, judged: policy.Policy, base: Money, profile: str | None
) -> dict[str, Any]:
    handle = _canonical(given, profile)
    read = reading.read(handle, lexicon=words)
    tier = policy.tier(judged, reading.facts_of(read))
    found = appraisal.of_reading(read, lexicon=words, model=appraisal.built_in(), base=base)
    return {
        "handle": handle,
        "tier": {"name": tier.name, "reason": tier.reason},
        "appraisal": found.wire(),
    }


def _canonical(given: str, profile: str | None) -> str:
    """Under `profile`, else under the first that fits: a market has one, a list may mix them."""
    if profile is not None:
        return names.canon(given, profile)
    if not given.isascii():
        return names.canon(given, "precis")
    return names.canon(given, "x" if names.is_handle(given, "x") else "dns")


def _level(base: str, currency: str) -> Money:
    minor = fees.minor_units(base, currency)
    return Money.positive(minor, currency)


def _policy(id_or_file: str) -> policy.Policy:
    if id_or_file in policy.BUILT_IN:
        return policy.built_in(id_or_file)
    return policy.parse(Path(id_or_file).read_text("utf-8"), id_or_file)


def _lexicon(data: Path | None) -> Lexicon:
    folder = data or Path(os.environ.get("ONYM_DATA") or "data")
    path = folder / lexicon.FILE_NAME
    if not lexicon.fresh(path):
        click.echo("building the lexicon, once; this takes about 20 seconds …", err=True)
    return lexicon.ensure(path)


def _say_wrong(given: str, refusal: Refusal, as_json: bool) -> None:
    shown = given if len(given) <= 80 else given[:79] + "…"
    if as_json:
        fault = {"code": refusal.code, "title": refusal.title, "status": refusal.status}
        click.echo(
            json.dumps({"handle": shown, **fault, "detail": refusal.detail, **refusal.facts})
        )
    else:
        click.echo(f"{shown}: {refusal.code}: {refusal.detail}", err=True)


def _text(found: dict[str, Any]) -> str:
    """Three lines for a person."""
    tier, worth = found["tier"], found["appraisal"]
    low, mid, high, base = (_amount(worth[name]) for name in ("low", "mid", "high", "base"))
    factors = " · ".join(f"{one['name']} {one['percent']:+,.2f} %" for one in worth["factors"])
    return (
        f"{found['handle']}  {tier['name']}: {tier['reason']}\n"
        f"  {mid} {worth['mid']['currency']} (from {low} to {high})\n"
        f"  base {base}{' · ' + factors if factors else ''}"
    )


def _amount(money: dict[str, Any]) -> str:
    digits = MINOR_DIGITS[money["currency"]]
    whole, rest = divmod(money["minor"], 10**digits)
    return f"{whole:,}.{rest:0{digits}}" if digits else f"{whole:,}"
