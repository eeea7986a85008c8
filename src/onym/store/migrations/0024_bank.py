import django.db.models.deletion
import onym.core.bank
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0023_tokens"),
    ]

    operations = [
        migrations.CreateModel(
            name="BankAccount",
            fields=[
                (
                    "member",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="store.member",
                    ),
                ),
                ("iban_sealed", models.BinaryField()),
                ("name_sealed", models.BinaryField()),
                ("ends_in", models.CharField(max_length=4)),
                ("set_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="BankFile",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("orders", models.IntegerField()),
                ("total_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("text_sealed", models.BinaryField()),
                ("made_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.member"
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BankReference",
            fields=[
                ("reference", models.CharField(max_length=25, primary_key=True, serialize=False)),
                ("made_at", models.DateTimeField()),
                (
                    "sale",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="store.sale"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BankStatement",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("number", models.CharField(max_length=60)),
                ("sha256", models.CharField(max_length=64)),
                ("currency", models.CharField(max_length=3)),
                ("opening_minor", models.BigIntegerField()),
                ("closing_minor", models.BigIntegerField()),
                ("lines", models.IntegerField()),
                ("imported_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.member"
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BankLine",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("ref", models.CharField(max_length=80)),
                ("minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("booked_on", models.DateField()),
                ("rest_minor", models.BigIntegerField(default=0)),
                ("outcome", models.CharField(max_length=10)),
                ("waits", models.BooleanField(default=False)),
                ("text_sealed", models.BinaryField(default=b"")),
                ("name_sealed", models.BinaryField(default=b"")),
                ("iban_sealed", models.BinaryField(default=b"")),
                ("at", models.DateTimeField()),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="store.member",
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
                (
                    "sale",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.sale"
                    ),
                ),
                (
                    "statement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.bankstatement"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="BankOrder",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=8)),
                ("state", models.CharField(max_length=8)),
                ("minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("iban_sealed", models.BinaryField(default=b"")),
                ("name_sealed", models.BinaryField(default=b"")),
                ("text", models.CharField(max_length=140)),
                ("provider_id", models.CharField(max_length=80, null=True)),
                ("made_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "file",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.bankfile"
                    ),
                ),
                (
                    "line",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.bankline"
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.payment"
                    ),
                ),
                (
                    "payout",
                    models.OneToOneField(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.payout"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "payout"), ("payout__isnull", False)),
                            models.Q(("kind", "refund"), ("payment__isnull", False)),
                            models.Q(("kind", "return"), ("line__isnull", False)),
                            _connector="OR",
                        ),
                        name="bank_order_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                [
                                    onym.core.bank.OrderState["NO_PLACE"],
                                    onym.core.bank.OrderState["WAITING"],
                                    onym.core.bank.OrderState["FILED"],
                                    onym.core.bank.OrderState["DONE"],
                                ],
                            )
                        ),
                        name="bank_order_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("minor__gt", 0)), name="bank_order_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "done"), _negated=True),
                            ("provider_id__isnull", False),
                            _connector="OR",
                        ),
                        name="bank_order_done_has_reference",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="bankstatement",
            constraint=models.UniqueConstraint(
                fields=("namespace", "sha256"), name="one_import_per_file"
            ),
        ),
        migrations.AddConstraint(
            model_name="bankstatement",
            constraint=models.UniqueConstraint(
                fields=("namespace", "number"), name="one_import_per_statement"
            ),
        ),
        migrations.AddConstraint(
            model_name="bankline",
            constraint=models.UniqueConstraint(
                fields=("namespace", "ref"), name="one_line_per_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="bankline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("rest_minor", 0),
                    models.Q(("rest_minor__gt", 0), ("rest_minor__lte", models.F("minor"))),
                    _connector="OR",
                ),
                name="line_rest_within",
            ),
        ),
        migrations.AddConstraint(
            model_name="bankline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("waits", False),
                    models.Q(("rest_minor__gt", 0), ("sale__isnull", False)),
                    _connector="OR",
                ),
                name="line_waits_for_a_sale",
            ),
        ),
    ]
