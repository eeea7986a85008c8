"""Sessions: the browsers a member is signed in with, and how they are ended."""

from __future__ import annotations

from allauth.usersessions.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import auth
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from onym.core.errors import Malformed, NotFound
from onym.flows import factors
from onym.store import clock
from onym.store.models import Member


def end(request: HttpRequest, *, user: User, session_id: int) -> None:
    """End one; ending the own one signs out. Refuses `not_found` for another member's."""
    row = UserSession.objects.filter(user=user, pk=session_id).first()
    if row is None:
        raise NotFound("no such session")
    if row.session_key == request.session.session_key:
        sign_out(request)
    else:
        get_adapter().end_sessions([row])


def end_others(request: HttpRequest, *, user: User) -> None:
    """End all but the one that asks."""
    rows = UserSession.objects.filter(user=user)
    get_adapter().end_sessions(rows.exclude(session_key=request.session.session_key))


def sign_out(request: HttpRequest) -> None:
    """End the one that asks."""
    UserSession.objects.filter(session_key=request.session.session_key or "").delete()
    auth.logout(request)


def change_password(request: HttpRequest, *, user: User, password: str) -> None:
    """A new password, of which the member is told; all other sessions end.

    Refuses `malformed` with what is wrong with it.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Malformed(" ".join(error.messages)) from error
    end_others(request, user=user)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        row = Member.objects.get(user=user)
        factors.tell(row, "password_changed", now=clock.now())
    auth.update_session_auth_hash(request, user)
    UserSession.objects.create_from_request(request)
