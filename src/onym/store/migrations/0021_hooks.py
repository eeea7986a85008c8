"""Calls to the operator's hooks after a change of hands."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0020_webhooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="HookCall",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("about", models.CharField(db_index=True, max_length=60)),
                ("position", models.PositiveSmallIntegerField()),
                ("name", models.CharField(max_length=31)),
                ("url", models.TextField()),
                ("holder_before", models.TextField(null=True)),
                ("holder_after", models.TextField(null=True)),
                ("state", models.CharField(default="pending", max_length=10)),
                ("series", models.PositiveSmallIntegerField(default=0)),
                ("code", models.CharField(default="", max_length=80)),
                ("ordered_at", models.DateTimeField()),
                ("answered_at", models.DateTimeField(null=True)),
                (
                    "handle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.handle"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "done"), _negated=True),
                        fields=["ordered_at"],
                        name="hook_not_done",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["pending", "unknown", "done", "refused"])
                        ),
                        name="hook_state",
                    ),
                    models.UniqueConstraint(fields=("about", "name"), name="one_call_per_hook"),
                    models.UniqueConstraint(fields=("about", "position"), name="hooks_in_order"),
                ],
            },
        ),
    ]
