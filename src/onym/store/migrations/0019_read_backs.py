"""The feed of hand-overs reads their leaves alone, in order."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("store", "0018_payments"),)
    operations = (
        # What a build that was interrupted leaves is no index, and bars the next one.
        migrations.RunSQL(
            "drop index concurrently if exists event_read_back", migrations.RunSQL.noop
        ),
        AddIndexConcurrently(
            "event",
            models.Index(
                name="event_read_back",
                fields=("namespace", "leaf_index"),
                condition=Q(type="TransferReadBack"),
            ),
        ),
    )
