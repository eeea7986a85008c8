"""A case is about one name and one entry, and keeps the name; an answer by link may carry one."""

from typing import Any

from django.db import migrations, models

from onym.core.screening import folded
from onym.store import secrets


def keep_names(apps: Any, _: object) -> None:
    """Until now nobody could change a name: the one that was compared is the member's own."""
    for case in apps.get_model("store", "ScreeningCase").objects.select_related("member"):
        sealed, place = bytes(case.member.name_sealed), f"member.name/{case.member_id}"
        name = secrets.open_(sealed, place=place) if sealed else ""
        case.name_sealed = secrets.seal(name, place=f"screening.name/{case.id}")
        case.name_index = secrets.index(folded(name), purpose="screening/name")
        case.save(update_fields=["name_sealed", "name_index"])


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0037_deposit_checkout"),
    ]

    operations = [
        migrations.AddField(
            model_name="screeningcase",
            name="name_sealed",
            field=models.BinaryField(default=b"", db_default=b""),
        ),
        migrations.AddField(
            model_name="screeningcase",
            name="name_index",
            field=models.CharField(default="", db_default="", max_length=64),
        ),
        migrations.RemoveConstraint(model_name="screeningcase", name="one_case_per_entry"),
        migrations.AddConstraint(
            model_name="screeningcase",
            constraint=models.UniqueConstraint(
                fields=("member", "entry_index", "name_index"), name="one_case_per_name_and_entry"
            ),
        ),
        migrations.AddField(
            model_name="offeranswer",
            name="name_sealed",
            field=models.BinaryField(default=b"", db_default=b""),
        ),
        migrations.RunPython(keep_names, migrations.RunPython.noop),
    ]
