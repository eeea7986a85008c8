"""The platform as an OpenID provider: whom a browser is there, by the platform's permanent id.

Authorization code with PKCE (RFC 7636), state and nonce; the id token's signature, issuer,
audience, times and nonce are checked by PyJWT against the provider's published keys. Sources:
OpenID Connect Core 1.0 and Discovery 1.0, RFC 9207.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import jwt
import urllib3

from onym.core.errors import NotAllowed, PlatformUnavailable

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 60
_LONGEST_ANSWER = 1024 * 1024


class OpenId(Protocol):
    """Both raise PlatformUnavailable for an outside that gives no answer."""

    def begin(self, *, state: str, nonce: str, verifier: str) -> str: ...

    def finish(self, *, code: str, nonce: str, verifier: str, issuer: str) -> str: ...


class Provider:
    """A provider found by its issuer's discovery document; safe to share between threads.

    `claim` of the id token names the account, by default `sub`.
    """

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
        waits = urllib3.Timeout(connect=timeout, read=timeout)
        self._pool = urllib3.PoolManager(2, timeout=waits, retries=False)
        self._known: Mapping[str, Any] | None = None

    def begin(self, *, state: str, nonce: str, verifier: str) -> str:
        """The address to lead the browser to."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._back,
            "scope": "openid",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
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
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": "Basic " + base64.b64encode(pair).decode(),
        }
        status, told = self._ask("POST", facts["token_endpoint"], urlencode(form), headers)
        if status in (400, 401, 403):
            raise NotAllowed("the platform does not take this code")
        token = told.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise PlatformUnavailable(f"the platform's sign-in answers with status {status}")
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
        _, told = self._ask("GET", where, None, {})
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
            status, told = self._ask("GET", where, None, {})
            needed = {"issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"}
            if status != 200 or not needed <= told.keys():
                raise PlatformUnavailable("the platform does not tell how to sign in with it")
            if str(told["issuer"]).rstrip("/") != self._issuer:
                raise PlatformUnavailable("the platform's sign-in belongs to another issuer")
            self._known = told
        return self._known

    def _ask(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, Any]]:
        try:
            answer = self._pool.request(
                method,
                url,
                body=body,
                headers={"Accept": "application/json", **headers},
                redirect=False,
                preload_content=False,
            )
            raw = answer.read(_LONGEST_ANSWER)
            answer.release_conn()
            told = json.loads(raw)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as trouble:
            raise PlatformUnavailable(f"the platform's sign-in gives no answer: {trouble}") from (
                trouble
            )
        return answer.status, told if isinstance(told, dict) else {}
