"""What each process last said of an outside's breaker."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0015_platform_writes")]

    operations = [
        migrations.CreateModel(
            name="BreakerState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("outside", models.CharField(max_length=80)),
                ("process", models.CharField(max_length=120)),
                ("state", models.CharField(max_length=10)),
                ("until", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("outside", "process"), name="breaker_state")
                ],
            },
        ),
    ]
