"""Who is asking: a bearer token, or the session of the pages with its CSRF token."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer

from onym.queries import people
from onym.queries.people import Caller


class Bearer(HttpBearer):
    """`Authorization: Bearer …`; scopes are checked route by route."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:  # noqa: ARG002 - ninja's
        return people.by_token(token)


class Session(APIKeyCookie):
    """The signed-in member of the pages; ninja checks the CSRF token."""

    param_name = "sessionid"

    def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:  # noqa: ARG002
        return people.asking(request)


MEMBERS = (Bearer(), Session())
"""Either will do; a route without them is public."""
