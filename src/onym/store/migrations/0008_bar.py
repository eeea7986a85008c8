"""A transfer keeps the bar that the platform is asked for before money goes back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("store", "0007_approval_facts")]

    operations = [
        migrations.AddField("transfer", "bar_fence", models.BigIntegerField(null=True)),
        migrations.AddField("transfer", "bar_holder", models.TextField(null=True)),
        migrations.AddField("transfer", "bar_done", models.BooleanField(null=True)),
    ]
