"""Tokens that may buy were made without a second factor: those of members who have none end."""

from typing import Any

from django.db import migrations
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now


def take_back(apps: Any, _: object) -> None:
    """The operator's own, which have no name, stay."""
    found = apps.get_model("mfa", "Authenticator").objects.filter(
        user=OuterRef("member__user"), type__in=("totp", "webauthn")
    )
    rows = apps.get_model("store", "Token").objects.filter(
        ~Exists(found), scopes__contains=["buy"], revoked_at=None
    )
    ended = list(rows.exclude(name="").values_list("pk", flat=True))
    apps.get_model("store", "Token").objects.filter(pk__in=ended).update(revoked_at=Now())


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0052_bank_drawn"),
    ]

    operations = [
        migrations.RunPython(take_back, migrations.RunPython.noop),
    ]
