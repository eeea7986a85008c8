"""The latest settled sales of a namespace are found without reading the others."""

from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("store", "0012_returns")]

    operations = [
        migrations.AddIndex(
            model_name="sale",
            index=models.Index(
                F("namespace"),
                F("closed_at").desc(),
                F("id").desc(),
                name="latest_settled",
                condition=Q(state="settled", closed_at__isnull=False),
            ),
        ),
    ]
