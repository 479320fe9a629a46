"""What this server offers to apps, for them to read before they do anything else.

https://hl7.org/fhir/smart-app-launch/conformance.html · https://openid.net/specs/openid-connect-discovery-1_0.html ·
RFC 8414
"""

from __future__ import annotations

from typing import Any

from fhir_server.config import Settings
from fhir_server.rest.router import Router
from smart_auth.client_assertion import ALGORITHMS, TOKEN_PATH
from smart_auth.client_authentication import METHODS
from smart_auth.endpoint import Endpoint
from smart_auth.grants import GRANTS
from smart_auth.scopes import IDENTITY, LAUNCH, REFRESH
from smart_auth.service import SmartAuth, issuer

Json = dict[str, Any]

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
# Of those for resources, the widest: every scope within them can be asked for.
SCOPES = (
    *IDENTITY,
    *LAUNCH,
    *REFRESH,
    *(
        f"{level}/*.{actions}"
        for level in ("patient", "user", "system")
        for actions in ("cruds", "rs", "read", "write")
    ),
)
KEEP = 300  # seconds: every app that opens asks for it first, and it changes with the settings alone
SMART = ("/.well-known/smart-configuration", "/fhir/.well-known/smart-configuration")
OPENID = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


def smart_configuration(settings: Settings, base_url: str) -> Json:
    """The smart-configuration of the FHIR base URL, with absolute URLs."""
    return {**_common(settings, base_url), "capabilities": list(CAPABILITIES)}


def openid_configuration(settings: Settings, base_url: str) -> Json:
    """The same for OpenID Connect's relying parties."""
    return {
        **_common(settings, base_url),
        "userinfo_endpoint": f"{issuer(base_url)}/auth/userinfo",
        "end_session_endpoint": f"{issuer(base_url)}/auth/logout",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "fhirUser", "profile"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "ui_locales_supported": ["en"],
    }


def _common(settings: Settings, base_url: str) -> Json:
    own = issuer(base_url)
    found: Json = {
        "issuer": own,
        "jwks_uri": f"{own}/auth/jwks",
        "authorization_endpoint": f"{own}/auth/authorize",
        "token_endpoint": own + TOKEN_PATH,
        "introspection_endpoint": f"{own}/auth/introspect",
        "revocation_endpoint": f"{own}/auth/revoke",
        "management_endpoint": f"{own}/auth/apps",
        "grant_types_supported": list(GRANTS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    methods = list(METHODS.values())
    for endpoint in ("token", "introspection", "revocation"):
        # A public client introspects with an access token instead.
        known = [one for one in methods if one != "none"] if endpoint == "introspection" else methods
        found[f"{endpoint}_endpoint_auth_methods_supported"] = known
        found[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    if settings.dynamic_registration:
        found["registration_endpoint"] = f"{own}/auth/register"
    return found


def routes(auth: SmartAuth) -> Router:
    """The documents under /.well-known, and `/auth/jwks`; in open mode there are none."""
    router = Router()
    if auth.settings.open:
        return router
    endpoint = Endpoint(auth.settings, auth.clients)

    async def smart(base_url: str) -> Json:
        return auth.outside or smart_configuration(auth.settings, base_url)

    async def openid(base_url: str) -> Json:
        return openid_configuration(auth.settings, base_url)

    async def jwks(_: str) -> Json:
        return await auth.keys.jwks()

    endpoint.publish(router, "/auth/jwks", jwks)
    for path in SMART:
        endpoint.publish(router, path, smart, KEEP)
    for path in OPENID:
        endpoint.publish(router, path, openid, KEEP)
    return router
