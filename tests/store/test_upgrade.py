"""Each release's database, with a market in it, is brought to the newest tables; and migrations
keep to rules under which the release before goes on working while they run."""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Index, Q, Value
from django.db.models.functions import Now
from tests.surfaces import keeping
from tests.surfaces.keeping import MIGRATED, Place

import onym.store.migrations
from onym.site import dump, embedded
from onym.store import secrets
from onym.store.models import ScreeningCase

FOLDER = Path(__file__).resolve().parents[1] / "upgrade"
RELEASES = sorted(path.stem for path in FOLDER.glob("*.dump"))
FROZEN = "0013"
"""Up to here migrations were written before anything ran; from here on the rules hold."""

COLUMNS = """
select table_name, column_name, data_type, is_nullable from information_schema.columns
where table_schema = 'public' order by 1, 2
"""
CONSTRAINTS = """
select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace order by 1, 2
"""
INDEXES = "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1"


def like(folder: Path, release: str) -> Place:
    """A place with the database of that release."""
    place = keeping.elsewhere(folder)
    programs, _ = dump.programs(dump.version(place.url))
    dump.load(place.url, folder=programs, dump=FOLDER / f"{release}.dump", after="select 1")
    return place


@pytest.mark.parametrize("release", RELEASES)
def test_a_releases_database_comes_to_the_newest_tables_with_all_that_is_in_it(
    database: str, tmp_path: Path, release: str
) -> None:
    place = like(tmp_path / "old", release)
    before = place.rows()
    assert before["store_sale"][0] > 0
    told = place.done("migrate")
    assert told["applied"]
    assert place.done("migrate", "--plan") == {"missing": []}
    after = place.rows()
    assert {name: after[name][0] for name in before if name in after} == {
        name: count for name, (count, _) in before.items() if name in after
    } | {"django_migrations": after["django_migrations"][0], **grown(before, after)}
    fresh = keeping.elsewhere(tmp_path / "fresh", "onym_fresh", like=MIGRATED)
    for question in (COLUMNS, CONSTRAINTS, INDEXES):
        assert [plain(row) for row in place.asked(question)] == [
            plain(row) for row in fresh.asked(question)
        ]


