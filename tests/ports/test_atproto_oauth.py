"""A PDS that lies at sign-in: each lie is refused, only the truth names an account, and nobody but
the configured server is asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from onym.core.errors import Malformed, NotAllowed, PlatformUnavailable
from onym.ports import atproto_oauth
from onym.ports.atproto_oauth import AtprotoOAuth, Client

DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
OTHER = "did:plc:bbbbbbbbbbbbbbbbbbbbbbbb"
BACK = "http://127.0.0.1:8000/sign-in/platform/back"
NONCE, VERIFIER = "n" * 64, "v" * 64
KEY = ec.generate_private_key(ec.SECP256R1())
Facts = dict[str, Any]


class Pds:
    """Tells the truth until a path's answer is put into `lies`; keeps what was posted to it."""

    def __init__(self) -> None:
        self.base = ""
        self.lies: dict[str, Facts] = {}
        self.status: dict[str, int] = {}
        self.posted: list[tuple[str, dict[str, str], Any]] = []
        self.asked: list[str] = []
        self.garbled: set[str] = set()
        self.nonce = "nonce-1"

    def truth(self, path: str) -> Facts:
        ends = {
            "authorization_endpoint": "/authorize",
            "token_endpoint": "/token",
            "pushed_authorization_request_endpoint": "/par",
            "revocation_endpoint": "/revoke",
        }
        home = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer"}
        document = {"id": DID, "service": [home | {"serviceEndpoint": self.base}]}
        told: dict[str, Facts] = {
            "/.well-known/oauth-authorization-server": {
                "issuer": self.base,
                **{name: self.base + end for name, end in ends.items()},
            },
            "/.well-known/oauth-protected-resource": {
                "resource": self.base,
                "authorization_servers": [self.base],
            },
            "/par": {"request_uri": "urn:ietf:params:oauth:request_uri:req-1", "expires_in": 299},
            "/token": {
                "sub": DID,
                "token_type": "DPoP",
                "scope": "atproto",
                "access_token": "secret-access",
            },
            "/revoke": {},
            "/xrpc/com.atproto.repo.describeRepo": {
                "did": DID,
                "handle": "moon.host.example",
                "didDoc": document,
            },
        }
        return told[path]

    def said(self, path: str) -> tuple[int, Facts]:
        return self.status.get(path, 200), self.truth(path) | self.lies.get(path, {})

    def took(self, path: str, form: dict[str, str], proof: str) -> tuple[int, Facts]:
        """As RFC 9449 asks: whoever does not know the nonce is told it once."""
        head = jwt.get_unverified_header(proof)
        key = jwt.PyJWK(head["jwk"], algorithm="ES256")
        claims = jwt.decode(proof, key, algorithms=["ES256"])
        assert (head["typ"], claims["htm"], claims["htu"]) == (
            "dpop+jwt",
            "POST",
            self.base + path,
        )
        self.posted.append((path, form, head["jwk"]))
        if claims.get("nonce") != self.nonce:
            return 400, {"error": "use_dpop_nonce"}
        return self.said(path)


