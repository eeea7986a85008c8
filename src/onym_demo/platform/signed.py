"""Who may write: RFC 9421 signatures with Ed25519, checked over what decides the request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ED25519
from starlette.datastructures import Headers
from starlette.requests import Request

from onym_demo.platform.problem import Problem

# Components as the library serialises them; one with parameters would not be the whole field.
_READ: Final = frozenset({'"@method"', '"@target-uri"'})
_WRITE: Final = _READ | {'"content-digest"', '"idempotency-key"'}
_OLDEST: Final = timedelta(minutes=5)
_LONGEST_BODY: Final = 1024 * 1024


def public_key(file: Path) -> Ed25519PublicKey:
    """The market's key; ValueError for a file that holds no Ed25519 public key in PEM."""
    key = load_pem_public_key(file.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{file} holds no Ed25519 public key")
    return key


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    url: str
    headers: Headers


class Verifier:
    """Checks requests against the keys that may write, by key id."""

    def __init__(self, keys: dict[str, Ed25519PublicKey]) -> None:
        self._verifier = HTTPMessageVerifier(
            signature_algorithm=ED25519,
            key_resolver=MappingKeyResolver(public_keys=keys, private_keys={}),
        )

    def writer(self, request: Request, body: bytes) -> str:
        """The key id of a signed write; refused: 401 signature_missing or signature_invalid."""
        if "signature" not in request.headers:
            raise Problem(401, "signature_missing")
        return self._check(request, _WRITE, body)

    def reader(self, request: Request) -> None:
        """Reads may come unsigned on loopback, where this server listens; a bad signature may not.

        Refused: 401 signature_invalid.
        """
        if "signature" in request.headers:
            self._check(request, _READ, None)

    def asker(self, request: Request) -> None:
        """A read that nobody else may make. Refused: 401 signature_missing, signature_invalid."""
        if "signature" not in request.headers:
            raise Problem(401, "signature_missing")
        self._check(request, _READ, None)

    def _check(self, request: Request, needed: frozenset[str], body: bytes | None) -> str:
        message = _Message(request.method, _target(request), request.headers)
        try:
            found = self._verifier.verify(message, max_age=_OLDEST, body=body)[0]
        except InvalidSignature as fault:
            raise Problem(401, "signature_invalid", str(fault)) from fault
        missing = needed - found.covered_components.keys()
        if missing:
            raise Problem(401, "signature_invalid", f"not signed: {', '.join(sorted(missing))}")
        return str(found.parameters["keyid"])


def _target(request: Request) -> str:
    """The request's own URI, as it came in: path and query undecoded."""
    scope = request.scope
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    host = request.headers.get("host", "")
    return f"{scope['scheme']}://{host}{path.decode('ascii')}" + (
        f"?{query.decode('ascii')}" if query else ""
    )


async def read_body(request: Request) -> bytes:
    """The body, refused when longer than any write of the contract can be."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise Problem(413, "too_large")
    return body
