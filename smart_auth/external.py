"""Access tokens of an authorization server elsewhere, by configuration: signed JWTs, or opaque ones it is asked about.

https://www.rfc-editor.org/rfc/rfc9068 · https://www.rfc-editor.org/rfc/rfc7662 ·
https://hl7.org/fhir/smart-app-launch/token-introspection.html
"""

from __future__ import annotations

import binascii
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.outcomes import FhirError, Unavailable
from smart_auth.fetch import Fetcher, FetchRefused
from smart_auth.grant import Grant
from smart_auth.jwks import KeySets
from smart_auth.store import digest
from smart_auth.tokens import Live

log = structlog.get_logger(__name__)

Json = dict[str, Any]

KEPT = 30  # seconds for which an answer of the introspection endpoint counts, at most
SKEW = 30  # seconds that the other server's clock may be wrong
MAX_BYTES = 64 * 1024  # of an introspection's answer
MAX_MOMENT = 10**11  # seconds since 1970
PATIENCE = 5.0  # seconds for the introspection endpoint
_KEYS = {"RS256": ("RSA", None), "RS384": ("RSA", None), "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384")}
_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_USER = re.compile(r"(?:Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9.-]{1,64}")
_OF_A_PERSON = ("patient/", "user/", "launch", "openid", "fhirUser", "profile")
_registry = jws.JWSRegistry(algorithms=list(_KEYS), strict_check_header=False)
_registry.max_header_length = 4096


@dataclass(frozen=True, slots=True)
class Outside:
    """A token that an outside server vouches for, and under which subject it knows its user ("" for a service)."""

    live: Live
    issuer: str
    subject: str


