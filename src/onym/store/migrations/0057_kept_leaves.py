"""The leaf of a candidate who was forgotten, which the proofs of the others need."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0056_keyed_requests"),
    ]

    operations = [
        migrations.AddField(
            model_name="invitation",
            name="leaf",
            field=models.BinaryField(null=True),
        ),
    ]
