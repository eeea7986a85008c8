"""Which account of a member is primary, which is about to be unlinked, codes for a profile."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0021_hooks"),
    ]

    operations = [
        migrations.CreateModel(
            name="LinkCode",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("account_id", models.TextField()),
                ("handle", models.TextField()),
                ("code", models.CharField(max_length=40)),
                ("ordered_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="link",
            name="is_primary",
            field=models.BooleanField(default=False, db_default=False),
        ),
        migrations.AddField(
            model_name="link",
            name="unlinks_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(
            """update store_link set is_primary = true where id in (
                select min(id) from store_link where unlinked_at is null group by member_id)""",
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_primary", True)),
                fields=("member",),
                name="one_primary_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="link",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_primary", False), ("unlinked_at", None), _connector="OR"),
                name="primary_is_linked",
            ),
        ),
        migrations.AddField(
            model_name="linkcode",
            name="member",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, to="store.member"
            ),
        ),
        migrations.AddField(
            model_name="linkcode",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
    ]