def plain(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Without casts and brackets: a condition that was dumped and loaded is written otherwise."""
    return tuple(re.sub(r"::[a-z]+( varying)?(\[\])?|[()]", "", str(said)) for said in row)


def grown(before: Any, after: Any) -> dict[str, int]:
    """Tables of Django's own that gain a row with every table of ours."""
    own = ("django_content_type", "auth_permission")
    return {name: after[name][0] for name in own if after[name][0] >= before[name][0]}


def test_a_case_keeps_the_name_that_was_compared_and_no_invitation_leaves_twice(
    database: str, tmp_path: Path, settings: Any
) -> None:
    """What 0039 and 0041 write into rows that are there."""
    place = like(tmp_path / "old", "0037")
    settings.FIELD_KEY = embedded.kept_secret(place.data / "keys" / "field")
    ((member,),) = place.asked("select min(id) from store_member where user_id is not null")
    name = secrets.seal("Ada Lovelace", place=f"member.name/{member}")
    with psycopg.connect(place.url) as link:
        link.execute("update store_member set name_sealed = %s where id = %s", [name, member])
        link.execute(
            "insert into store_screeningcase (id, namespace_id, member_id, entry_sealed,"
            " entry_index, percent, state, found_at)"
            " select 'scr_1', namespace_id, id, '', 'x', 90, 'open', now()"
            " from store_member where id = %s",
            [member],
        )
    place.done("migrate")
    ((sealed, index),) = place.asked("select name_sealed, name_index from store_screeningcase")
    assert secrets.open_(sealed, place="screening.name/scr_1") == "Ada Lovelace"
    assert index == ScreeningCase.index_of("lovelace, ADA")
    ((sent, mailed),) = place.asked(
        "select count(sent_at), count(mailed_at) filter (where mailed_at = sent_at)"
        " from store_invitation"
    )
    assert sent == mailed > 0


def test_there_is_a_database_of_a_release_to_upgrade() -> None:
    assert FROZEN in RELEASES


def test_a_migration_does_not_queue_behind_a_table_in_use_and_goes_on_when_it_is_free(
    database: str, tmp_path: Path
) -> None:
    place = like(tmp_path / "old", RELEASES[0])
    with psycopg.connect(place.url) as link:
        link.execute("lock table store_namespace in access exclusive mode")
        began = time.monotonic()
        code, detail = place.refused("migrate", "--lock-timeout", "0.1")
        assert time.monotonic() - began < 40
        assert code == "locked", detail
        assert "waited for a table" in detail
        freed = threading.Timer(1.0, link.rollback)
        freed.start()
        assert place.done("migrate", "--lock-timeout", "0.5")["applied"]
        freed.join()


# The rules

BIG = frozenset({"sale", "event", "entry", "posting", "handle", "tenure", "notice"}) | {
    "idempotentrequest",
    "payment",
    "payout",
    "invitation",
    "offer",
    "member",
    "mailaddress",
    "link",
    "listing",
    "transfer",
}
"""Tables that grow with the market: nothing may read or lock them whole."""

BREAKING = (
    migrations.RenameField,
    migrations.RenameModel,
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.AlterField,
    migrations.AlterModelTable,
)
WIDER = "a wider constraint takes the place of a narrower one, over the payments of open sales"
EMPTY = "may be empty from now on, which the release before never makes it"
EXCUSED: dict[tuple[str, str], str] = {
    ("0018_payments", "AddConstraint payment"): WIDER,
    ("0018_payments", "AddConstraint payout"): WIDER,
    ("0030_wallet", "AddConstraint payout"): WIDER,
    ("0031_recovery", "AddConstraint payout"): "over a column that is new, and zero everywhere",
    ("0032_bounces", "AlterField bankorder"): "several may name one payout, of which one is live",
    ("0051_bank_draws", "AlterField bankorder"): "several may name one payment, one an arrival",
    ("0052_bank_drawn", "RunSQL"): "reads what arrived by the bank once; fills a new table",
    (
        "0033_checkout",
        "AddConstraint payment",
    ): "over a column that is new and a method that is, too",
    ("0022_links", "RunSQL"): "one row a link, when nobody could have a second",
    ("0022_links", "AddConstraint link"): "over a column that is new",
    ("0025_invoices", "RunSQL"): "triggers of tables that are new",
    ("0030_wallet", "RunSQL"): "a trigger of a table that is new",
    ("0035_terms", "AddField transfer.hands_to"): "before transfers were many",
    ("0035_terms", "AddConstraint listing"): "over a column that is new, and equal everywhere",
    ("0039_screened_names", "RunPython"): "cases of screening are few",
    ("0041_mailed_invitations", "RunPython"): "before invitations were many",
    ("0055_buy_tokens", "RunPython"): "tokens are few; those that end, end for both releases",
    ("0056_keyed_requests", "RunPython"): "row by row; the release before calls a repeat another",
    ("0030_wallet", "AlterField payout"): EMPTY,
    ("0030_wallet", "AlterField chargeback"): EMPTY,
}
"""(migration, what it does) → why it may: the release before does not use it any more, say."""


def wrong(operations: Sequence[Any], *, is_atomic: bool = True) -> Iterator[str]:
    """What the release before would stumble over, or everybody would wait for."""
    fresh = {op.name.lower() for op in operations if isinstance(op, migrations.CreateModel)}
    for op in operations:
        table = getattr(op, "model_name", "").lower()
        if isinstance(op, migrations.SeparateDatabaseAndState):
            yield from wrong(op.database_operations, is_atomic=is_atomic)
        elif isinstance(op, migrations.RunSQL) and not is_atomic and _clears(op):
            continue
        elif isinstance(op, migrations.RunSQL | migrations.RunPython):
            yield f"{type(op).__name__}: nobody but you can say what it reads, locks and rewrites"
        elif isinstance(op, BREAKING):
            yield f"{type(op).__name__} {table}: the release before still uses it"
        elif isinstance(op, AddIndexConcurrently):
            if is_atomic:
                yield f"AddIndexConcurrently {table}: not within a transaction (atomic = False)"
        elif isinstance(op, migrations.AddField) and table not in fresh:
            field = op.field
            if not (field.null or field.has_db_default() or field.many_to_many):
                yield f"AddField {table}.{op.name}: the release before does not fill it"
            elif _rewrites(field):
                yield f"AddField {table}.{op.name}: every row is written anew"
            elif table in BIG and _is_indexed(field):
                yield f"AddField {table}.{op.name}: its index is built while writers wait"
        elif isinstance(op, migrations.AddIndex) and table in BIG - fresh:
            yield f"AddIndex {table}: writers wait; use AddIndexConcurrently"
        elif isinstance(op, AddConstraintNotValid):
            continue
        elif isinstance(op, migrations.AddConstraint) and table in BIG - fresh:
            yield f"AddConstraint {table}: reads all of it; add it NOT VALID, then validate"


def _clears(op: Any) -> bool:
    """Only takes away what an interrupted build of an index left behind."""
    return str(op.sql).startswith("drop index concurrently if exists ") and ";" not in op.sql


def _rewrites(field: Any) -> bool:
    """PostgreSQL keeps one value for all rows that are there, if it is the same for all."""
    default = field.db_default if field.has_db_default() else Value(None)
    return field.generated or not isinstance(default, Value | Now | str | int | bool | bytes | list)


def _is_indexed(field: Any) -> bool:
    return bool(field.unique or field.db_index)


def newer() -> list[str]:
    folder = Path(onym.store.migrations.__file__).parent
    return sorted(path.stem for path in folder.glob("0*.py") if path.stem[:4] > FROZEN)


@pytest.mark.parametrize("name", newer())
def test_a_migration_keeps_to_the_rules(name: str) -> None:
    found: Any = importlib.import_module(f"onym.store.migrations.{name}").Migration
    told = list(wrong(found.operations, is_atomic=found.atomic))
    assert [what for what in told if (name, what.split(":")[0]) not in EXCUSED] == []


BAD = [
    migrations.RemoveField("sale", "by"),
    migrations.RenameField("sale", "by", "through"),
    migrations.AlterField("sale", "by", models.TextField()),
    migrations.DeleteModel("Sale"),
    migrations.AddField("sale", "more", models.TextField()),
    migrations.AddField("sale", "more", models.TextField(default="")),
    migrations.AddIndex("sale", Index(fields=("by",), name="by")),
    migrations.AddConstraint(
        "sale", models.CheckConstraint(condition=Q(price_minor__gt=0), name="x")
    ),
    migrations.AddField("sale", "rival", models.ForeignKey("Sale", models.PROTECT, null=True)),
    migrations.AddField("sale", "more", models.TextField(null=True, unique=True)),
    migrations.AddField("sale", "more", models.UUIDField(db_default=RandomUUID())),
    migrations.RunSQL("alter table store_sale alter price_minor type numeric"),
    migrations.RunPython(lambda _apps, _editor: None),
    migrations.SeparateDatabaseAndState([migrations.RemoveField("sale", "by")]),
    AddIndexConcurrently("sale", Index(fields=("by",), name="by")),
]
GOOD = [
    migrations.AddField("sale", "more", models.TextField(null=True)),
    migrations.AddField("sale", "at", models.DateTimeField(db_default=Now())),
    migrations.AddField("sale", "count", models.IntegerField(db_default=0)),
    migrations.AddField(
        "sale",
        "rival",
        models.ForeignKey("Sale", models.PROTECT, null=True, db_index=False),
    ),
    migrations.SeparateDatabaseAndState([], [migrations.RemoveField("sale", "by")]),
    migrations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
    migrations.AddIndex("new", Index(fields=("id",), name="i")),
]


@pytest.mark.parametrize("operation", BAD, ids=lambda one: type(one).__name__)
def test_the_rules_catch_what_would_stop_the_market(operation: Any) -> None:
    assert len(list(wrong([operation]))) == 1


def test_the_rules_let_through_what_nobody_notices() -> None:
    assert list(wrong(GOOD)) == []
    assert list(wrong([BAD[-1]], is_atomic=False)) == []
