"""A PDS as the place to sign in: which DID a browser is there, by AT Protocol OAuth.

Pushed request (RFC 9126), PKCE (RFC 7636), a key of its own for each sign-in (DPoP, RFC 9449),
scope `atproto` alone, and the answer followed back: token → DID → PDS → authorization server.
Source: https://atproto.com/specs/oauth; docs/guides/atproto.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onym.core.errors import Malformed, NotAllowed, PlatformUnavailable
from onym.ports.answers import Answer, Answers
from onym.ports.atproto_accounts import is_did
from onym.ports.openid import challenge

SCOPE: Final = "atproto"
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 60
_ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "pushed_authorization_request_endpoint",
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Client:
    """Who the market is to a PDS: `id` is where its document is read, `key` signs for it.

    Without a key it is the development client, whose document every server knows.
    """

    id: str
    name: str
    home: str
    redirect_uri: str
    key: ec.EllipticCurvePrivateKey | None


def client(
    base: str, *, name: str, back: str, key: Callable[[], ec.EllipticCurvePrivateKey]
) -> Client:
    """The market at `base`: a client with a key where it is reached by https, the development
    client on this machine's address. Refuses `malformed` anything else: no PDS would take it.
    """
    where, redirect = urlsplit(base), f"{base}{back}"
    if where.scheme == "https":
        return Client(f"{base}/oauth/client-metadata.json", name, f"{base}/", redirect, key())
    if where.scheme == "http" and where.hostname in _LOOPBACK:
        named = urlencode({"redirect_uri": redirect})
        return Client(f"http://localhost?{named}", name, f"{base}/", redirect, None)
    raise Malformed("a PDS signs in to markets at https://… or http://127.0.0.1:… only")


class AtprotoOAuth:
    """`OpenId` on a PDS; safe to share between threads, and keeps nothing of a sign-in.

    `pds` is where the PDS is asked, `issuer` how its authorization server calls itself: nobody
    else is ever asked. `now` is the clock that the PDS goes by.
    """

    kind = "atproto"

    def __init__(
        self,
        *,
        pds: str,
        issuer: str,
        client: Client,
        now: Callable[[], datetime],
        timeout: float = 10.0,
    ) -> None:
        self._pds, self._issuer = pds.rstrip("/"), issuer.rstrip("/")
        self._client, self._now = client, now
        self._answers = Answers(timeout)
        self._nonce = ""

    def document(self) -> Mapping[str, Any] | None:
        """The client metadata with its public key; None for the development client."""
        mine = self._client
        if mine.key is None:
            return None
        return {
            "client_id": mine.id,
            "client_name": mine.name,
            "client_uri": mine.home,
            "application_type": "web",
            "redirect_uris": [mine.redirect_uri],
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
            "scope": SCOPE,
            "dpop_bound_access_tokens": True,
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": "ES256",
            "jwks": {"keys": [_published(mine.key)]},
        }

    def begin(self, *, state: str, nonce: str, verifier: str, hint: str = "") -> str:
        """The address to lead the browser to; the request itself is pushed beforehand."""
        facts = self._facts()
        asked = {
            "response_type": "code",
            "redirect_uri": self._client.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        asked |= {"login_hint": str(self._described(hint)["handle"])} if hint else {}
        pushed = self._post(facts["pushed_authorization_request_endpoint"], asked, own_key(nonce))
        named = pushed.facts.get("request_uri")
        if pushed.status not in (200, 201) or not isinstance(named, str):
            raise PlatformUnavailable(f"the PDS takes no sign-in: {_said(pushed)}")
        query = urlencode({"client_id": self._client.id, "request_uri": named})
        return f"{facts['authorization_endpoint']}?{query}"

    def finish(self, *, code: str, nonce: str, verifier: str, issuer: str) -> str:
        """The DID behind a code, followed back to this PDS; the tokens are ended unused.

        Refuses `not_allowed` a code, an issuer or an account that does not hold.
        """
        if issuer.rstrip("/") != self._issuer:
            raise NotAllowed("the answer comes from another server")
        facts, key = self._facts(), own_key(nonce)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "code_verifier": verifier,
        }
        told = self._post(facts["token_endpoint"], form, key)
        if told.status in (400, 401, 403):
            raise NotAllowed("the PDS does not take this code")
        if told.status != 200:
            raise PlatformUnavailable(f"the PDS ends no sign-in: {_said(told)}")
        self._forget(told.facts, facts, key)
        return self._verified(told.facts)

    def _forget(
        self, told: Mapping[str, Any], facts: Mapping[str, str], key: ec.EllipticCurvePrivateKey
    ) -> None:
        """End what was granted; a PDS that does not answer lets it lapse by itself."""
        where, token = facts.get("revocation_endpoint"), told.get("access_token")
        if where and isinstance(token, str):
            with suppress(PlatformUnavailable):
                self._post(where, {"token": token}, key)

    # Whom the answer names

    def _verified(self, told: Mapping[str, Any]) -> str:
        did, scopes = told.get("sub"), str(told.get("scope", "")).split()
        if str(told.get("token_type")).lower() != "dpop" or SCOPE not in scopes:
            raise NotAllowed("the PDS granted something else than was asked for")
        if not isinstance(did, str) or not is_did(did):
            raise NotAllowed("the PDS names no account")
        if self._home(did) != self._resource():
            raise NotAllowed("the account lives on another server")
        return did

    def _resource(self) -> str:
        """What the PDS calls itself, if the authorization server is the one that speaks for it."""
        told = self._answers.get(f"{self._pds}/.well-known/oauth-protected-resource")
        name = told.facts.get("resource")
        if told.status != 200 or not isinstance(name, str) or not name:
            raise PlatformUnavailable(f"the PDS does not say what it is called: {_said(told)}")
        if told.facts.get("authorization_servers") != [self._issuer]:
            raise NotAllowed("another server signs in for this PDS")
        return name.rstrip("/")

    def _home(self, did: str) -> str:
        """Where the DID's own document says that the account lives; empty: nowhere."""
        document = self._described(did)["didDoc"]
        rows = document.get("service") if document.get("id") == did else None
        named = [one for one in rows or () if isinstance(one, dict) and _is_home(one, did)]
        return str(named[0].get("serviceEndpoint", "")).rstrip("/") if named else ""

    def _described(self, did: str) -> Mapping[str, Any]:
        """`handle` and `didDoc` of an account that the PDS has, and that is active."""
        query = urlencode({"repo": did})
        told = self._answers.get(f"{self._pds}/xrpc/com.atproto.repo.describeRepo?{query}")
        facts = told.facts
        if told.status >= 500:
            raise PlatformUnavailable(f"the PDS does not describe the account: {_said(told)}")
        whole = facts.get("did") == did and isinstance(facts.get("didDoc"), dict)
        if told.status != 200 or not whole or "handle" not in facts:
            raise NotAllowed("the PDS has no such account")
        return facts

    # How it is asked

    def _facts(self) -> Mapping[str, str]:
        """The authorization server's description of itself; all that it names is its own."""
        answer = self._answers.get(f"{self._issuer}/.well-known/oauth-authorization-server")
        told = answer.facts
        if answer.status != 200 or told.get("issuer") != self._issuer:
            raise PlatformUnavailable("the PDS's sign-in belongs to another issuer")
        ends = (*_ENDPOINTS, *({"revocation_endpoint"} & told.keys()))
        named = {end: str(told.get(end, "")) for end in ends}
        if not all(one.startswith(f"{self._issuer}/") for one in named.values()):
            raise PlatformUnavailable("the PDS leads to another server to sign in")
        return named

    def _post(self, where: str, form: Mapping[str, str], key: ec.EllipticCurvePrivateKey) -> Answer:
        """As the client, with proof of the sign-in's key; once more where the server names a
        new nonce for that.
        """
        answer = self._posted(where, form, key)
        if answer.status in (400, 401) and answer.facts.get("error") == "use_dpop_nonce":
            answer = self._posted(where, form, key)
        return answer

    def _posted(
        self, where: str, form: Mapping[str, str], key: ec.EllipticCurvePrivateKey
    ) -> Answer:
        at = int(self._now().timestamp())
        sent = {**form, "client_id": self._client.id, **self._assertion(at)}
        proof = _proof(key, where, nonce=self._nonce, at=at)
        answer = self._answers.post(where, sent, {"DPoP": proof})
        self._nonce = answer.nonce or self._nonce
        return answer

    def _assertion(self, at: int) -> dict[str, str]:
        """The client's own signature, where it has a key (RFC 7523)."""
        mine = self._client
        if mine.key is None:
            return {}
        claims = {"iss": mine.id, "sub": mine.id, "aud": self._issuer, "iat": at}
        claims |= {"exp": at + _ASSERTION_SECONDS, "jti": secrets.token_urlsafe(16)}
        signed = jwt.encode(
            claims, mine.key, algorithm="ES256", headers={"kid": _published(mine.key)["kid"]}
        )
        return {"client_assertion_type": _ASSERTION, "client_assertion": signed}


