"""Names and beginnings of tokens; codes that change an address."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0022_links"),
    ]

    operations = [
        migrations.AddField(
            model_name="mailcode",
            name="changes",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddField(
            model_name="token",
            name="made_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="token",
            name="name",
            field=models.CharField(default="", db_default="", max_length=60),
        ),
    ]
