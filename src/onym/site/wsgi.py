"""Pages and API: the application that the web server's workers load."""

from __future__ import annotations

import os
import signal

from django.core.wsgi import get_wsgi_application

from onym.site import launch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "onym.site.settings")
if os.environ.get("ONYM_SUPERVISED"):
    launch.die_with(0, signal.SIGKILL)  # a worker must not outlive its server and keep the port
application = get_wsgi_application()
