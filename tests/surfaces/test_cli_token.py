"""`onym token create`: a token that opens what its scopes say, shown once."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from tests import make

from onym.cli import token
from onym.core.errors import NotFound
from onym.queries import people
from onym.store.models import Token

pytestmark = pytest.mark.usefixtures("database")


def test_a_token_is_its_members_and_only_its_digest_is_kept() -> None:
    member = make.member(make.namespace()).id
    scope = sorted(token.people.SCOPES)[0]
    said = CliRunner().invoke(token.command, ["create", member, "--scope", scope, "--json"])
    facts = json.loads(said.output)
    assert (facts["member"], facts["scopes"]) == (member, [scope])
    assert people.by_token(facts["token"]).id == member
    assert facts["token"] not in str(Token.objects.values_list().get())


def test_nobody_gets_a_token_without_being_a_member_or_naming_a_scope() -> None:
    scope = sorted(token.people.SCOPES)[0]
    said = CliRunner().invoke(token.command, ["create", "mbr_nobody", "--scope", scope])
    assert isinstance(said.exception, NotFound)
    assert CliRunner().invoke(token.command, ["create", "mbr_nobody"]).exit_code == 2
    assert Token.objects.count() == 0
