"""Outside providers of sign-in, by configuration: OpenID Connect, or GitHub, which is like it.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth · RFC 7636 · RFC 9207
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from fhir_server.config import Settings
from smart_auth.codes import challenge_of

Json = dict[str, Any]

SECONDS = 10
_SKEW = 60
_KEPT = 600  # seconds for which discovery and keys are kept
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_GITHUB = {
    "issuer": "https://github.com",
    "authorization_endpoint": "https://github.com/login/oauth/authorize",
    "token_endpoint": "https://github.com/login/oauth/access_token",
    "userinfo_endpoint": "https://api.github.com/user",
}


class ProviderFailed(Exception):
    """The provider did not say, in a way that can be believed, who has signed in there."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One entry of FHIR_OPENID_PROVIDERS; `kind` is openid or github."""

    name: str  # in URLs
    client_id: str
    issuer: str = ""
    client_secret: str = ""
    title: str = ""
    kind: str = "openid"
    scopes: str = "openid profile"
    second_factor: bool = False  # it asks for one itself: ours is not asked for, too
    authorization_endpoint: str = ""  # only of github, for one's own
    token_endpoint: str = ""
    userinfo_endpoint: str = ""

    @property
    def label(self) -> str:
        return self.title or self.name


def providers_of(settings: Settings) -> tuple[Provider, ...]:
    """The configured providers. Raises RuntimeError for what is none."""
    return _parsed(settings.openid_providers)


@lru_cache(8)
def _parsed(text: str) -> tuple[Provider, ...]:
    if not text.strip():
        return ()
    try:
        found = msgspec.json.decode(text.encode(), type=tuple[Provider, ...])
    except msgspec.MsgspecError as error:
        raise RuntimeError(f"FHIR_OPENID_PROVIDERS is not a JSON list of providers: {error}") from None
    for one in found:
        if not one.name.isidentifier() or one.kind not in ("openid", "github"):
            raise RuntimeError("A provider has a name of letters, and the kind openid or github.")
        for url in (one.issuer, one.authorization_endpoint, one.token_endpoint, one.userinfo_endpoint):
            _check(url)
        if one.kind == "openid" and not one.issuer:
            raise RuntimeError("An OpenID Connect provider needs its issuer.")
    return found


def _check(url: str) -> None:
    parts = urlsplit(url)
    if url and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise RuntimeError("A provider of sign-in is reached by https.")


@lru_cache(64)
def client_of(provider: Provider) -> ProviderClient:
    """What talks to the provider, and remembers its keys."""
    return ProviderClient(provider)


class ProviderClient:
    """Sends people to one provider, and learns from it who came back."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.issuer = provider.issuer or _GITHUB["issuer"]
        self._known: Json = {}
        self._keys: KeySet | None = None
        self._until = 0.0

    async def address(self, redirect_uri: str, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser. Raises ProviderFailed."""
        known = await self._discovered()
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        if self.provider.kind == "openid":
            asked |= {"scope": self.provider.scopes, "nonce": nonce}
        start = str(known["authorization_endpoint"])
        return f"{start}{'&' if '?' in start else '?'}{urlencode(asked)}"

    async def start(self) -> str:
        """The address where people sign in there; the issuer when it does not answer."""
        try:
            return str((await self._discovered())["authorization_endpoint"])
        except (ProviderFailed, KeyError):
            return self.issuer

    async def subject(self, code: str, redirect_uri: str, *, nonce: str, verifier: str) -> str:
        """The provider's own, lasting name for who has signed in. Raises ProviderFailed."""
        answer = await self._exchange(code, redirect_uri, verifier)
        if self.provider.kind == "github":
            return await self._github_user(answer)
        return await self._verified(str(answer.get("id_token", "")), nonce)

    async def _exchange(self, code: str, redirect_uri: str, verifier: str) -> Json:
        provider, known = self.provider, await self._discovered()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        form |= {"code_verifier": verifier}
        methods = known.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = None
        if provider.client_secret and provider.kind == "openid" and "client_secret_basic" in methods:
            basic = (quote(provider.client_id, safe=""), quote(provider.client_secret, safe=""))
        else:
            form["client_id"] = provider.client_id
            form |= {"client_secret": provider.client_secret} if provider.client_secret else {}
        return await self._json("POST", str(known["token_endpoint"]), data=form, auth=basic)

    async def _verified(self, token: str, nonce: str) -> str:
        """The `sub` of an id_token that is for us, of this sign-in, and still good."""
        try:
            claims = jwt.decode(token, await self._key_set(), algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError):
            self._until = 0.0  # its keys may have changed
            try:
                claims = jwt.decode(token, await self._key_set(), algorithms=_ALGORITHMS).claims
            except (JoseError, ValueError):
                raise ProviderFailed("The provider's answer is not signed by it.") from None
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        now, me, subject = time.time(), self.provider.client_id, claims.get("sub")
        fits = (
            claims.get("iss") == self.issuer
            and me in audiences
            and (claims.get("azp", me) == me and (len(audiences) == 1 or "azp" in claims))
            and claims.get("nonce") == nonce
            and _number(claims.get("exp")) > now - _SKEW
            and _number(claims.get("iat")) < now + _SKEW
        )
        if not fits or not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise ProviderFailed("The provider's answer is for somebody else, or too old.")
        return subject

    async def _github_user(self, answer: Mapping[str, Any]) -> str:
        known = await self._discovered()
        headers = {"Authorization": f"Bearer {answer.get('access_token', '')}"}
        found = await self._json("GET", str(known["userinfo_endpoint"]), headers=headers)
        if not isinstance(found.get("id"), int):
            raise ProviderFailed("The provider did not say who has signed in.")
        return str(found["id"])

    async def _discovered(self) -> Json:
        if self._known and time.monotonic() < self._until:
            return self._known
        if self.provider.kind == "github":
            names = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
            return {name: getattr(self.provider, name) or _GITHUB[name] for name in names}
        found = await self._json("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise ProviderFailed("The provider calls itself by another name than configured.")
        self._known, self._keys, self._until = found, None, time.monotonic() + _KEPT
        return found

    async def _key_set(self) -> KeySet:
        known = await self._discovered()
        if self._keys is None:
            self._keys = KeySet.import_key_set(await self._json("GET", str(known["jwks_uri"])))  # type: ignore[arg-type]
        return self._keys

    async def _json(self, method: str, url: str, **options: Any) -> Json:
        import httpx  # not at the top: few servers have a provider, and every start would wait for it

        headers = {"Accept": "application/json", **options.pop("headers", {})}
        try:
            async with httpx.AsyncClient(timeout=SECONDS) as client:
                response = await client.request(method, url, headers=headers, **options)
            found = response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError):
            raise ProviderFailed("The provider does not answer.") from None
        if not isinstance(found, dict):
            raise ProviderFailed("The provider refused.")
        return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
