import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0025_invoices"),
    ]

    operations = [
        migrations.CreateModel(
            name="ScreeningCase",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("entry_sealed", models.BinaryField()),
                ("entry_index", models.CharField(max_length=64)),
                ("percent", models.IntegerField()),
                ("state", models.CharField(default="open", max_length=10)),
                ("found_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="document",
            name="document_kind",
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ("policy", "fees", "guidelines", "tax", "limits"))),
                name="document_kind",
            ),
        ),
        migrations.AddField(
            model_name="screeningcase",
            name="decided_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddField(
            model_name="screeningcase",
            name="member",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.member"),
        ),
        migrations.AddField(
            model_name="screeningcase",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddConstraint(
            model_name="screeningcase",
            constraint=models.UniqueConstraint(
                fields=("member", "entry_index"), name="one_case_per_entry"
            ),
        ),
        migrations.AddConstraint(
            model_name="screeningcase",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ("open", "cleared", "confirmed"))),
                name="screening_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="screeningcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state", "open"), ("decided_by__isnull", False), _connector="OR"
                ),
                name="screening_decided_by_somebody",
            ),
        ),
    ]
