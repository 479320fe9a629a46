"""Apps register themselves, where the operator lets them: RFC 7591, and RFC 7592 to look and to leave again.

https://hl7.org/fhir/smart-app-launch/app-launch.html#register-app-with-ehr
"""

from __future__ import annotations

from dataclasses import replace
from hmac import compare_digest
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_server import json
from fhir_server.outcomes import UnsupportedMedia
from fhir_server.rest.body import bare_type
from fhir_server.rest.router import Router
from smart_auth import redirects
from smart_auth.client_authentication import METHODS
from smart_auth.clients import Client, new_client_id, with_origins
from smart_auth.endpoint import NO_STORE, Endpoint, answer, bearer
from smart_auth.errors import OAuthError
from smart_auth.fetch import FetchRefused
from smart_auth.limits import Limit, address_of
from smart_auth.scopes import narrowed, words
from smart_auth.service import SmartAuth, issuer
from smart_auth.store import digest, new_token, now

Json = dict[str, Any]

PATH = "/auth/register"
PER_ADDRESS = Limit("registration by address", 20, 3600)
MAX_LISTED = 20
# Services that act for themselves are for the operator to register.
GRANT_TYPES = ("authorization_code", "refresh_token")
_KINDS = {method: kind for kind, method in METHODS.items()}


def routes(auth: SmartAuth) -> Router:
    """`POST /auth/register`, and `GET` and `DELETE` of what it registered; none without FHIR_DYNAMIC_REGISTRATION."""
    router = Router()
    if not auth.settings.dynamic_registration:
        return router
    endpoint = Endpoint(auth.settings, auth.clients)

    @router.options(PATH)
    @router.options(PATH + "/{id_}")
    async def preflight(request: Request) -> Response:
        return await endpoint.preflight(request)

    @router.post(PATH)
    async def register(request: Request) -> Response:
        async def work() -> Response:
            await auth.limits.count(PER_ADDRESS, address_of(request, auth.settings))
            where = issuer(endpoint.base_url(request)) + PATH
            return await _register(auth, await _metadata(endpoint, request), where)

        return await endpoint.serve(request, work)

    @router.get(PATH + "/{id_}")
    async def look(request: Request) -> Response:
        async def work() -> Response:
            return answer(_told(await _own(auth, request)))

        return await endpoint.serve(request, work)

    @router.delete(PATH + "/{id_}")
    async def leave(request: Request) -> Response:
        async def work() -> Response:
            await auth.clients.remove((await _own(auth, request)).id)
            return Response(status_code=204, headers=NO_STORE)

        return await endpoint.serve(request, work)

    return router


async def _metadata(endpoint: Endpoint, request: Request) -> Json:
    if bare_type(request.headers.get("content-type", "")) != "application/json":
        raise UnsupportedMedia("The body must be application/json.")
    try:
        metadata = json.decode(await endpoint.body(request))
    except json.InvalidJson:
        metadata = None
    if not isinstance(metadata, dict):
        raise wrong("The body is not a JSON object.")
    return metadata


async def _register(auth: SmartAuth, metadata: Json, where: str) -> Response:
    client = client_of(metadata)
    if redirects.origin_of(where) in {redirects.origin_of(uri) for uri in client.redirect_uris}:
        raise OAuthError("invalid_redirect_uri", "A redirect URI leads to the app, not to this server.")
    if client.jwks_uri:
        try:
            auth.client_authentication.fetcher.check(client.jwks_uri)
        except FetchRefused as refused:
            raise wrong(f"jwks_uri: {refused}") from None
    token = new_token()
    try:
        await auth.clients.add(replace(client, registration_hash=digest(token)))
    except ValueError as error:
        raise wrong(str(error)) from None
    told = {
        **_told(client),
        "client_id_issued_at": int(now().timestamp()),
        "registration_access_token": token,
        "registration_client_uri": f"{where}/{client.id}",
    }
    if client.kind == "confidential-symmetric":
        told |= {"client_secret": await auth.clients.new_secret(client.id), "client_secret_expires_at": 0}
    return answer(told, 201)


