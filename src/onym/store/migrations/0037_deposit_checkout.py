"""The provider's own page on which a member enters a card for a deposit."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0036_terms_valid"),
    ]

    operations = [
        migrations.AddField(
            model_name="deposit",
            name="checkout_id",
            field=models.CharField(db_default="", default="", max_length=120),
        ),
    ]
