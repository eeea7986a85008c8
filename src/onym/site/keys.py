"""The keys that sign for the market at its platform, made at first use: requests, and sign-in; and
which key seals what is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from onym.site import embedded

KEY_ID = "onym"


def platform_key(data_dir: Path) -> Ed25519PrivateKey:
    """The private key; its seed lies in DATA/keys/platform, readable by the owner alone."""
    kept = embedded.kept_secret(data_dir / "keys" / "platform")
    return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(kept + "=")[:32])


def sign_in_key(data_dir: Path) -> EllipticCurvePrivateKey:
    """The market's own as a client of a PDS, from the secret in DATA/keys/sign-in."""
    from onym.ports import atproto_oauth

    kept = embedded.kept_secret(data_dir / "keys" / "sign-in")
    return atproto_oauth.derived(kept.encode(), info=b"onym atproto client")


def field_key(data_dir: Path) -> str:
    """What seals confidential fields here, by environment or file; empty while there is none."""
    path = data_dir / "keys" / "field"
    named = os.environ.get("ONYM_FIELD_KEY", "")
    return named or (path.read_text().strip() if path.exists() else "")


def mark(key: str) -> str:
    """By which a field key is known again, and not learned; empty for none."""
    if not key:
        return ""
    return hmac.new(key.encode(), b"onym field key", hashlib.sha256).hexdigest()


def public_key_file(data_dir: Path) -> Path:
    """The PEM file that the platform's operator installs on their side."""
    path = data_dir / "keys" / "platform.pem"
    pem = (
        platform_key(data_dir)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if not path.exists() or path.read_bytes() != pem:
        path.write_bytes(pem)
    return path
