"""The platform as an OpenID provider: whom a browser is there, by the platform's permanent id.

Authorization code with PKCE (RFC 7636), state and nonce; the id token's signature, issuer,
audience, times and nonce are checked by PyJWT against the provider's published keys. Sources:
OpenID Connect Core 1.0 and Discovery 1.0, RFC 9207.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import jwt

from onym.core.errors import NotAllowed, PlatformUnavailable
from onym.ports.answers import Answers

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 60


class OpenId(Protocol):
    """Signing in at the platform. Asking raises PlatformUnavailable where nobody answers.

    `kind` is `openid` or `atproto`. `state`, `nonce` and `verifier` are fresh secrets of one
    sign-in, `hint` the account that is expected, if one is.
    """

    kind: str

    def begin(self, *, state: str, nonce: str, verifier: str, hint: str = "") -> str: ...

    def finish(self, *, code: str, nonce: str, verifier: str, issuer: str) -> str: ...

    def document(self) -> Mapping[str, Any] | None:
        """What the market publishes of itself for the platform to read; None: nothing."""


class Provider:
    """A provider found by its issuer's discovery document; safe to share between threads.

    `claim` of the id token names the account, by default `sub`.
    """

    kind = "openid"

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        claim: str = "sub",
        timeout: float = 10.0,
    ) -> None:
        self._issuer, self._claim = issuer.rstrip("/"), claim
        self._client, self._secret, self._back = client_id, client_secret, redirect_uri
        self._answers = Answers(timeout)
        self._known: Mapping[str, Any] | None = None

    def document(self) -> None:
        """The operator has registered the market there."""

    def begin(self, *, state: str, nonce: str, verifier: str, hint: str = "") -> str:
        """The address to lead the browser to."""
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        asked |= {"login_hint": hint} if hint else {}
        where = str(self._facts()["authorization_endpoint"])
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"

    def finish(self, *, code: str, nonce: str, verifier: str, issuer: str) -> str:
        """The account id behind a code; `issuer` is what came back beside it, if anything.

        Refuses `not_allowed` a code or token that does not hold.
        """
        if issuer and issuer.rstrip("/") != self._issuer:
            raise NotAllowed("the answer comes from another provider")
        facts = self._facts()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": verifier,
        }
        pair = f"{quote(self._client, safe='')}:{quote(self._secret, safe='')}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        told = self._answers.post(str(facts["token_endpoint"]), form, headers)
        if told.status in (400, 401, 403):
            raise NotAllowed("the platform does not take this code")
        token = told.facts.get("id_token")
        if told.status != 200 or not isinstance(token, str):
            raise PlatformUnavailable(f"the platform's sign-in answers with status {told.status}")
        return self._account(self._claims(token, facts), nonce=nonce)

    def _claims(self, token: str, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            found: dict[str, Any] = jwt.decode(
                token,
                self._key(str(facts["jwks_uri"]), kid),
                algorithms=list(ALGORITHMS),
                audience=self._client,
                issuer=str(facts["issuer"]),
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise NotAllowed(f"the platform's token does not hold: {error}") from error
        parties = found["aud"] if isinstance(found["aud"], list) else [found["aud"]]
        if found.get("azp", self._client) != self._client or set(parties) != {self._client}:
            raise NotAllowed("the platform's token is for somebody else")
        return found

    def _account(self, claims: Mapping[str, Any], *, nonce: str) -> str:
        account = claims.get(self._claim)
        if claims.get("nonce") != nonce or not isinstance(account, str) or not account:
            raise NotAllowed("the platform's token is not the answer to this sign-in")
        return account

    def _key(self, where: str, kid: str | None) -> jwt.PyJWK:
        """The published key of this id, asked for anew each time: keys are rotated."""
        told = self._answers.get(where).facts
        try:
            keys = jwt.PyJWKSet.from_dict(dict(told)).keys
        except (jwt.PyJWTError, KeyError, TypeError) as error:
            raise PlatformUnavailable("the platform's keys cannot be read") from error
        for key in keys:
            if kid is None or key.key_id == kid:
                return key
        raise NotAllowed("the platform's token is signed by no key of its own")

    def _facts(self) -> Mapping[str, Any]:
        """The discovery document; its issuer must be the one that it was asked for."""
        if self._known is None:
            where = f"{self._issuer}/.well-known/openid-configuration"
            answer = self._answers.get(where)
            told = answer.facts
            needed = {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"}
            if answer.status != 200 or not needed <= told.keys():
                raise PlatformUnavailable("the platform does not tell how to sign in with it")
            if str(told["issuer"]).rstrip("/") != self._issuer:
                raise PlatformUnavailable("the platform's sign-in belongs to another issuer")
            self._known = told
        return self._known


def challenge(verifier: str) -> str:
    """PKCE's S256 of a verifier."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