@pytest.fixture
def pds() -> Iterator[Pds]:
    here = Pds()

    class Http(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            self._say(*here.said(urlsplit(self.path).path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say(*here.took(self.path, dict(parse_qsl(body)), self.headers["DPoP"]))

        def _say(self, status: int, told: Facts) -> None:
            body = b"<html>" if self.path in here.garbled else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("DPoP-Nonce", here.nonce)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Http)
    here.base = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


def port(pds: Pds, client: Client | None = None) -> AtprotoOAuth:
    return AtprotoOAuth(
        pds=pds.base,
        issuer=pds.base,
        client=client or made("http://127.0.0.1:8000"),
        now=lambda: datetime.now(UTC),
        timeout=5,
    )


def made(base: str) -> Client:
    return atproto_oauth.client(base, name="Market", back="/sign-in/platform/back", key=lambda: KEY)


def finish(pds: Pds, issuer: str | None = None) -> str:
    said = pds.base if issuer is None else issuer
    return port(pds).finish(code="c", nonce=NONCE, verifier=VERIFIER, issuer=said)


def test_the_truth_names_the_account_and_its_token_is_ended_unused(pds: Pds) -> None:
    assert finish(pds) == DID
    paths = [path for path, _, _ in pds.posted]
    assert paths == ["/token", "/token", "/revoke"]  # the first without the server's nonce
    assert pds.posted[-1][1]["token"] == "secret-access"
    assert pds.posted[1][1] | {"client_id": ""} == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": "",
    }


def test_the_request_is_pushed_and_the_browser_carries_only_its_name(pds: Pds) -> None:
    where = port(pds).begin(state="s", nonce=NONCE, verifier=VERIFIER, hint=DID)
    asked = pds.posted[-1][1]
    assert where.startswith(f"{pds.base}/authorize?")
    assert parse_qs(urlsplit(where).query) == {
        "client_id": [asked["client_id"]],
        "request_uri": ["urn:ietf:params:oauth:request_uri:req-1"],
    }
    assert (asked["scope"], asked["state"], asked["code_challenge_method"]) == (
        "atproto",
        "s",
        "S256",
    )
    assert asked["login_hint"] == "moon.host.example"
    assert VERIFIER not in asked.values()


def test_each_sign_in_has_a_key_of_its_own_and_keeps_it_to_the_end(pds: Pds) -> None:
    asking = port(pds)
    asking.begin(state="s", nonce=NONCE, verifier=VERIFIER)
    asking.finish(code="c", nonce=NONCE, verifier=VERIFIER, issuer=pds.base)
    assert len({key["x"] for _, _, key in pds.posted}) == 1
    asking.begin(state="s", nonce="m" * 64, verifier=VERIFIER)
    assert len({key["x"] for _, _, key in pds.posted}) == 2


def test_a_nonce_that_lapsed_is_taken_anew_once_and_not_for_ever(pds: Pds) -> None:
    asking = port(pds)
    asking.begin(state="s", nonce=NONCE, verifier=VERIFIER)
    pds.nonce = "nonce-2"
    asking.begin(state="s", nonce=NONCE, verifier=VERIFIER)
    assert len(pds.posted) == 4
    pds.lies["/par"], pds.status["/par"] = {"error": "use_dpop_nonce"}, 400
    with pytest.raises(PlatformUnavailable):
        asking.begin(state="s", nonce=NONCE, verifier=VERIFIER)
    assert len(pds.posted) == 6


def test_a_market_with_https_signs_for_itself_as_its_document_says(pds: Pds) -> None:
    client = made("https://market.example")
    asking = port(pds, client)
    document = asking.document()
    assert document is not None
    assert document["client_id"] == "https://market.example/oauth/client-metadata.json"
    assert document["redirect_uris"] == ["https://market.example/sign-in/platform/back"]
    assert "d" not in document["jwks"]["keys"][0]
    asking.begin(state="s", nonce=NONCE, verifier=VERIFIER)
    signed = pds.posted[-1][1]["client_assertion"]
    key = jwt.PyJWKSet.from_dict(dict(document["jwks"])).keys[0]
    assert jwt.get_unverified_header(signed)["kid"] == key.key_id
    claims = jwt.decode(signed, key, algorithms=["ES256"], audience=pds.base)
    assert (claims["iss"], claims["sub"]) == (client.id, client.id)
    assert claims["exp"] - claims["iat"] == 60


def test_on_this_machine_it_is_the_development_client_which_publishes_nothing(pds: Pds) -> None:
    client = made("http://127.0.0.1:8000")
    assert parse_qs(urlsplit(client.id).query) == {"redirect_uri": [BACK]}
    assert client.id.startswith("http://localhost?")
    assert port(pds, client).document() is None


@pytest.mark.parametrize("base", ["http://market.example", "http://localhost:8000", "ftp://x"])
def test_a_market_that_no_pds_would_take_is_refused_at_start(base: str) -> None:
    with pytest.raises(Malformed):
        made(base)


def _home(endpoint: str) -> Facts:
    row = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint}
    return {"didDoc": {"id": DID, "service": [row]}}


DESCRIBE = "/xrpc/com.atproto.repo.describeRepo"
RESOURCE = "/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("path", "lie"),
    [
        pytest.param("/token", {"sub": OTHER}, id="an account that it does not have"),
        pytest.param("/token", {"token_type": "Bearer"}, id="a token bound to nothing"),
        pytest.param("/token", {"scope": "transition:generic"}, id="another scope"),
        pytest.param(DESCRIBE, {"did": OTHER}, id="the description of another account"),
        pytest.param(DESCRIBE, _home("https://pds.other"), id="an account of another server"),
        pytest.param(DESCRIBE, {"didDoc": {"id": DID}}, id="a document without a home"),
        pytest.param(DESCRIBE, {"didDoc": None}, id="no document"),
        pytest.param(RESOURCE, {"authorization_servers": []}, id="a PDS without a server"),
        pytest.param(
            RESOURCE, {"authorization_servers": ["https://auth.other"]}, id="another's server"
        ),
        pytest.param(RESOURCE, {"resource": "https://pds.other"}, id="a PDS with another name"),
    ],
)
def test_a_lie_names_nobody(pds: Pds, path: str, lie: Facts) -> None:
    pds.lies[path] = lie
    with pytest.raises(NotAllowed):
        finish(pds)


