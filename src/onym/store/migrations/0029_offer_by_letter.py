"""An offer is found by the link of its letter, too."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("store", "0028_answers"),
    ]

    operations = [
        # What a build that was interrupted leaves is no index, and bars the next one.
        migrations.RunSQL(
            "drop index concurrently if exists offer_by_letter", migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            model_name="offer",
            index=models.Index(fields=["mail_digest"], name="offer_by_letter"),
        ),
    ]
