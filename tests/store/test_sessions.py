"""What a session holds is sealed: readable in its own row, and nowhere else."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session

from onym.store.sessions import SessionStore

pytestmark = pytest.mark.usefixtures("database")


def saved(**fields: str) -> SessionStore:
    store = SessionStore()
    store.update(fields)
    store.save()
    return store


def test_a_session_is_read_back_and_its_row_shows_nothing() -> None:
    store = saved(secret="a kept word")
    assert SessionStore(store.session_key)["secret"] == "a kept word"
    row = Session.objects.get()
    assert b"a kept word" not in bytes.fromhex(row.session_data)


def test_a_session_copied_into_another_row_is_empty_there() -> None:
    one, two = saved(member="leila"), saved(member="nadia")
    data = Session.objects.get(pk=one.session_key).session_data
    Session.objects.filter(pk=two.session_key).update(session_data=data)
    assert dict(SessionStore(two.session_key).items()) == {}


@pytest.mark.parametrize("damage", ["", "00", "no hex", "eyJhIjoxfQ:1abc:signed-as-before"])
def test_what_cannot_be_opened_is_an_empty_session(damage: str) -> None:
    store = saved(member="leila")
    Session.objects.update(session_data=damage)
    assert dict(SessionStore(store.session_key).items()) == {}
