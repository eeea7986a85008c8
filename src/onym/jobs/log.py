"""The public log's own threads: the integrator about once a second, and one asker a witness.

Whatever else takes its time, a leaf is not late for it; a witness that is away holds up nobody.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, close_old_connections, connections

from onym import ports
from onym.flows import log
from onym.ports.witness import Witness
from onym.queries import log as queries
from onym.tlog import checkpoint
from onym.tlog.integrator import CannotSign
from onym.tlog.tiles import TileFault

LOOK_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0

log_ = logging.getLogger(__name__)


def start(stop: threading.Event) -> list[threading.Thread]:
    """The integrator's thread and one for each witness, until `stop` is set."""
    witnesses = ports.witnesses()
    log.name_witnesses([witness.key for witness in witnesses])
    threads = [threading.Thread(target=keep, args=(stop,), daemon=True)]
    threads += [threading.Thread(target=ask, args=(stop, one), daemon=True) for one in witnesses]
    for thread in threads:
        thread.start()
    return threads


def keep(stop: threading.Event) -> None:
    """Integrate, again and again; a fault is tried again, and told when it is another."""
    told = ""
    while not stop.wait(LOOK_SECONDS):
        close_old_connections()
        try:
            log.integrate()
            told = ""
        except (DatabaseError, CannotSign, OSError) as fault:
            if str(fault) != told:
                log_.error("the log could not be carried on: %s", fault)
            told = str(fault)
    connections.close_all()


def ask(stop: threading.Event, witness: Witness) -> None:
    """Have each new checkpoint cosigned; a witness that does not answer is asked ever less."""
    asking = Asking(witness)
    while not stop.wait(asking.pause):
        asking.once()


class Asking:
    """One witness and what is known of it: the size it signed last, and how often it was away."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._size = 0
        self._misses = 0

    @property
    def pause(self) -> float:
        """Seconds until it is asked again."""
        return float(min(LOOK_SECONDS * 2**self._misses, LONGEST_WAIT_SECONDS))

    def once(self) -> bool:
        """Ask for what is published now, if it lacks the cosignature; True once it has it."""
        try:
            head = queries.published()
            if head is None or checkpoint.cosignatures(head.note, [self._witness.key]):
                return head is not None
            done = self._ask(head)
        except (TileFault, OSError, CannotSign, checkpoint.Unverified) as fault:
            log_.warning("witness %s: %s", self._witness.key.name, fault)
            done = False
        self._misses = 0 if done else min(self._misses + 1, 30)
        return done

    def _ask(self, head: checkpoint.Checkpoint) -> bool:
        for _ in range(2):
            if self._size > head.size:
                raise CannotSign(f"it has signed {self._size} leaves, we publish {head.size}")
            request = queries.submission(head, old=self._size)
            said = self._witness.add_checkpoint(request)
            if said.status == 200:
                self._size = head.size
                return log.cosign(key=self._witness.key, head=head, lines=said.text)
            if said.status != 409:
                break
            self._size = checkpoint.decimal(said.text.strip())
        raise CannotSign(f"it answers {said.status}: {said.text.strip()[:200]}")
