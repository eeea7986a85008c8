"""Who of the staff may act: asked in the flow's own transaction, of the roles they have now."""

from __future__ import annotations

from onym.core import access, people
from onym.store.models import Member


def expect(by: str, action: access.Action, *, namespace: str) -> people.Member:
    """The member `by`, who acts in `namespace`: that of the row, where an id was given.

    Refuses `not_allowed` unless it is their own and one of their roles allows `action`.
    """
    member = Member.objects.get(pk=by).snapshot()
    access.expect(member, action, namespace=namespace)
    return member