class External:
    """The outside authorization server of the settings FHIR_EXTERNAL_…; ValueError when they do not suffice.

    What is not understood never widens: an unreadable claim is one that is not there, and where it would narrow
    (`fhirUser`, `aud`) the token is refused.
    """

    def __init__(
        self,
        settings: Settings,
        base_url: str,
        *,
        key_sets: KeySets | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = settings.external_issuer
        self._base_url = base_url.rstrip("/")
        self._audience = (settings.external_audience or base_url).rstrip("/")
        self._jwks_uri = settings.external_jwks_uri
        self._introspection_url = settings.external_introspection_url
        self._credentials = (settings.external_client_id, settings.external_client_secret)
        # Its addresses are the operator's own choice: they may be in the hospital's network.
        fetcher = Fetcher(allow_local=True)
        for url in filter(None, (self._jwks_uri, self._introspection_url)):
            try:
                fetcher.check(url)
            except FetchRefused as refused:
                raise ValueError(f"An address of the outside authorization server cannot be used: {refused}") from None
        if not self._issuer or not (self._jwks_uri or self._introspection_url):
            raise ValueError(
                "FHIR_EXTERNAL_ISSUER needs FHIR_EXTERNAL_JWKS_URI or FHIR_EXTERNAL_INTROSPECTION_URL beside it."
            )
        self._key_sets = key_sets or KeySets(fetcher)
        self._now = now

    @classmethod
    def configured(cls, settings: Settings, base_url: str) -> External | None:
        """The one of the settings; None without FHIR_EXTERNAL_ISSUER."""
        return cls(settings, base_url) if settings.external_issuer else None

    async def find(self, token: str) -> Outside | None:
        """What the outside server says of the token; None when it is not good. Raises Unavailable (503)."""
        required: tuple[str, ...] = ()
        if token.count(".") == 2 and self._jwks_uri:
            claims = await self._signed(token)
            required = ("iss", "aud", "exp")
        elif self._introspection_url:
            claims = await self._introspected(token)
        else:
            return None
        if claims is None or any(name not in claims for name in required) or not self._is_for_us(claims):
            return None
        return self._outside(token, claims)

    # ---- the two ways to be sure ---------------------------------------------------------------------

    async def _signed(self, token: str) -> Json | None:
        """The claims of a JWT that a key of the outside server signed."""
        head, payload, _ = token.split(".")
        header = _object(head)
        if header is None or not _FORBIDDEN_HEADERS.isdisjoint(header):
            return None
        kind, kid, algorithm = header.get("typ"), header.get("kid"), header.get("alg")
        if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
            return None
        if algorithm not in _KEYS or not isinstance(kid, str) or not 0 < len(kid) <= 512:
            return None
        try:
            keys = await self._key_sets.find(self._jwks_uri, kid)
        except FetchRefused as refused:
            log.error("the outside authorization server's keys are not to be had", reason=str(refused))
            raise _away() from None
        return _object(payload) if any(_is_signed_by(token, algorithm, key) for key in keys) else None

    async def _introspected(self, token: str) -> Json | None:
        """What the introspection endpoint says of an active token."""
        import httpx  # not at the top: few servers ask anybody, and every start would wait for it

        try:
            async with (
                httpx.AsyncClient(trust_env=False, timeout=PATIENCE, auth=self._credentials) as client,
                client.stream(
                    "POST",
                    self._introspection_url,
                    data={"token": token, "token_type_hint": "access_token"},
                    headers={"Accept": "application/json"},
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ValueError("too long")
            found = json.decode(bytes(body)) if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError) as error:
            log.error("the outside authorization server was asked in vain", exception=type(error).__name__)
            raise _away() from None
        if not isinstance(found, dict):
            log.error("the outside authorization server was asked in vain", status=response.status_code)
            raise _away()
        return found if found.get("active") is True else None

    # ---- what the claims mean ------------------------------------------------------------------------

    def _is_for_us(self, claims: Json) -> bool:
        """Issuer, audience and times, each where it is claimed."""
        if claims.get("iss", self._issuer) != self._issuer:
            return False
        named = claims.get("aud", self._audience)
        audiences = named if isinstance(named, list) else [named]
        if not any(isinstance(one, str) and one.rstrip("/") == self._audience for one in audiences):
            return False
        now = self._now()
        expires = _moment(claims.get("exp", now + KEPT))
        if expires is None or expires <= now:
            return False
        starts = [_moment(claims.get(name, now)) for name in ("nbf", "iat")]
        return all(start is not None and start <= now + SKEW for start in starts)

    def _outside(self, token: str, claims: Json) -> Outside | None:
        fhir_user = self._fhir_user(claims)
        if fhir_user is None:
            return None
        client = next((one for name in ("client_id", "azp") if (one := _text(claims.get(name)))), "")
        subject, patient = _text(claims.get("sub")), _text(claims.get("patient")).removeprefix("Patient/")
        scopes = _scopes(claims)
        personal = bool(fhir_user or patient) or any(scope.startswith(_OF_A_PERSON) for scope in scopes)
        if personal:
            scopes = [scope for scope in scopes if not scope.startswith("system/")]
        if not (client or subject) or (personal and not subject):
            return None
        context = {"patient": patient} if _ID.fullmatch(patient) else {}
        now = self._now()
        expires = _moment(claims.get("exp")) or now + KEPT
        if self._jwks_uri == "" or token.count(".") != 2:
            expires = min(expires, now + KEPT)
        grant = Grant(
            id="",
            client=client or subject,
            user=f"{self._issuer} {subject}" if personal else "",
            fhir_user=fhir_user,
            scopes=" ".join(scopes),
            context=context,
        )
        issued = datetime.fromtimestamp(_moment(claims.get("iat")) or now, UTC)
        live = Live(grant, datetime.fromtimestamp(expires, UTC), digest(token), issued)
        return Outside(live, self._issuer, subject if personal else "")

    def _fhir_user(self, claims: Json) -> str | None:
        """The user's resource on this server, "" without one; None when the claim names anything else."""
        if "fhirUser" not in claims:
            return ""
        reference = _text(claims["fhirUser"]).removeprefix(f"{self._base_url}/")
        return reference if _USER.fullmatch(reference) else None


def _scopes(claims: Json) -> list[str]:
    value = claims["scope"] if "scope" in claims else claims.get("scp")
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str) and " " not in one]
    return value.split() if isinstance(value, str) else []


def _is_signed_by(token: str, algorithm: str, key: Json) -> bool:
    kind, curve = _KEYS[algorithm]
    if key.get("kty") != kind or (curve is not None and key.get("crv") != curve):
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    public = {name: value for name, value in key.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    try:
        jws.deserialize_compact(token, JWKRegistry.import_key(public), registry=_registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _object(part: str) -> Json | None:
    try:
        value = json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        return None
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 512 else ""


def _moment(value: Any) -> float | None:
    """Seconds since 1970 of a JSON number."""
    is_number = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < MAX_MOMENT else None


def _away() -> FhirError:
    return Unavailable("The outside authorization server does not answer.", headers={"Retry-After": "5"})
