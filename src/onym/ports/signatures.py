"""RFC 9421 message signatures with Ed25519, over the parts of a request that decide what it does.

Covered: @method, @target-uri and, where present, content-digest (RFC 9530) and idempotency-key;
`created` and `keyid` are parameters. See docs/guides/platform.md.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner
from http_message_signatures.algorithms import ED25519

from onym.core import trace

_ALWAYS = ("@method", "@target-uri")
_IF_PRESENT = "idempotency-key"
_KEY = "Idempotency-Key"
_LABEL = "onym"


@dataclass(slots=True)
class Request:
    """The view of a request that the signature library reads and adds its fields to."""

    method: str
    url: str
    headers: dict[str, str]


class Signer:
    """Signs requests with one key; safe to share between threads."""

    def __init__(self, *, key_id: str, private_key: Ed25519PrivateKey) -> None:
        self._key_id = key_id
        self._key = private_key
        self._signer = HTTPMessageSigner(signature_algorithm=ED25519)

    def signed(
        self,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        created: datetime | None = None,
        uncovered: Sequence[str] = (),
    ) -> dict[str, str]:
        """`headers` with Content-Digest (if there is a body), Signature-Input and Signature, and
        with the id of the request behind the call, which is not signed.

        `url` is absolute; `created` is the machine's clock, for signatures know no other. Another
        instant, and what is left `uncovered`, are for checks that such a request is turned away.
        """
        request = Request(method, url, {**headers, **trace.header()})
        covered = (*_ALWAYS, _IF_PRESENT) if _KEY in headers else _ALWAYS
        base = self._signer.prepare(
            request,
            key_id=self._key_id,
            label=_LABEL,
            created=created,
            covered_component_ids=tuple(name for name in covered if name not in uncovered),
            body=None if "content-digest" in uncovered else body,
        )
        # The library's own `apply` builds everything a second time to check the caller.
        signature = b64encode(self._key.sign(base.signature_base)).decode()
        request.headers["Signature-Input"] = f"{_LABEL}={base.signature_params}"
        request.headers["Signature"] = f"{_LABEL}=:{signature}:"
        return request.headers
