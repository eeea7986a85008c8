"""The secret that a webhook's new one takes the place of, and until when both sign."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0033_checkout"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="secret_before_sealed",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="webhook",
            name="secret_before_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("secret_before_sealed", None), ("secret_before_until", None)),
                    models.Q(
                        ("secret_before_sealed__isnull", False),
                        ("secret_before_until__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="webhook_secret_before",
            ),
        ),
    ]
