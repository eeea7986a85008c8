"""PostgreSQL extensions that constraints need; both are trusted, so no superuser is asked for."""

from django.contrib.postgres.operations import BtreeGistExtension, TrigramExtension
from django.db import migrations


class Migration(migrations.Migration):
    initial = True
    operations = (BtreeGistExtension(), TrigramExtension())
