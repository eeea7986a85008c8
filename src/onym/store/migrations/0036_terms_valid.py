from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("store", "0035_terms"),
    ]

    operations = [
        ValidateConstraint(model_name="offer", name="offer_term"),
        ValidateConstraint(model_name="sale", name="sale_term"),
    ]
