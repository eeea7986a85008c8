"""What the platform renames by itself is seen at the next import, and dated by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from tests import make
from tests.flows import meeting

from onym.core.hook import Hook
from onym.flows import moves, names
from onym.store import clock, rowlocks
from onym.store.models import Handle, HookCall, SaleSlot, Tenure
from onym.sweep import snapshot
from onym.sweep.directory import Snapshot

pytestmark = pytest.mark.usefixtures("database")
OLD = "2015-01-01T00:00:00Z"


@pytest.fixture
def place(database: Any, settings: Any, tmp_path: Path) -> Any:
    settings.DEMO, settings.NAMESPACE, settings.DATA = True, "demo", tmp_path
    settings.HOOKS = (Hook("tokens", "https://plaza.example/tokens"),)
    return make.namespace()


def know(place: Any, folder: Path, **held: str) -> None:
    """An import in which each account (by its id) holds that handle."""
    moves.import_directory(namespace=place.id, snapshot=told_of(folder, **held))


def told_of(folder: Path, **held: str) -> Snapshot:
    number = len(list(folder.glob("accounts-*")))
    table = folder / f"accounts-{number}.jsonl"
    rows = [
        {"account_id": id_, "handle": handle, "created_at": OLD} for id_, handle in held.items()
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = snapshot.import_accounts([table], folder / f"d-{number}", mapping={}, profile="x")
    return made.snapshot


def touch(handle: str) -> None:
    with transaction.atomic():
        names.touch(namespace="demo", handle=handle)


def told(handle: str) -> tuple[str | None, str | None]:
    body = Client().get(f"/api/v1/handles/{handle}").json()
    return (body["holder"] or {}).get("account_id"), body["valid_since"]


def test_a_handle_that_the_platform_gave_to_another_is_valid_since_the_import_that_says_so(
    place: Any, tmp_path: Path
) -> None:
    know(place, tmp_path, a1="Moon", a2="star", a3="sun")
    assert told("moon") == ("a1", OLD)
    touch("sun")
    before = clock.now()
    know(place, tmp_path, a1="luna", a2="Moon", a3="sol", a4="sun", a5="new")
    for handle, account in {"moon": "a2", "luna": "a1", "sun": "a4", "sol": "a3"}.items():
        holder, since = told(handle)
        assert holder == account
        assert since > before.isoformat()
    assert told("new") == ("a5", OLD)  # it came with its account
    (item,) = Client().get("/api/v1/handles?q=moon&match=exact").json()["items"]
    assert (item["valid_since"], item["display"]) == (told("moon")[1], "Moon")
    row = Handle.objects.get(handle="sun")
    causes = Tenure.objects.filter(handle=row).order_by("held_from").values_list("cause", flat=True)
    assert list(causes) == ["registered", "platform"]
    assert HookCall.objects.get().handle.handle == "sun"
    know(place, tmp_path, a1="luna", a2="Moon", a3="sol", a4="sun", a5="new")
    assert Tenure.objects.filter(handle__handle="moon").count() == 1


def test_what_is_being_sold_locked_or_retained_is_left_to_its_sale(
    place: Any, tmp_path: Path
) -> None:
    know(place, tmp_path, a1="moon", a2="star", a3="sun", a4="sea")
    for handle in ("moon", "star", "sun"):
        touch(handle)
    row = Handle.objects.get(handle="moon")
    SaleSlot.objects.create(handle=row, kind="listing", ref="lst_1", filled_at=clock.now())
    Handle.objects.filter(handle="star").update(locked_by="sal_1")
    Handle.objects.filter(handle="sun").update(
        retained_for="a9", retained_until=clock.now() + make.days(1)
    )
    know(place, tmp_path, a5="moon", a6="star", a7="sun", a8="sea", a1="x1", a2="x2", a3="x3")
    assert [told(name)[0] for name in ("moon", "star", "sun", "sea")] == ["a1", "a2", "a3", "a8"]


def test_an_import_that_another_one_overtook_is_compared_with_that_one(
    place: Any, tmp_path: Path
) -> None:
    """Files are compared before anything is locked, so what is in use may change meanwhile."""
    know(place, tmp_path, a1="moon", a2="star")
    first, second = (
        told_of(tmp_path, a1="luna", a2="moon"),
        told_of(tmp_path, a1="luna", a2="star", a3="moon"),
    )
    with transaction.atomic():
        rowlocks.namespace(place.id)
        later = meeting.begin(lambda: moves.import_directory(namespace=place.id, snapshot=second))
        meeting.it_waits()
        names.import_directory(namespace=place.id, snapshot=first)
    assert later.result(20) == "done"
    assert told("star")[0] == "a2"  # which the first import had not: seen only against that one
    row = Handle.objects.get(handle="star")
    assert Tenure.objects.get(handle=row, held_to=None).cause == "platform"
