"""The doctor's sign-in at the mail server: a password is for a server whose certificate holds."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from tests.demo.servers import free_port

from onym.site import doctor_mail


def certificate(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    local = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1))
    builder = builder.not_valid_after(datetime.now(UTC) + timedelta(days=1))
    signed = builder.add_extension(local, critical=False).sign(key, hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = folder / "mail.pem"
    file.write_bytes(pem + signed.public_bytes(Encoding.PEM))
    return file


@contextmanager
def mail_server(pem: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and the passwords that it was told."""
    told: list[bytes] = []

    def take(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any
    ) -> AuthResult:
        told.append(given.password)
        return AuthResult(success=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = Controller(
        object(),
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        authenticator=take,
    )
    server.start()
    try:
        yield server.port, told
    finally:
        server.stop()


@pytest.mark.parametrize(("is_trusted", "state"), [(False, "fail"), (True, "ok")])
def test_the_password_goes_to_a_server_whose_certificate_holds_and_to_no_other(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool, state: str
) -> None:
    pem = certificate(tmp_path)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with mail_server(pem) as (port, told):
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, True
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "onym", "secret"
        (one,) = doctor_mail.AREAS["mail"]()
    assert (one.state, told) == (state, [b"secret"] if is_trusted else [])
    assert is_trusted or "certificate verify failed" in one.found
