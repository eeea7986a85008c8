"""Plaza as an OpenID provider: discovery, keys, authorization code with PKCE, id tokens.

Nobody on Plaza has a password: who comes says which account they are, on this machine only. The
`sub` of a token is the permanent account id. Sources: OpenID Connect Core 1.0 and Discovery 1.0,
RFC 7636, RFC 9207.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from onym_demo import story
from onym_demo.platform import account, handle, pages, signed
from onym_demo.platform.contract import answer, plaza
from onym_demo.platform.problem import Problem

CODE_SECONDS: Final = 60
TOKEN_SECONDS: Final = 300
KEY_ID: Final = "plaza-1"
_ASKED: Final = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for, once."""

    account_id: str
    nonce: str
    challenge: str
    until: float


@dataclass(slots=True)
class Provider:
    """The one site that knows Plaza's secret, where it is led back to, and the signing key."""

    client_id: str
    client_secret: str
    redirect_uri: str
    key: RSAPrivateKey
    grants: dict[str, Grant] = field(default_factory=dict)


def signing_key(file: Path) -> RSAPrivateKey:
    """Made at the first start and kept."""
    if not file.exists():
        made = generate_private_key(public_exponent=65537, key_size=2048)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        fresh.replace(file)
    key = load_pem_private_key(file.read_bytes(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{file} holds no RSA key")
    return key


def _provider(request: Request) -> Provider:
    found = plaza(request).openid
    if found is None:
        raise Problem(404, "not_found")
    return found


def _issuer(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


async def discovery(request: Request) -> Response:
    _provider(request)
    base = _issuer(request)
    facts = {
        "issuer": base,
        "authorization_endpoint": f"{base}/oidc/authorize",
        "token_endpoint": f"{base}/oidc/token",
        "jwks_uri": f"{base}/oidc/keys",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "authorization_response_iss_parameter_supported": True,
    }
    return answer((200, json.dumps(facts)))


async def keys(request: Request) -> Response:
    public = _provider(request).key.public_key()
    told = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    return answer((200, json.dumps({"keys": [{**told, "kid": KEY_ID, "use": "sig"}]})))


def _asked(request: Request, said: Mapping[str, str]) -> dict[str, str]:
    """Refused: 400 malformed, where not even the way back may be trusted."""
    provider = _provider(request)
    known = {"client_id": provider.client_id, "redirect_uri": provider.redirect_uri}
    fixed = known | {"response_type": "code", "code_challenge_method": "S256"}
    if any(said.get(name) != value for name, value in fixed.items()):
        raise Problem(400, "malformed", "not a sign-in of a site that Plaza knows")
    if "openid" not in said.get("scope", "").split() or not said.get("code_challenge"):
        raise Problem(400, "malformed", "scope openid and PKCE are needed")
    return {name: said.get(name, "") for name in _ASKED}


async def authorize(request: Request) -> Response:
    """The page that asks who one is, and that the site may know."""
    _asked(request, request.query_params)
    here = plaza(request)
    people = [account.find(here.db, one["account_id"]) for one in story.PEOPLE.values()]
    parts = urlsplit(_provider(request).redirect_uri)
    page = pages.page(
        "sign_in.html",
        asked=list(request.query_params.items()),
        people=[one for one in people if one is not None],
        site=parts.netloc,
    )
    policy = page.headers["Content-Security-Policy"]
    back = f"form-action 'self' {parts.scheme}://{parts.netloc}"
    page.headers["Content-Security-Policy"] = policy.replace("form-action 'self'", back)
    return page


async def allow(request: Request) -> Response:
    """The person said who they are: back to the site with a code, or with a no."""
    said = dict(parse_qsl((await signed.read_body(request)).decode()))
    asked, provider = _asked(request, said), _provider(request)
    back = {"state": asked["state"], "iss": _issuer(request)}
    if said.get("do") == "no":
        back["error"] = "access_denied"
    else:
        code = secrets.token_urlsafe(32)
        until = time.time() + CODE_SECONDS
        who = _account(request, said)
        provider.grants[code] = Grant(who, asked["nonce"], asked["code_challenge"], until)
        back["code"] = code
    return RedirectResponse(f"{provider.redirect_uri}?{urlencode(back)}", 303)


def _account(request: Request, said: Mapping[str, str]) -> str:
    here = plaza(request)
    if said.get("account_id"):
        return str(account.need(here.db, said["account_id"])["id"])
    held = handle.find(here.db, said.get("handle", "").strip().removeprefix("@"))
    if held.account_id in (None, handle.CUSTODIAN):
        raise Problem(422, "account_unknown")
    return str(held.account_id)


async def token(request: Request) -> Response:
    """A code for an id token: once, by the site's secret, with the verifier it was asked with."""
    provider = _provider(request)
    said = dict(parse_qsl((await signed.read_body(request)).decode()))
    if not _is_client(provider, request.headers.get("authorization", "")):
        return answer((401, '{"error": "invalid_client"}'))
    grant = provider.grants.pop(said.get("code", ""), None)
    challenge = base64.urlsafe_b64encode(
        hashlib.sha256(said.get("code_verifier", "").encode()).digest()
    )
    right = grant is not None and (
        grant.until > time.time()
        and said.get("grant_type") == "authorization_code"
        and said.get("redirect_uri") == provider.redirect_uri
        and hmac.compare_digest(challenge.rstrip(b"=").decode(), grant.challenge)
    )
    if grant is None or not right:
        return answer((400, '{"error": "invalid_grant"}'))
    told = {
        "access_token": secrets.token_urlsafe(16),
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "id_token": _id_token(provider, grant, issuer=_issuer(request)),
    }
    return answer((200, json.dumps(told)))


def _is_client(provider: Provider, header: str) -> bool:
    try:
        pair = base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return False
    name, _, secret = pair.partition(":")
    return unquote(name) == provider.client_id and hmac.compare_digest(
        unquote(secret).encode(), provider.client_secret.encode()
    )


def _id_token(provider: Provider, grant: Grant, *, issuer: str) -> str:
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": grant.account_id,
        "aud": provider.client_id,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "nonce": grant.nonce,
    }
    return jwt.encode(claims, provider.key, algorithm="RS256", headers={"kid": KEY_ID})


ROUTES: Final = (
    Route("/.well-known/openid-configuration", discovery),
    Route("/oidc/keys", keys),
    Route("/oidc/authorize", authorize, methods=["GET"]),
    Route("/oidc/authorize", allow, methods=["POST"]),
    Route("/oidc/token", token, methods=["POST"]),
)
