"""Calling the operator's hooks, one after the other; an unknown answer is asked for again."""

from __future__ import annotations

from onym import ports
from onym.core.hook import State
from onym.flows import hook as flow
from onym.jobs.queue import again, task
from onym.queries import hook as queries


@task("hook.call")
def call(*, about: str, attempt: int = 0) -> None:
    """Every hook that has not answered yet, in order, up to one that gives no answer."""
    while (asked := queries.following(about)) is not None:
        said = ports.hooks(asked.namespace).call(url=asked.url, wish=asked.wish, key=asked.key)
        state = State.DONE if said.done else State.REFUSED if said.refused else State.UNKNOWN
        if not flow.record_answer(call_id=asked.id, state=state, code=said.code or ""):
            again("hook.call", lock=f"hooks-{about}", attempt=attempt, about=about)
            return
