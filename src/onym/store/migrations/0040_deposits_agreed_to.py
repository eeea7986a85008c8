"""When what a member agreed to on the provider's page was found to fit into the wallet."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0039_screened_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="deposit",
            name="agreed_at",
            field=models.DateTimeField(null=True),
        ),
    ]
