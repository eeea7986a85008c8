from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """When a row was written, by the machine's clock: the demo's market clock may jump."""

    dependencies = [("store", "0005_limits")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="written_at",
            field=models.DateTimeField(db_default=Now()),
        ),
    ]
