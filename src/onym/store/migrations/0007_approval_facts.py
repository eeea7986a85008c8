"""What an approval shows is kept as facts and said in the reader's language.

A proposal that was open before has another digest; approving it answers `shown_changed`, and it is
proposed anew.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0006_event_written_at")]

    operations = [
        migrations.AddField(
            model_name="approval", name="facts", field=models.JSONField(default=dict)
        ),
        migrations.RemoveField(model_name="approval", name="summary"),
    ]
