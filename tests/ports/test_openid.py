"""An OpenID provider that lies: each lie is refused, and only the truth names an account."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from onym.core.errors import NotAllowed, PlatformUnavailable
from onym.ports.openid import Provider

KEY = generate_private_key(public_exponent=65537, key_size=2048)
OTHER = generate_private_key(public_exponent=65537, key_size=2048)


class Liar:
    """Answers its token endpoint with whatever claims, key and header it is told to."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key: RSAPrivateKey | str = KEY
        self.algorithm, self.kid = "RS256", "one"
        self.status, self.issuer = 200, ""
        self.base = ""

    def token(self) -> str:
        now = int(time.time())
        told = {"iss": self.base, "sub": "1007", "aud": "onym", "nonce": "n"}
        claims = told | {"iat": now, "exp": now + 60} | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.kid})

    def discovery(self) -> dict[str, str]:
        issuer = self.issuer or self.base
        ends = {"authorization_endpoint": "a", "token_endpoint": "t", "jwks_uri": "k"}
        return {"issuer": issuer, **{name: f"{self.base}/{end}" for name, end in ends.items()}}

    def keys(self) -> dict[str, Any]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "one"}]}


@pytest.fixture
def liar() -> Iterator[Liar]:
    here = Liar()

    class Http(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, here.keys() if self.path == "/k" else here.discovery())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(here.status, {"id_token": here.token()})

        def _say(self, status: int, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    here.base = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


def finish(liar: Liar, issuer: str = "", claim: str = "sub") -> str:
    provider = Provider(
        issuer=liar.base, client_id="onym", client_secret="s", redirect_uri="r", claim=claim
    )
    return provider.finish(code="c", nonce="n", verifier="v", issuer=issuer)


def test_the_truth_names_the_account_by_the_claim_that_the_operator_chose(liar: Liar) -> None:
    assert finish(liar) == "1007"
    liar.claims = {"account": "77"}
    assert finish(liar, claim="account") == "77"
    assert finish(liar, issuer=liar.base) == "1007"


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "m"},
    "no nonce": {"nonce": None},
    "another audience": {"aud": "bank"},
    "two audiences": {"aud": ["onym", "bank"]},
    "another party": {"azp": "bank"},
    "another issuer": {"iss": "https://bank.example"},
    "expired": {"exp": int(time.time()) - 3_600},
    "of tomorrow": {"iat": int(time.time()) + 86_400},
    "without an end": {"exp": None},
    "nobody": {"sub": ""},
    "a number for an id": {"sub": None},
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_token_that_does_not_hold_is_refused(liar: Liar, lie: str) -> None:
    liar.claims = LIES[lie]
    with pytest.raises(NotAllowed):
        finish(liar)


def test_a_token_is_signed_by_a_published_key_in_a_way_that_is_one(liar: Liar) -> None:
    liar.key = OTHER
    with pytest.raises(NotAllowed):
        finish(liar)
    liar.key, liar.kid = KEY, "two"
    with pytest.raises(NotAllowed):
        finish(liar)
    liar.key, liar.kid, liar.algorithm = "a secret of thirty-two bytes, shared", "one", "HS256"
    with pytest.raises(NotAllowed):
        finish(liar)
    liar.key, liar.algorithm = "", "none"
    with pytest.raises(NotAllowed):
        finish(liar)


def test_an_answer_that_names_another_provider_is_refused(liar: Liar) -> None:
    with pytest.raises(NotAllowed):
        finish(liar, issuer="https://bank.example")
    liar.issuer = "https://bank.example"
    with pytest.raises(PlatformUnavailable):
        finish(liar)


@pytest.mark.parametrize(
    ("status", "refusal"), [(400, NotAllowed), (401, NotAllowed), (500, PlatformUnavailable)]
)
def test_no_token_is_no_sign_in(liar: Liar, status: int, refusal: type[Exception]) -> None:
    liar.status = status
    with pytest.raises(refusal):
        finish(liar)
