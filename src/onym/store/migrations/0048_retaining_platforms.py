"""Whether the platform of a transfer is to keep the handle that the receiving account gives up."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0041_mailed_invitations")]

    operations = [
        migrations.AddField(
            model_name="transfer",
            name="retains",
            field=models.BooleanField(db_default=True),
        ),
    ]
