"""Every look that staff took at confidential data: who, at what, when; never what it said."""

from __future__ import annotations

from django.db import models

from onym.store.desk import Namespace
from onym.store.people import Member


class Disclosure(models.Model):
    """`what` names the kind of data (`recipients`, `appeal`), `about` the row it belongs to."""

    namespace = models.ForeignKey(Namespace, models.PROTECT)
    member = models.ForeignKey(Member, models.PROTECT)
    what = models.CharField(max_length=20)
    about = models.CharField(max_length=60, db_index=True)
    at = models.DateTimeField()
