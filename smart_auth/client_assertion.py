"""private_key_jwt: a client proves who it is by signing a short statement that counts once.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html · RFC 7523, section 3
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, RSAKey
from pymongo.errors import DuplicateKeyError

from fhir_server import json
from fhir_server.storage.database import Database
from smart_auth.fetch import FetchRefused
from smart_auth.jwks import KeySets, with_id
from smart_auth.store import collection

TOKEN_PATH = "/auth/token"

Json = dict[str, Any]

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS384", "ES384")
COLLECTION = "auth_assertion"
MIN_RSA_BITS = 2048
MAX_LENGTH = 16 * 1024  # characters
LIFETIME = 300  # seconds that `exp` may lie ahead
SKEW = 60  # seconds that the client's clock may be wrong
MAX_MOMENT = 10**11  # seconds since 1970
# Keys that the caller brings along prove nothing, and what must be understood is not understood here.
_FORBIDDEN_HEADERS = ("jwk", "x5u", "x5c", "crit", "b64", "zip", "enc")
_TYPES = (None, "jwt", "client-authentication+jwt")
_KEY_TYPES = {"RS384": "RSA", "ES384": "EC"}
_registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_registry.max_header_length = 4096


class AssertionRefused(Exception):
    """The assertion does not prove who the client is; the message names the rule it breaks."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signed statement as it was sent: whose it says it is, and nothing of it believed yet."""

    text: str
    header: Json
    claims: Json

    @property
    def client_id(self) -> str:
        return str(self.claims["iss"])


def read(text: str) -> Assertion:
    """The parts of an assertion whose form is right. Raises AssertionRefused."""
    parts = text.split(".")
    if len(text) > MAX_LENGTH or len(parts) != 3 or not all(parts):
        raise AssertionRefused("client_assertion is not a signed JWT.")
    header, claims = _object(parts[0]), _object(parts[1])
    if header.get("alg") not in ALGORITHMS:
        raise AssertionRefused("The algorithm of client_assertion must be RS384 or ES384.")
    if not _is_name(header.get("kid")):
        raise AssertionRefused("client_assertion must name its key in `kid`.")
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise AssertionRefused(f"client_assertion may not have the header `{name}`.")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise AssertionRefused("The `typ` of client_assertion must be JWT.")
    if not _is_name(claims.get("iss")):
        raise AssertionRefused("client_assertion has no `iss`.")
    return Assertion(text, header, claims)


async def check_signature(assertion: Assertion, jwks: Json | None, jwks_uri: str | None, key_sets: KeySets) -> None:
    """Raise AssertionRefused unless a key that the client registered, or keeps at its `jwks_uri`, signed it."""
    header = assertion.header
    if "jku" in header and header["jku"] != (jwks_uri or None):
        raise AssertionRefused("The header `jku` of client_assertion is not the registered jwks_uri.")
    try:
        found = await key_sets.find(jwks_uri, header["kid"]) if jwks_uri else with_id(jwks or {}, header["kid"])
    except FetchRefused as refused:
        raise AssertionRefused(f"The client's jwks_uri cannot be used: {refused}") from None
    keys = [key for key in found if key.get("kty") == _KEY_TYPES[header["alg"]]]
    if not keys:
        raise AssertionRefused("The client has no such key: its `kid` with the type that the algorithm needs.")
    if not any(_is_signed_by(assertion, key) for key in keys):
        raise AssertionRefused("The signature of client_assertion is wrong.")


def check_claims(claims: Json, audience: str, now: float) -> None:
    """Raise AssertionRefused unless the statement is about its own issuer, for us (`audience`), and for now."""
    if claims.get("sub") != claims["iss"]:
        raise AssertionRefused("`iss` and `sub` of client_assertion must both be the client_id.")
    named = claims.get("aud")
    # The token endpoint, as SMART has it, or the issuer, as OAuth does by now: each of them is this server only.
    ours = {audience, audience.removesuffix(TOKEN_PATH)}
    if ours.isdisjoint(one for one in (named if isinstance(named, list) else [named]) if isinstance(one, str)):
        raise AssertionRefused("`aud` of client_assertion must be the URL of the token endpoint.")
    expires = _moment(claims.get("exp"))
    if expires is None:
        raise AssertionRefused("client_assertion has no `exp`.")
    if expires <= now - SKEW:
        raise AssertionRefused("client_assertion has expired.")
    if expires > now + LIFETIME + SKEW:
        raise AssertionRefused(f"`exp` of client_assertion may lie at most {LIFETIME} seconds ahead.")
    for name in ("nbf", "iat"):
        moment = _moment(claims[name]) if name in claims else now
        if moment is None or moment > now + SKEW:
            raise AssertionRefused(f"`{name}` of client_assertion is no moment that has come.")
    if not _is_name(claims.get("jti")):
        raise AssertionRefused("client_assertion has no `jti`.")


class Replays:
    """Remembers which assertions were used, for all processes, until they expire."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used = database.system[COLLECTION]

    async def prepare(self) -> None:
        """Create the collection, which forgets; safe to repeat."""
        await collection(self._database, COLLECTION)

    async def use(self, claims: Json) -> None:
        """Count a checked assertion as used. Raises AssertionRefused for all but the first caller."""
        key = hashlib.sha256(f"{claims['iss']}\0{claims['jti']}".encode()).hexdigest()
        until = datetime.fromtimestamp(float(claims["exp"]), UTC) + timedelta(seconds=2 * SKEW)
        try:
            await self._used.insert_one({"_id": key, "expires": until})
        except DuplicateKeyError:
            raise AssertionRefused("client_assertion was used before.") from None


def _object(part: str) -> Json:
    try:
        value = json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        value = None
    if not isinstance(value, dict):
        raise AssertionRefused("client_assertion is not a signed JWT.")
    return value


def _is_signed_by(assertion: Assertion, key: Json) -> bool:
    if key.get("use", "sig") != "sig" or key.get("alg", assertion.header["alg"]) != assertion.header["alg"]:
        return False
    public = {name: value for name, value in key.items() if name in ("kty", "n", "e", "crv", "x", "y")}
    try:
        known = JWKRegistry.import_key(public)
        if isinstance(known, RSAKey) and known.public_key.key_size < MIN_RSA_BITS:
            return False
        jws.deserialize_compact(assertion.text, known, registry=_registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 512


def _moment(value: Any) -> float | None:
    """Seconds since 1970 of a JSON number."""
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < MAX_MOMENT else None
