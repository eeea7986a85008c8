import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0027_share"),
    ]

    operations = [
        migrations.AddField(
            model_name="offer",
            name="mail_digest",
            field=models.CharField(max_length=64, null=True),
        ),
        migrations.CreateModel(
            name="OfferAnswer",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=7)),
                ("price_minor", models.BigIntegerField()),
                ("step", models.PositiveSmallIntegerField()),
                ("code", models.CharField(max_length=40)),
                ("ordered_at", models.DateTimeField()),
                (
                    "offer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, to="store.offer"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["accept", "counter"])), name="answer_kind"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("price_minor__gt", 0)), name="answer_price"
                    ),
                ],
            },
        ),
    ]
