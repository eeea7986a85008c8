"""The application that `onym bench pages` asks: the site, and beside it a view of one query."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "onym.site.settings")
settings.ROOT_URLCONF = __name__
application = get_wsgi_application()  # first, for the site's addresses need its tables


def one_query(_: HttpRequest, handle: str) -> JsonResponse:
    """What a plain view says of a handle's row."""
    from onym.store.models import Handle

    rows = Handle.objects.filter(namespace_id=settings.NAMESPACE, handle=handle)
    return JsonResponse(rows.values("handle", "display", "state", "account_id").get())


urlpatterns = [path("one/<str:handle>", one_query), path("", include("onym.site.urls"))]