@pytest.mark.parametrize("said", ["", "https://auth.other", "http://127.0.0.1"])
def test_an_answer_of_another_issuer_or_of_none_is_refused_before_the_code_is_told(
    pds: Pds, said: str
) -> None:
    with pytest.raises(NotAllowed):
        finish(pds, issuer=said)
    assert not pds.posted


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_code_that_is_not_taken_names_nobody(pds: Pds, status: int) -> None:
    pds.status["/token"] = status
    with pytest.raises(NotAllowed):
        finish(pds)


@pytest.mark.parametrize("status", [302, 500, 503])
@pytest.mark.parametrize(
    "path", ["/token", DESCRIBE, "/.well-known/oauth-authorization-server", RESOURCE]
)
def test_a_server_in_trouble_or_one_that_leads_elsewhere_is_not_believed(
    pds: Pds, path: str, status: int
) -> None:
    pds.status[path] = status
    with pytest.raises((PlatformUnavailable, NotAllowed)):
        finish(pds)


def test_the_document_of_somebody_else_who_lives_here_proves_nothing(pds: Pds) -> None:
    pds.lies[DESCRIBE] = {"didDoc": pds.truth(DESCRIBE)["didDoc"] | {"id": OTHER}}
    with pytest.raises(NotAllowed, match="lives on another server"):
        finish(pds)


def test_a_pds_without_a_name_is_no_home_of_an_account_without_one(pds: Pds) -> None:
    pds.lies = {RESOURCE: {"resource": ""}, DESCRIBE: {"didDoc": {"id": DID}}}
    with pytest.raises(PlatformUnavailable):
        finish(pds)


def test_a_revocation_that_fails_costs_nothing(pds: Pds) -> None:
    pds.status["/revoke"] = 500
    assert finish(pds) == DID
    pds.garbled = {"/revoke"}
    assert finish(pds) == DID


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"issuer": "https://auth.other"}, id="another issuer"),
        pytest.param({"token_endpoint": "https://auth.other/token"}, id="another's token"),
        pytest.param({"token_endpoint": None}, id="no token endpoint"),
        pytest.param(
            {"pushed_authorization_request_endpoint": "http://169.254.169.254/par"},
            id="a way into the operator's network",
        ),
        pytest.param({"authorization_endpoint": "https://phish.other/"}, id="a page elsewhere"),
        pytest.param({"revocation_endpoint": "http://169.254.169.254/"}, id="another's revocation"),
    ],
)
def test_only_the_configured_server_is_asked(pds: Pds, lie: Facts) -> None:
    pds.lies["/.well-known/oauth-authorization-server"] = lie
    with pytest.raises(PlatformUnavailable, match="another"):
        port(pds).begin(state="s", nonce=NONCE, verifier=VERIFIER)
    with pytest.raises(PlatformUnavailable, match="another"):
        finish(pds)
    assert not pds.posted


def test_an_address_that_only_begins_like_the_issuer_is_another(pds: Pds) -> None:
    lie = {"token_endpoint": pds.base + ".other.example/token"}
    pds.lies["/.well-known/oauth-authorization-server"] = lie
    with pytest.raises(PlatformUnavailable, match="leads to another server"):
        finish(pds)


@pytest.mark.parametrize("sub", ["moon", None, 7, [DID], "did:plc:x?repo=y"])
def test_a_sub_that_is_no_did_is_not_even_asked_about(pds: Pds, sub: Any) -> None:
    pds.lies["/token"] = {"sub": sub}
    with pytest.raises(NotAllowed, match="names no account"):
        finish(pds)
    assert not [path for path in pds.asked if DESCRIBE in path]


def test_nobody_answers() -> None:
    away = Pds()
    away.base = "http://127.0.0.1:9"
    with pytest.raises(PlatformUnavailable):
        port(away).begin(state="s", nonce=NONCE, verifier=VERIFIER)
    with pytest.raises(PlatformUnavailable):
        finish(away)
