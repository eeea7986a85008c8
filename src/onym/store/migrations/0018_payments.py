"""Confirmation by the buyer, chargebacks, the provider's deliveries, payout accounts, and
comparisons of the provider with the books.
"""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0017_area_stops"),
    ]

    operations = [
        migrations.CreateModel(
            name="Chargeback",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("provider", models.CharField(max_length=20)),
                ("provider_id", models.CharField(max_length=80)),
                ("status", models.CharField(max_length=8)),
                ("source", models.CharField(max_length=12)),
                ("amount_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("reason", models.CharField(default="", max_length=60)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ProviderEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("namespace", models.CharField(max_length=40)),
                ("provider", models.CharField(max_length=20)),
                ("event", models.CharField(max_length=120)),
                ("kind", models.CharField(max_length=80)),
                ("intent_id", models.CharField(default="", max_length=120)),
                ("sale_id", models.CharField(default="", max_length=120)),
                ("account_id", models.CharField(default="", max_length=120)),
                ("created_at", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField()),
                ("times", models.PositiveIntegerField(default=1)),
                ("outcome", models.CharField(default="waiting", max_length=16)),
                ("done_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("provider", models.CharField(max_length=20)),
                ("made_at", models.DateTimeField()),
                ("matched", models.PositiveIntegerField()),
                ("under_way", models.PositiveIntegerField()),
                ("differences", models.JSONField(default=list)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_state",
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="one_open_charge_per_sale",
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="one_refund_per_sale",
        ),
        migrations.RemoveConstraint(
            model_name="payout",
            name="payout_state",
        ),
        migrations.AddField(
            model_name="payment",
            name="action_url",
            field=models.TextField(default="", db_default=""),
        ),
        migrations.AddField(
            model_name="payout",
            name="attempt",
            field=models.PositiveSmallIntegerField(default=0, db_default=0),
        ),
        migrations.AddField(
            model_name="payoutaccount",
            name="looked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="payoutaccount",
            name="missing",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=120), default=list, db_default=[], size=None
            ),
        ),
        migrations.AddField(
            model_name="payoutaccount",
            name="why_not",
            field=models.CharField(default="", db_default="", max_length=80),
        ),
        migrations.AddField(
            model_name="sale",
            name="frozen",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "pending",
                            "unknown",
                            "action",
                            "paid",
                            "declined",
                            "cancelled",
                            "done",
                            "refused",
                        ],
                    )
                ),
                name="payment_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind", "charge"), ("state__in", ("pending", "unknown", "action", "paid"))
                ),
                fields=("sale",),
                name="one_open_charge_per_sale",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind", "refund"), models.Q(("state", "refused"), _negated=True)
                ),
                fields=("sale",),
                name="one_refund_per_sale",
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["due", "unknown", "done", "refused", "withheld"])
                ),
                name="payout_state",
            ),
        ),
        migrations.AddField(
            model_name="chargeback",
            name="sale",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.sale"),
        ),
        migrations.AddIndex(
            model_name="providerevent",
            index=models.Index(
                models.F("received_at"),
                condition=models.Q(("outcome", "waiting")),
                name="delivery_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.UniqueConstraint(fields=("provider", "event"), name="event_once"),
        ),
        migrations.AddConstraint(
            model_name="providerevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome__in", ("waiting", "asked", "nothing_open", "unknown"))
                ),
                name="delivery_outcome",
            ),
        ),
        migrations.AddField(
            model_name="reconciliation",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.UniqueConstraint(
                fields=("provider", "provider_id"), name="chargeback_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["open", "won", "lost"])),
                name="chargeback_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ["escrow", "receivable"])),
                name="chargeback_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_minor__gt", 0)), name="chargeback_positive"
            ),
        ),
    ]
