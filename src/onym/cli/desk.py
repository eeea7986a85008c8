"""`onym desk add` and `onym desk remove`: who belongs to the handle team, in which role."""

from __future__ import annotations

import json
import sys

import click
from django.conf import settings

from onym.core import access
from onym.core.errors import NotFound
from onym.flows import people, sign_in

NEEDS_DATABASE = True


@click.group("desk")
def command() -> None:
    """The handle team."""


@command.command("add")
@click.argument("mail")
@click.option(
    "--role",
    type=click.Choice(sorted(access.ALLOWED)),
    required=True,
    help="What they may do; docs/guides/desk.md.",
)
@click.option("--name", default="", help="As colleagues see it; default: the address.")
@click.option("--password", help="Sign-in to the pages; asked for when it is left out.")
@click.option(
    "--namespace", metavar="N", default=lambda: settings.NAMESPACE, help="Default: the site's."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def add(
    mail: str, role: str, name: str, password: str | None, namespace: str, as_json: bool
) -> None:
    """Give MAIL a ROLE; somebody who is no member yet becomes one.

    \b
    Example:
      onym desk add ada@example.org --role curator --name Ada
    """
    sign_in.expect_address(mail)
    people.expect_namespace(namespace)
    try:
        member = people.by_mail(namespace=namespace, mail=mail)
    except NotFound:
        if password is None and not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: give --password") from None
        secret = password or click.prompt("Password", hide_input=True, confirmation_prompt=True)
        member = people.join(namespace=namespace, name=name or mail, mail=mail, password=secret)
    people.grant(member=member.id, role=role)
    facts = {"member": member.id, "mail": mail, "role": role}
    click.echo(json.dumps(facts) if as_json else f"{mail} is {member.id} and has the role {role}")


@command.command("remove")
@click.argument("mail")
@click.option(
    "--role",
    type=click.Choice(sorted(access.ALLOWED)),
    required=True,
    help="What they may do; docs/guides/desk.md.",
)
@click.option(
    "--namespace", metavar="N", default=lambda: settings.NAMESPACE, help="Default: the site's."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def remove(mail: str, role: str, namespace: str, as_json: bool) -> None:
    """Take a ROLE from MAIL, who stays a member.

    \b
    Example:
      onym desk remove ada@example.org --role curator
    """
    member = people.by_mail(namespace=namespace, mail=mail)
    people.withdraw(member=member.id, role=role)
    facts = {"member": member.id, "mail": mail, "role": role}
    click.echo(json.dumps(facts) if as_json else f"{mail} no longer has the role {role}")
