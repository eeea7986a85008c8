"""How often somebody asked for something in the window that runs; old windows are overwritten."""

from __future__ import annotations

from django.db import connection, models


class RateWindow(models.Model):
    """`key` is a digest of what and who; `window` numbers stretches of the machine's time."""

    key = models.CharField(max_length=64, primary_key=True)
    window = models.BigIntegerField()
    count = models.IntegerField()


_COUNT = """
insert into store_ratewindow (key, "window", count)
values (%(key)s, floor(extract(epoch from clock_timestamp()) / %(seconds)s), 1)
on conflict (key) do update set
    count = case when store_ratewindow."window" = excluded."window"
                 then store_ratewindow.count + 1 else 1 end,
    "window" = excluded."window"
returning count
"""


def forget(*, key: str) -> None:
    """Begin to count anew."""
    RateWindow.objects.filter(pk=key).delete()


def count(*, key: str, seconds: int) -> int:
    """One more; how many there are now in this window of so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"key": key, "seconds": seconds})
        found: int = cursor.fetchone()[0]
        return found
