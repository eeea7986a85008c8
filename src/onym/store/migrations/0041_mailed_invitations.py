"""When a server answered for an invitation's mail; whatever was sent before has had its one mail."""

from typing import Any

from django.db import migrations, models
from django.db.models import F


def keep_answered(apps: Any, _: object) -> None:
    """Which of them had no answer was not kept: nobody gets a second mail for it."""
    rows = apps.get_model("store", "Invitation").objects.exclude(sent_at=None)
    rows.update(mailed_at=F("sent_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0040_deposits"),
    ]

    operations = [
        migrations.AddField(
            model_name="invitation",
            name="mailed_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunPython(keep_answered, migrations.RunPython.noop),
    ]
