import django.db.models.deletion
import onym.core.invoice
from django.db import migrations, models


FORWARD = """
create trigger invoice_immutable before update or delete on store_invoice
    for each row execute function onym_immutable();
"""
BACKWARD = "drop trigger invoice_immutable on store_invoice;"


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0024_bank"),
    ]

    operations = [
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=12)),
                ("year", models.IntegerField()),
                ("place", models.IntegerField()),
                ("gross_minor", models.BigIntegerField()),
                ("tax_minor", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("facts_sealed", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
                ("issued_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="InvoiceSeries",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=12)),
                ("year", models.IntegerField()),
                ("last", models.IntegerField(default=0)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="document",
            name="document_kind",
        ),
        migrations.AddField(
            model_name="member",
            name="country",
            field=models.CharField(db_default="", default="", max_length=2),
        ),
        migrations.AddField(
            model_name="sale",
            name="tax_facts",
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ("policy", "fees", "guidelines", "tax"))),
                name="document_kind",
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="member",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.member"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddField(
            model_name="invoice",
            name="sale",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.sale"),
        ),
        migrations.AddField(
            model_name="invoiceseries",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("namespace", "kind", "year", "place"), name="one_invoice"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                fields=("sale", "kind"), name="one_invoice_per_sale"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [onym.core.invoice.Kind["INVOICE"], onym.core.invoice.Kind["CREDIT_NOTE"]],
                    )
                ),
                name="invoice_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoiceseries",
            constraint=models.UniqueConstraint(
                fields=("namespace", "kind", "year"), name="one_invoice_series"
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
