"""`onym token create`: bearer tokens for the API."""

from __future__ import annotations

import json

import click

from onym.flows import people

NEEDS_DATABASE = True


@click.group("token")
def command() -> None:
    """Tokens for the API."""


@command.command("create")
@click.argument("member")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(sorted(people.SCOPES)),
    help="What the token may do; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def create(member: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """A token for MEMBER (mbr_…). It is shown once: only its digest is kept.

    \b
    Example:
      onym token create mbr_0190… --scope read --scope buy
    """
    token = people.give_token(member=member, scopes=scopes)
    facts = {"member": member, "scopes": sorted(set(scopes)), "token": token}
    click.echo(json.dumps(facts) if as_json else token)
