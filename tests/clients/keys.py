"""Clients' keys, the statements they sign, and the server's signatures checked."""

from __future__ import annotations

import time
from secrets import token_urlsafe
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, KeySet, RSAKey

Json = dict[str, Any]
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECRET = {"d", "p", "q", "dp", "dq", "qi"}


def new_key(algorithm: str) -> Json:
    """A new private JWK for RS384 or ES384, with `alg` and `kid`."""
    members: KeyParameters = {"alg": algorithm, "use": "sig", "kid": f"key-{token_urlsafe(6)}"}
    key = RSAKey.generate_key(2048, members) if algorithm == "RS384" else ECKey.generate_key("P-384", members)
    return dict(key.as_dict(private=True))


def public(*keys: Json) -> Json:
    """The JWK Set that a client registers, or publishes."""
    return {"keys": [{name: value for name, value in key.items() if name not in SECRET} for key in keys]}


def assertion(key: Json, client: str, audience: str, **claims: Any) -> str:
    """A client's signed statement of who it is, good for four minutes; `claims` replace what it says."""
    told = {"iss": client, "sub": client, "aud": audience, "exp": int(time.time()) + 240, "jti": token_urlsafe(16)}
    header = {"alg": key["alg"], "kid": key["kid"], "typ": "JWT"}
    private = (RSAKey if key["kty"] == "RSA" else ECKey).import_key(key)
    return jwt.encode(header, told | claims, private, algorithms=[key["alg"]])


def id_claims(issuer: str, token: str, client: str) -> Json:
    """The claims of an id_token, after its signature by a published key, its issuer, audience and times."""
    configuration = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    assert configuration["issuer"] == issuer
    keys = KeySet.import_key_set(httpx.get(configuration["jwks_uri"]).json())
    claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
    required = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": client},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )
    required.validate(claims)
    return dict(claims)
