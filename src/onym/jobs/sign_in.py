"""Letters with a code to sign in, to join, or to change an address."""

from __future__ import annotations

from onym.flows import sign_in
from onym.jobs.queue import task


@task("sign_in.send_code")
def send_code(*, code_id: str, code_sealed: str) -> None:
    """Looks up whose address it is, and orders the letter if there is to be one."""
    sign_in.send_code(code_id=code_id, code_sealed=code_sealed)
