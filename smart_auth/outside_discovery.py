"""What an outside authorization server says of itself: read at the start, for apps that ask here where to sign in.

https://openid.net/specs/openid-connect-discovery-1_0.html · RFC 8414
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import structlog

from fhir_server import json
from smart_auth.fetch import Fetcher, FetchRefused

log = structlog.get_logger(__name__)

Json = dict[str, Any]

# Whoever signs in there, the scopes of its tokens mean here what they mean in ours.
CAPABILITIES = ("permission-patient", "permission-user", "permission-v1", "permission-v2")
_ADDRESSES = (
    *("authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint"),
    *("registration_endpoint", "management_endpoint", "jwks_uri"),
)
_LISTS = tuple(
    f"{name}_supported"
    for name in (
        *("grant_types", "response_types", "response_modes", "scopes", "code_challenge_methods"),
        *("token_endpoint_auth_methods", "token_endpoint_auth_signing_alg_values"),
    )
)


async def find(issuer: str, fetcher: Fetcher | None = None) -> Json:
    """Its smart-configuration as far as it can be had; without it one that names no place to sign in, also not ours."""
    fetcher = fetcher or Fetcher(allow_local=True)  # its address is the operator's own choice
    for address in _documents(issuer):
        try:
            found = json.decode((await fetcher.get(address)).body)
        except (FetchRefused, json.InvalidJson) as error:
            log.warning("an outside authorization server's discovery cannot be read", reason=type(error).__name__)
            continue
        # A document that names another issuer is another's: RFC 8414, section 3.3.
        if isinstance(found, dict) and found.get("issuer") == issuer:
            return configuration(found)
    return {"capabilities": list(CAPABILITIES)}


def configuration(found: Json) -> Json:
    """The smart-configuration that follows from the outside server's document."""
    known: Json = {"issuer": found["issuer"]}
    known |= {name: found[name] for name in _ADDRESSES if _is_address(found.get(name))}
    known |= {name: found[name] for name in _LISTS if _is_texts(found.get(name))}
    own = found.get("capabilities")
    return {**known, "capabilities": own if isinstance(own, list) and _is_texts(own) else list(CAPABILITIES)}


def _documents(issuer: str) -> tuple[str, ...]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    origin = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}/.well-known/oauth-authorization-server{path}",
    )


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://"))


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
