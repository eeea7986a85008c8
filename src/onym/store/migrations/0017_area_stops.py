"""When an area of the market was stopped, by whom."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    dependencies = [("store", "0016_breaker")]

    operations = [
        migrations.CreateModel(
            name="AreaStop",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("area", models.CharField(max_length=12)),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField(null=True)),
                (
                    "approval",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, to="store.approval"
                    ),
                ),
                (
                    "namespace",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="store.namespace"
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="store.member",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(until=None),
                        fields=("namespace", "area"),
                        name="one_area_stop_at_a_time",
                    ),
                    models.CheckConstraint(
                        condition=Q(until=None) | Q(until__gte=F("since")), name="area_stop_forward"
                    ),
                    models.CheckConstraint(
                        condition=Q(area__in=("sales", "payouts", "reclaim", "outreach")),
                        name="area_known",
                    ),
                ],
            },
        ),
    ]
