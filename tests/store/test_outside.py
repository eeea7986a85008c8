"""What the database refuses of webhooks, their messages, and calls to hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from tests import make

from onym.flows import webhook
from onym.store.models import Delivery, HookCall, Webhook

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def rows(database: Any) -> None:
    """A webhook with a message, and a call to a hook."""
    place = make.namespace()
    member, row = make.member(place), make.handle(place, "moon")
    webhook.subscribe(namespace="demo", by=member.id, url="https://site.example/hook")
    site = Webhook.objects.get()
    Delivery.objects.create(id="dlv_1", webhook=site, leaf_index=1, made_at=make.NOW)
    HookCall.objects.create(
        id="hok_1",
        handle=row,
        about="trf_1",
        position=0,
        name="tokens",
        url="https://plaza.example/",
        ordered_at=make.NOW,
    )


REFUSED: dict[str, Callable[[], Any]] = {
    "webhook_state": lambda: Webhook.objects.update(state="lost"),
    "webhook_ended": lambda: Webhook.objects.update(state="ended"),
    "webhook_secret_before": lambda: Webhook.objects.update(secret_before_sealed=b"x"),
    "one_webhook_per_address": lambda: make.copy(Webhook.objects.get(), id="whk_2"),
    "delivery_state": lambda: Delivery.objects.update(state="lost"),
    "one_delivery_per_leaf": lambda: make.copy(Delivery.objects.get(), id="dlv_2"),
    "hook_state": lambda: HookCall.objects.update(state="lost"),
    "one_call_per_hook": lambda: make.copy(HookCall.objects.get(), id="hok_2", position=1),
    "hooks_in_order": lambda: make.copy(HookCall.objects.get(), id="hok_2", name="sessions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(rows: None, name: str) -> None:
    with pytest.raises(IntegrityError) as told, transaction.atomic():
        REFUSED[name]()
    assert told.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's


def test_every_named_constraint_has_its_row_here() -> None:
    models = [apps.get_model("store", name) for name in ("webhook", "delivery", "hookcall")]
    assert {one.name for model in models for one in model._meta.constraints} == set(REFUSED)