def own_key(secret: str) -> ec.EllipticCurvePrivateKey:
    """The key of one sign-in, from the secret that waits in its session and is told to nobody."""
    return derived(secret.encode(), info=b"onym atproto sign-in")


def derived(secret: bytes, *, info: bytes) -> ec.EllipticCurvePrivateKey:
    """A P-256 key from a secret; 48 bytes of HKDF make every key as likely (NIST SP 800-56A)."""
    raw = HKDF(algorithm=SHA256(), length=48, salt=None, info=info).derive(secret)
    return ec.derive_private_key(int.from_bytes(raw) % (_ORDER - 1) + 1, ec.SECP256R1())


_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _proof(key: ec.EllipticCurvePrivateKey, where: str, *, nonce: str, at: int) -> str:
    claims = {"jti": secrets.token_urlsafe(16), "htm": "POST", "htu": where, "iat": at}
    claims |= {"nonce": nonce} if nonce else {}
    kept = {"typ": "dpop+jwt", "jwk": _jwk(key)}
    return jwt.encode(claims, key, algorithm="ES256", headers=kept)


def _jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """The public half."""
    return jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def _published(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """The public half as the market's document has it: a fresh key gets a fresh name."""
    told = _jwk(key)
    return {**told, "kid": f"onym-{told['x'][:12]}", "use": "sig", "alg": "ES256"}


def _is_home(service: Mapping[str, Any], did: str) -> bool:
    return service.get("id") in ("#atproto_pds", f"{did}#atproto_pds") and (
        service.get("type") == "AtprotoPersonalDataServer"
    )


def _said(answer: Answer) -> str:
    return f"{answer.status} {str(answer.facts.get('error', ''))[:100]}".rstrip()
