"""The site root: health first, then whatever the surfaces bring."""

from __future__ import annotations

import importlib.util

from django.urls import URLPattern, URLResolver, include, path

from onym.site import health, metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("health", health.alive, name="health"),
    path("ready", health.ready, name="ready"),
    path("metrics", metrics.page, name="metrics"),
]

handler404 = "onym.web.page.lost"
handler500 = "onym.web.page.broken"

for surface in ("api", "desk", "web"):
    if importlib.util.find_spec(f"onym.{surface}.urls"):
        urlpatterns.append(path("", include(f"onym.{surface}.urls")))
