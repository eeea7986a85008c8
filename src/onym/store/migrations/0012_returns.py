"""A sale may be undone after an appeal: the state in which its handle is on its way back."""

import onym.core.sale
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0011_desk"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="sale",
            name="sale_state",
        ),
        migrations.RemoveConstraint(
            model_name="sale",
            name="one_live_sale_per_handle",
        ),
        migrations.AddField(
            model_name="appeal",
            name="instead_of_return",
            field=models.CharField(default="", max_length=40),
        ),
        migrations.AddConstraint(
            model_name="appeal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("remedy", "return_and_refund")),
                fields=("sale",),
                name="one_return_per_sale",
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            onym.core.sale.State["AGREED"],
                            onym.core.sale.State["FUNDING"],
                            onym.core.sale.State["FUNDING_UNKNOWN"],
                            onym.core.sale.State["FUNDED"],
                            onym.core.sale.State["COOLING"],
                            onym.core.sale.State["DELIVERING"],
                            onym.core.sale.State["DELIVERY_UNKNOWN"],
                            onym.core.sale.State["INSPECTION"],
                            onym.core.sale.State["SETTLED"],
                            onym.core.sale.State["RETURNING"],
                            onym.core.sale.State["DISPUTED"],
                            onym.core.sale.State["REFUNDING"],
                            onym.core.sale.State["REFUNDED"],
                            onym.core.sale.State["EXPIRED"],
                            onym.core.sale.State["CANCELLED"],
                        ],
                    )
                ),
                name="sale_state",
            ),
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
                            onym.core.sale.State["RETURNING"],
                        ],
                    )
                ),
                fields=("handle",),
                name="one_live_sale_per_handle",
            ),
        ),
    ]
