"""The provider's own page on which a buyer enters a card."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0032_bounces"),
    ]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="checkout_id",
            field=models.CharField(db_default="", default="", max_length=120),
        ),
        migrations.AddField(
            model_name="payment",
            name="checkout_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("method", "checkout"), _negated=True),
                    ("checkout_until__isnull", False),
                    _connector="OR",
                ),
                name="checkout_has_an_end",
            ),
        ),
    ]
