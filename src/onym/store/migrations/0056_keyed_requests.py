"""Digests of named requests are put under the field key, and links leave their routes.

Row by row, in short transactions: the table grows with the market. Begun again, it goes on.
"""

from typing import Any

from django.db import migrations, transaction

from onym.store import requests

AT_ONCE = 1_000


def put_under_key(apps: Any, _: object) -> None:
    """What has no answer yet is being worked on, and left alone."""
    rows = apps.get_model("store", "IdempotentRequest").objects.order_by("pk")
    plain = rows.exclude(payload_sha256__startswith=requests.KEYED).exclude(status=None)
    after = 0
    while found := list(plain.filter(pk__gt=after).exclude(payload_sha256="")[:AT_ONCE]):
        for row in found:
            row.payload_sha256 = requests.keyed(row.payload_sha256)
            row.route = requests.named(row.route)
        with transaction.atomic():
            rows.model.objects.bulk_update(found, ["payload_sha256", "route"])
        after = found[-1].pk


class Migration(migrations.Migration):
    atomic = False
    dependencies = [
        ("store", "0055_buy_tokens"),
    ]

    operations = [
        migrations.RunPython(put_under_key, migrations.RunPython.noop),
    ]
