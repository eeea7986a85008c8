"""What a sale took of each arrival, and a refund in as many parts; who named an order's account,
and which account of the provider's a payout was asked to go to.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0048_retaining_platforms"),
    ]

    operations = [
        migrations.AddField(
            model_name="payout",
            name="account",
            field=models.CharField(db_default="", default="", max_length=80),
        ),
        migrations.CreateModel(
            name="BankDraw",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("minor", models.BigIntegerField()),
                (
                    "line",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.bankline"
                    ),
                ),
                (
                    "sale",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.sale"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("line", "sale"), name="one_draw_per_line_and_sale"
                    ),
                    models.CheckConstraint(
                        condition=Q(("minor__gt", 0)), name="bank_draw_positive"
                    ),
                ],
            },
        ),
        migrations.AlterField(
            model_name="bankorder",
            name="payment",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.payment"
            ),
        ),
        migrations.AddField(
            model_name="bankorder",
            name="completed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankorder",
            constraint=models.UniqueConstraint(
                condition=Q(("payment__isnull", False)),
                fields=("payment", "line"),
                name="one_refund_per_line",
            ),
        ),
    ]
