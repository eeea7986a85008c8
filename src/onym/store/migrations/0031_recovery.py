"""Claims of the house that are met by later proceeds, or given up."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0030_wallet"),
    ]

    operations = [
        migrations.CreateModel(
            name="Recovery",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="chargeback",
            name="recovered_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="chargeback",
            name="written_off_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="payout",
            name="recovered_minor",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddConstraint(
            model_name="chargeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("recovered_minor__gte", 0),
                    (
                        "recovered_minor__lte",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                models.F("amount_minor"), "-", models.F("wallet_minor")
                            ),
                            "-",
                            models.F("written_off_minor"),
                        ),
                    ),
                    ("written_off_minor__gte", 0),
                ),
                name="chargeback_met_within",
            ),
        ),
        migrations.AddConstraint(
            model_name="payout",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("recovered_minor__gte", 0), ("recovered_minor__lte", models.F("amount_minor"))
                ),
                name="payout_recovered_within",
            ),
        ),
        migrations.AddField(
            model_name="recovery",
            name="chargeback",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.chargeback"
            ),
        ),
        migrations.AddField(
            model_name="recovery",
            name="payout",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.payout"
            ),
        ),
        migrations.AddConstraint(
            model_name="recovery",
            constraint=models.CheckConstraint(
                condition=models.Q(("minor__gt", 0)), name="recovery_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="recovery",
            constraint=models.UniqueConstraint(
                fields=("chargeback", "payout"), name="recovery_once"
            ),
        ),
    ]
