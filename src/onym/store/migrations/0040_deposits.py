"""When what was agreed to on the provider's page was found to fit, and deposits by transfer."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0039_screened_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="deposit",
            name="agreed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="WalletReference",
            fields=[
                (
                    "reference",
                    models.CharField(max_length=25, primary_key=True, serialize=False),
                ),
                (
                    "member",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="store.member"
                    ),
                ),
                ("made_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="bankline",
            name="deposit",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.deposit"
            ),
        ),
    ]
