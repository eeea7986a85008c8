"""How much a request may bring: a stranger shall not fill the disk that Django spools files to."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from onym.api import wire
from onym.core.errors import Malformed
from onym.web import page

STATEMENT_BYTES = 64_000_000
"""The largest file that the desk takes: a bank's statement."""


class Bodies:
    """After the session, before anything reads the body. Refuses `malformed`.

    A body without a length is read by nobody: WSGI takes it for empty.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > _most(request):
            return _refused(request)
        return self.answer(request)


def _most(request: HttpRequest) -> int:
    """Only who is signed in may bring a file, and only to the desk."""
    is_desk = page.PAGE.sub(r"\2", request.path_info).startswith("/desk/")
    if is_desk and SESSION_KEY in request.session:
        return STATEMENT_BYTES
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _refused(request: HttpRequest) -> HttpResponse:
    refusal = Malformed("this is more than the market takes at once")
    if page.PAGE.fullmatch(request.path_info):
        return page.trouble(request, refusal.code, status=refusal.status)
    return wire.problem(refusal)
