"""The feed of hand-overs reads their leaves alone, in order."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("store", "0018_payments"),)
    operations = (
        AddIndexConcurrently(
            "event",
            models.Index(
                name="event_read_back",
                fields=("namespace", "leaf_index"),
                condition=Q(type="TransferReadBack"),
            ),
        ),
    )
