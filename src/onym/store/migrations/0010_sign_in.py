"""Codes by mail; and the database refuses every plain address that a library may want to keep."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

NO_PLAIN_ADDRESSES = """
alter table account_emailaddress add constraint no_plain_address check (false);
alter table auth_user add constraint no_plain_address check (email = '');
"""
AGAIN = """
alter table account_emailaddress drop constraint no_plain_address;
alter table auth_user drop constraint no_plain_address;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0009_watches"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MailCode",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("address_sealed", models.BinaryField()),
                ("name_sealed", models.BinaryField()),
                ("language", models.CharField(max_length=5)),
                ("joins", models.BooleanField()),
                ("digest", models.CharField(max_length=64)),
                ("ordered_at", models.DateTimeField()),
                ("guesses", models.PositiveSmallIntegerField(default=0)),
                ("spent", models.BooleanField(default=False)),
                (
                    "member",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="store.member",
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(NO_PLAIN_ADDRESSES, AGAIN),
    ]
