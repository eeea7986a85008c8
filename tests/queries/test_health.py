"""Whose fault it is when the database says no."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from onym.queries import health

SAID: list[tuple[list[str], bool]] = [
    (["set transaction read only", "update store_namespace set phase = 'open'"], True),
    (["do $$ begin raise exception 'lost' using errcode = '40P01'; end $$"], True),
    (["do $$ begin raise exception 'odd' using errcode = 'XX000'; end $$"], False),
    (["select nonsense"], False),
    (["insert into store_namespace (id) values (null)"], False),
]


def asked(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize(("statements", "away"), SAID, ids=[words[-1][:40] for words, _ in SAID])
def test_the_database_is_blamed_for_what_it_cannot_do_and_not_for_what_we_ask_wrongly(
    database: str, statements: list[str], away: bool
) -> None:
    with pytest.raises(DatabaseError) as told, transaction.atomic():
        asked(statements)
    assert health.is_away(told.value) == away
