"""Clauses about signatures, tried with a move that says nothing: who reads it must refuse it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onym.ports.conformance.asking import Wrong, fresh_key
from onym.ports.conformance.clause import Chapter, expect, expect_refusal
from onym.ports.conformance.ground import Ground
from onym.ports.signatures import Signer

_chapter = Chapter("Requests")
clause = _chapter.clause
_PATH: Final = "/handles/check_signature/move"
_LATE: Final = timedelta(minutes=10)


def _stranger(key_id: str = "onym") -> Signer:
    return Signer(key_id=key_id, private_key=Ed25519PrivateKey.generate())


def _turned_away(ground: Ground, wrong: Wrong) -> None:
    expect_refusal(ground.asker.write(_PATH, {}, wrong=wrong), 401)


@clause(
    "signatures.agreed",
    "A request that is signed as agreed is read: a move that says nothing is 400 or 422",
    "key",
)
def agreed(ground: Ground) -> None:
    told = ground.asker.write(_PATH, {})
    expect(told.status in (400, 422), f"answers {told}")


@clause("signatures.unsigned", "A write without a signature is 401")
def unsigned(ground: Ground) -> None:
    _turned_away(ground, Wrong(unsigned=True))


@clause("signatures.stranger", "A write signed by a key that you do not know is 401")
def stranger(ground: Ground) -> None:
    _turned_away(ground, Wrong(signer=_stranger()))
    _turned_away(ground, Wrong(signer=_stranger("check-nobody")))


@clause("signatures.read", "A read signed by a key that you do not know is 401")
def read(ground: Ground) -> None:
    expect_refusal(ground.asker.read("/capabilities", Wrong(signer=_stranger())), 401)


@clause("signatures.created", "A signature ten minutes old, or ten minutes ahead, is 401", "key")
def created(ground: Ground) -> None:
    now = datetime.now(UTC)
    _turned_away(ground, Wrong(created=now - _LATE))
    _turned_away(ground, Wrong(created=now + _LATE))


@clause(
    "signatures.body", "A body other than the signed one is 401, also under a digest of its own"
)
def body(ground: Ground) -> None:
    _turned_away(ground, Wrong(body=b'{"fence": 1}'))
    _turned_away(ground, Wrong(body=b'{"fence": 1}', fresh_digest=True))


@clause("signatures.target", "A signature for another path, method or key is 401", "key")
def target(ground: Ground) -> None:
    _turned_away(ground, Wrong(path="/handles/check_other/move"))
    _turned_away(ground, Wrong(method="PUT"))
    _turned_away(ground, Wrong(key=fresh_key()))


@clause(
    "signatures.covers", "A signature that leaves out method, target, key or digest is 401", "key"
)
def covers(ground: Ground) -> None:
    for name in ("@method", "@target-uri", "idempotency-key", "content-digest"):
        told = ground.asker.write(_PATH, {}, wrong=Wrong(uncovered=(name,)))
        expect(told.status == 401, f"without {name}: answers {told}, not 401")


CLAUSES: Final = tuple(_chapter.clauses)
