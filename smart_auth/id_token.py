"""Who the user is, for the app: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-identity-data

https://openid.net/specs/openid-connect-core-1_0.html#IDToken
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from smart_auth.grant import Grant
from smart_auth.keys import Keys
from smart_auth.service import issuer
from smart_auth.store import now

Json = dict[str, Any]

SECONDS = 3600


async def id_token(keys: Keys, grant: Grant, client: str, base_url: str) -> str:
    """The signed statement, RS256, of a grant with the scope openid; `base_url` is the FHIR base."""
    issued = int(now().timestamp())
    claims = {"iss": issuer(base_url), "aud": client, "iat": issued, "exp": issued + SECONDS}
    if grant.nonce:
        claims["nonce"] = grant.nonce
    if grant.signed_in is not None:
        claims["auth_time"] = int(grant.signed_in.timestamp())
    return await keys.sign({**claims, **identity(grant, base_url)})


def identity(grant: Grant, base_url: str) -> Json:
    """`sub`, and as far as the scopes go, `fhirUser` and (SMART 1's name for it) `profile`: absolute URLs."""
    claims = {"sub": subject(grant.user, base_url)}
    url = f"{base_url}/{grant.fhir_user}"
    if grant.fhir_user and grant.has("openid"):
        if grant.has("fhirUser"):
            claims["fhirUser"] = url
        if grant.has("fhirUser") or grant.has("profile"):
            claims["profile"] = url
    return claims


def subject(user: str, base_url: str) -> str:
    """What apps know a user by: always the same, and not the login name, which often is a person's."""
    return str(uuid5(NAMESPACE_URL, f"{issuer(base_url)}/users/{user}"))
