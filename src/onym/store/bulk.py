"""Many rows of one table in one statement, from one JSON value: what bulk flows write with.

Every constraint, trigger and foreign key holds as for rows written one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import AutoField, BinaryField, Model
from psycopg import sql

Row = Mapping[str, Any]

_INSERT = sql.SQL(
    "insert into {table} ({columns}) select {values} from rows from"
    " (jsonb_to_recordset(%s) as ({shape})) with ordinality as given({names}) order by place"
)
_UPDATE = sql.SQL(
    "update {table} set {changes} from jsonb_to_recordset(%s) as given({shape})"
    " where {table}.{key} = given.{key}"
)


def insert(model: type[Model], rows: Sequence[Row]) -> None:
    """Write `rows` in their order; all name the same columns, foreign keys by `…_id`.

    A column that is not named takes its field's default; the database gives those that are its.
    """
    if rows:
        left = [f for f in _fields(model) if f.attname not in rows[0] and not f.has_db_default()]
        defaults = {f.attname: f.get_default() for f in left}
        columns = tuple(defaults | dict(rows[0]))
        _execute(_insertion(model, columns), [defaults | dict(row) for row in rows])


def update(model: type[Model], rows: Sequence[Row]) -> None:
    """Give each row, known by its primary key, the values that stand beside it."""
    if rows:
        _execute(_change(model, tuple(rows[0])), rows)


def _execute(statement: str, rows: Sequence[Row]) -> None:
    given = json.dumps(rows, default=_plain, ensure_ascii=False, allow_nan=False)
    with connection.cursor() as cursor:
        cursor.execute(statement, [given])


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no form in JSON here")


def _fields(model: type[Model]) -> Iterable[Any]:
    return [field for field in model._meta.concrete_fields if not isinstance(field, AutoField)]


@lru_cache
def _insertion(model: type[Model], columns: tuple[str, ...]) -> str:
    names = [sql.Identifier(_column(model, column)) for column in columns]
    return _INSERT.format(
        table=sql.Identifier(model._meta.db_table),
        columns=sql.SQL(", ").join(names),
        values=sql.SQL(", ").join(_value(model, column) for column in columns),
        shape=_shape(model, columns),
        names=sql.SQL(", ").join([*names, sql.Identifier("place")]),
    ).as_string()


@lru_cache
def _change(model: type[Model], columns: tuple[str, ...]) -> str:
    key = model._meta.pk.attname
    return _UPDATE.format(
        table=sql.Identifier(model._meta.db_table),
        changes=sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(_column(model, column)), _value(model, column))
            for column in columns
            if column != key
        ),
        shape=_shape(model, columns),
        key=sql.Identifier(_column(model, key)),
    ).as_string()


def _shape(model: type[Model], columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(_column(model, c)), _type(model, c)) for c in columns
    )


def _value(model: type[Model], column: str) -> sql.Composable:
    name = sql.Identifier("given", _column(model, column))
    if _is_binary(model, column):
        return sql.SQL("decode({}, 'hex')").format(name)
    return name


def _type(model: type[Model], column: str) -> sql.SQL:
    """The column's own type; bytes come as hexadecimal text."""
    if _is_binary(model, column):
        return sql.SQL("text")
    return sql.SQL(_field(model, column).rel_db_type(connection))


def _is_binary(model: type[Model], column: str) -> bool:
    return isinstance(_field(model, column), BinaryField)


def _column(model: type[Model], column: str) -> str:
    return str(_field(model, column).column)


def _field(model: type[Model], column: str) -> Any:
    return model._meta.get_field(column)
