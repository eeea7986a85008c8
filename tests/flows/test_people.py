"""Who joins: an address is one member's, however many come with it at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from tests import make
from tests.flows import meeting

from onym.core.errors import NotAllowed
from onym.flows import people
from onym.store.models import Member

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    return make.namespace()


def joins(name: str) -> str:
    return people.join(
        namespace="demo", name=name, mail="ada@one.example", password="rope-and-anchor"
    ).id


def members() -> Any:
    return Member.objects.filter(is_house=False).values_list("id", flat=True)


def test_of_two_who_join_at_once_with_one_address_the_later_is_refused(place: Any) -> None:
    with transaction.atomic():
        first = joins("Ada")
        second = meeting.begin(lambda: joins("Bo"))
        meeting.it_waits()
    assert second.result(20) == "not_allowed"
    assert list(members()) == [first]


def test_an_address_that_is_a_members_is_refused_and_nothing_is_left_of_the_attempt(
    place: Any,
) -> None:
    first = joins("Ada")
    with pytest.raises(NotAllowed):
        joins("Bo")
    assert list(members()) == [first]
