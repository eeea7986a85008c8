"""Payouts that had left and came back, and are sent anew."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0031_recovery"),
    ]

    operations = [
        migrations.CreateModel(
            name="Bounce",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("provider_id", models.CharField(max_length=80)),
                ("booked_as", models.CharField(max_length=60)),
                ("minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="bankorder",
            name="bank_order_state",
        ),
        migrations.AddField(
            model_name="payout",
            name="bounces",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name="bankorder",
            name="payout",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.payout"
            ),
        ),
        migrations.AddConstraint(
            model_name="bankorder",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "no_place",
                            "waiting",
                            "filed",
                            "done",
                            "returned",
                        ],
                    )
                ),
                name="bank_order_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankorder",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("payout__isnull", False), models.Q(("state", "returned"), _negated=True)
                ),
                fields=("payout",),
                name="one_bank_order_per_payout",
            ),
        ),
        migrations.AddField(
            model_name="bounce",
            name="line",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, to="store.bankline"
            ),
        ),
        migrations.AddField(
            model_name="bounce",
            name="payout",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.payout"),
        ),
        migrations.AddConstraint(
            model_name="bounce",
            constraint=models.CheckConstraint(
                condition=models.Q(("minor__gt", 0)), name="bounce_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="bounce",
            constraint=models.UniqueConstraint(fields=("payout", "booked_as"), name="bounce_once"),
        ),
    ]
