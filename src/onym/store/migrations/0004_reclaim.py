import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import onym.core.handle
import onym.core.reclaim
import onym.core.sale


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0003_books"),
    ]

    operations = [
        migrations.CreateModel(
            name="Appeal",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("account_id", models.TextField()),
                ("text_sealed", models.BinaryField()),
                ("state", models.CharField(default="open", max_length=10)),
                ("opened_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "reasons",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), default=list, size=None
                    ),
                ),
                ("remedy", models.CharField(default="", max_length=20)),
                ("compensation_minor", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                ("id", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("policy_name", models.CharField(max_length=63)),
                ("policy_version", models.IntegerField()),
                ("path", models.TextField()),
                ("as_of", models.DateTimeField()),
                ("periods", models.JSONField()),
                ("stages", models.JSONField()),
                ("adopted_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PlanPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stage", models.IntegerField()),
                ("low", models.IntegerField()),
                ("high", models.IntegerField()),
                ("starts_at", models.DateTimeField()),
                (
                    "sent",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(null=True), size=None
                    ),
                ),
                ("resting", models.JSONField(default=list)),
                ("retiring", models.BigIntegerField(default=0)),
                ("opened_at", models.DateTimeField(null=True)),
                ("turn", models.IntegerField(default=0)),
                ("rested_at", models.DateTimeField(null=True)),
                (
                    "released",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), default=list, size=None
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Reclaim",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("bucket", models.IntegerField()),
                ("account_id", models.TextField()),
                ("verdict", models.CharField(max_length=10)),
                (
                    "reasons",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), size=None
                    ),
                ),
                ("resting_days", models.IntegerField(null=True)),
                (
                    "written",
                    models.CharField(default=onym.core.handle.State["HELD"], max_length=12),
                ),
                (
                    "sent",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(null=True), null=True, size=None
                    ),
                ),
                ("opened_at", models.DateTimeField(null=True)),
                ("turn", models.IntegerField(default=0)),
                ("listed_at", models.DateTimeField(null=True)),
                ("looked_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("ending", models.CharField(max_length=10, null=True)),
                ("next_at", models.DateTimeField(db_index=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="StopPeriod",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="sale",
            name="one_live_sale_per_handle",
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            onym.core.sale.State["AGREED"],
                            onym.core.sale.State["COOLING"],
                            onym.core.sale.State["DELIVERING"],
                            onym.core.sale.State["DELIVERY_UNKNOWN"],
                            onym.core.sale.State["DISPUTED"],
                            onym.core.sale.State["FUNDED"],
                            onym.core.sale.State["FUNDING"],
                            onym.core.sale.State["FUNDING_UNKNOWN"],
                            onym.core.sale.State["INSPECTION"],
                            onym.core.sale.State["REFUNDING"],
                        ],
                    )
                ),
                fields=("handle",),
                name="one_live_sale_per_handle",
            ),
        ),
        migrations.AddField(
            model_name="appeal",
            name="decided_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddField(
            model_name="appeal",
            name="handle",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.handle"),
        ),
        migrations.AddField(
            model_name="appeal",
            name="member",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddField(
            model_name="appeal",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddField(
            model_name="appeal",
            name="sale",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.sale"
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="adopted_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="approval",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.approval"
            ),
        ),
        migrations.AddField(
            model_name="plan",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddField(
            model_name="planpart",
            name="plan",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.plan"),
        ),
        migrations.AddField(
            model_name="reclaim",
            name="confirmed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddField(
            model_name="reclaim",
            name="handle",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.handle"),
        ),
        migrations.AddField(
            model_name="reclaim",
            name="plan",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="store.plan"),
        ),
        migrations.AddField(
            model_name="appeal",
            name="process",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.reclaim"
            ),
        ),
        migrations.AddField(
            model_name="stopperiod",
            name="approval",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, to="store.approval"
            ),
        ),
        migrations.AddField(
            model_name="stopperiod",
            name="namespace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
            ),
        ),
        migrations.AddField(
            model_name="stopperiod",
            name="set_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="store.member",
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.UniqueConstraint(
                fields=("namespace", "path"), name="one_plan_per_stock"
            ),
        ),
        migrations.AddConstraint(
            model_name="planpart",
            constraint=models.UniqueConstraint(fields=("plan", "low"), name="one_part"),
        ),
        migrations.AddConstraint(
            model_name="planpart",
            constraint=models.CheckConstraint(
                condition=models.Q(("high__gt", models.F("low"))), name="part_has_buckets"
            ),
        ),
        migrations.AddConstraint(
            model_name="reclaim",
            constraint=models.UniqueConstraint(
                fields=("handle", "plan"), name="one_process_per_plan"
            ),
        ),
        migrations.AddConstraint(
            model_name="reclaim",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None)), fields=("handle",), name="one_open_process"
            ),
        ),
        migrations.AddConstraint(
            model_name="reclaim",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "written__in",
                        [
                            onym.core.handle.State["FREE"],
                            onym.core.handle.State["HELD"],
                            onym.core.handle.State["WARNED"],
                            onym.core.handle.State["RESTING"],
                            onym.core.handle.State["RELEASED"],
                            onym.core.handle.State["RESERVED"],
                            onym.core.handle.State["PROTECTED"],
                            onym.core.handle.State["PROHIBITED"],
                            onym.core.handle.State["RETIRED"],
                        ],
                    )
                ),
                name="process_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="reclaim",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("ending", None)),
                    models.Q(
                        ("ended_at__isnull", False),
                        (
                            "ending__in",
                            [
                                onym.core.reclaim.Ending["KEPT"],
                                onym.core.reclaim.Ending["WOKE"],
                                onym.core.reclaim.Ending["RETURNED"],
                                onym.core.reclaim.Ending["PROTECTED"],
                                onym.core.reclaim.Ending["UPHELD"],
                                onym.core.reclaim.Ending["GONE"],
                            ],
                        ),
                        ("ending__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="process_ending",
            ),
        ),
        migrations.AddConstraint(
            model_name="reclaim",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("written", onym.core.handle.State["RELEASED"]), _negated=True),
                    ("looked_at__isnull", False),
                    _connector="OR",
                ),
                name="released_after_a_look",
            ),
        ),
        migrations.AddConstraint(
            model_name="appeal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("handle", "account_id"),
                name="one_open_appeal",
            ),
        ),
        migrations.AddConstraint(
            model_name="appeal",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ("open", "upheld", "rejected", "withdrawn"))),
                name="appeal_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="appeal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ("open", "withdrawn")),
                    models.Q(("decided_at__isnull", False), ("decided_by__isnull", False)),
                    _connector="OR",
                ),
                name="appeal_decided_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="appeal",
            constraint=models.CheckConstraint(
                condition=models.Q(("compensation_minor__gte", 0)), name="compensation"
            ),
        ),
        migrations.AddConstraint(
            model_name="stopperiod",
            constraint=models.UniqueConstraint(
                condition=models.Q(("until", None)),
                fields=("namespace",),
                name="one_stop_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="stopperiod",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("until", None), ("until__gte", models.F("since")), _connector="OR"
                ),
                name="stop_forward",
            ),
        ),
    ]