async def _own(auth: SmartAuth, request: Request) -> Client:
    """The client whose registration access token the caller has. Raises OAuthError (401) for all others alike."""
    client = await auth.clients.get(request.path_params["id_"])
    token = digest(bearer(request) or "")
    if client is None or not client.registration_hash or not compare_digest(client.registration_hash, token):
        raise OAuthError("invalid_token", "The registration access token is not that of this client.", 401)
    return client


def client_of(metadata: Json) -> Client:
    """The client that the metadata describe, with a new id. Raises OAuthError: invalid_client_metadata …"""
    method = _text(metadata, "token_endpoint_auth_method") or "client_secret_basic"
    if method not in _KINDS:
        raise wrong(f"token_endpoint_auth_method must be one of {', '.join(_KINDS)}.")
    grant_types = _texts(metadata, "grant_types") or ("authorization_code",)
    if not set(grant_types) <= set(GRANT_TYPES):
        raise wrong(f"grant_types can be {' and '.join(GRANT_TYPES)}; others are registered by the operator.")
    if not set(_texts(metadata, "response_types") or ("code",)) <= {"code"}:
        raise wrong("response_types can only be code.")
    redirect_uris = _texts(metadata, "redirect_uris")
    if problem := next((found for uri in redirect_uris if (found := redirects.problem(uri))), None):
        raise OAuthError("invalid_redirect_uri", problem)
    return with_origins(
        Client(
            new_client_id(),
            _text(metadata, "client_name") or "An app without a name",
            _KINDS[method],
            jwks=_jwks(metadata),
            jwks_uri=_text(metadata, "jwks_uri"),
            redirect_uris=redirect_uris,
            launch_uri=_text(metadata, "initiate_login_uri"),
            scopes=_scopes(metadata),
            grant_types=grant_types,
            contacts=_texts(metadata, "contacts"),
            logo_uri=_text(metadata, "logo_uri"),
        )
    )


def _jwks(metadata: Json) -> Json | None:
    """The key set, of each key what is text: everything that matters in a key is."""
    jwks = metadata.get("jwks")
    if jwks is None:
        return None
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or len(keys) > MAX_LISTED or not all(isinstance(key, dict) for key in keys):
        raise wrong(f"jwks must be a JWK Set of up to {MAX_LISTED} keys.")
    return {"keys": [{name: text for name, text in key.items() if isinstance(text, str)} for key in keys]}


def _scopes(metadata: Json) -> str:
    """Those asked for that users can give; none asked for leaves it to the user."""
    asked = words(_text(metadata, "scope", 4000))
    given = [scope for scope in narrowed(asked, "") if not scope.startswith("system/")]
    if asked and not given:
        raise wrong("None of these scopes can be given by a user of this server.")
    return " ".join(given)


def _told(client: Client) -> Json:
    """The metadata of a client as it was registered, without what it does not have."""
    told: Json = {
        "client_id": client.id,
        "client_name": client.name,
        "token_endpoint_auth_method": METHODS[client.kind],
        "grant_types": list(client.grant_types),
        "response_types": ["code"],
        "redirect_uris": list(client.redirect_uris),
        "scope": client.scopes,
        "contacts": list(client.contacts),
        "logo_uri": client.logo_uri,
        "initiate_login_uri": client.launch_uri,
        "jwks_uri": client.jwks_uri,
        "jwks": client.jwks,
    }
    return {name: value for name, value in told.items() if value}


def wrong(description: str) -> OAuthError:
    """The metadata cannot be accepted."""
    return OAuthError("invalid_client_metadata", description)


def _text(metadata: Json, name: str, limit: int = 2000) -> str:
    value = metadata.get(name, "")
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise wrong(f"{name} must be a string of up to {limit} characters.")
    return value


def _texts(metadata: Json, name: str) -> tuple[str, ...]:
    value = metadata.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_LISTED or not all(isinstance(one, str) for one in value):
        raise wrong(f"{name} must be a list of up to {MAX_LISTED} strings.")
    return tuple(_text({name: one}, name) for one in value)
