from typing import Any

import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


def term() -> Any:
    return models.CharField(max_length=7, default="handle", db_default="handle")


def is_term(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=models.Q(("term__in", ["handle", "account"])), name=name
    )


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0034_webhook_secrets"),
    ]

    operations = [
        migrations.AddField(
            model_name="namespace",
            name="whole_accounts",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddField(
            model_name="link",
            name="passed_on",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddField(model_name="listing", name="term", field=term()),
        migrations.AddField(model_name="offer", name="term", field=term()),
        migrations.AddField(model_name="sale", name="term", field=term()),
        migrations.AddField(
            model_name="offer", name="consented_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="sale", name="consented_at", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="transfer",
            name="hands_to",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.member"
            ),
        ),
        migrations.AddField(
            model_name="transfer",
            name="address_sealed",
            field=models.BinaryField(default=b"", db_default=b""),
        ),
        migrations.AddConstraint(model_name="listing", constraint=is_term("listing_term")),
        AddConstraintNotValid(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("consented_at", None), ("term", "handle")),
                    models.Q(("consented_at__isnull", False), ("term", "account")),
                    _connector="OR",
                ),
                name="offer_term",
            ),
        ),
        AddConstraintNotValid(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("consented_at", None), ("term", "handle")),
                    models.Q(("consented_at__isnull", False), ("term", "account")),
                    _connector="OR",
                ),
                name="sale_term",
            ),
        ),
    ]
