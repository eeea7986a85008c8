"""Every column that tells who somebody is has an end or a reason, and every table that names a
member is given to them or has one: a new one fails here until somebody has decided."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from django.apps import apps
from django.db.models import Field, Model
from tests.docs import personal

from onym.core import retention
from onym.queries import export

TELLS = re.compile(r"_sealed$|mail|address|iban|recipient_index|^country$|^name$|phone|birth")
NOT_PEOPLE = {"Document.name", "HookCall.name"}


def tables() -> list[type[Model]]:
    return [one for one in apps.get_app_config("store").get_models() if one._meta.managed]


def columns(one: type[Model]) -> Iterator[Field]:  # type: ignore[type-arg]  # any kind of field
    yield from one._meta.concrete_fields


def telling() -> set[str]:
    found = {
        f"{one.__name__}.{column.name}"
        for one in tables()
        for column in columns(one)
        if TELLS.search(column.name) and not column.name.endswith("_at")
    }
    return found - NOT_PEOPLE


def code(module: ModuleType) -> str:
    """Its functions, without what it imports."""
    return inspect.getsource(module).partition("\ndef ")[2]


def naming() -> set[str]:
    """Tables with a row's link to a member or to who signs in."""
    return {
        one.__name__
        for one in tables()
        for column in columns(one)
        if getattr(column.related_model, "__name__", "") in ("Member", "User")
    }


def test_every_column_that_tells_who_somebody_is_has_an_end_or_a_reason() -> None:
    assert telling() == set(personal.COLUMNS)


@pytest.mark.parametrize("column", personal.COLUMNS)
def test_the_module_that_ends_it_speaks_of_it(column: str) -> None:
    where, word = personal.COLUMNS[column]
    if where == personal.KEPT:
        assert len(word.split()) > 3
    else:
        source = code(importlib.import_module(where))
        assert re.search(rf"\b{word}\b", source), f"{where} does not speak of {word}"


def test_every_table_that_names_a_member_is_in_the_export_or_has_a_reason() -> None:
    source = code(export)
    given = {name for name in naming() if re.search(rf"\b{name}\b", source)}
    by_statement = {"Invoice"} if "invoice.of_member" in source else set()
    assert naming() - given - by_statement == set(personal.NOT_GIVEN)


def test_every_class_of_retention_has_its_days() -> None:
    assert set(retention.built_in()) == set(retention.KINDS)
