"""What a token is good for, told to whoever may ask.

https://hl7.org/fhir/smart-app-launch/token-introspection.html · RFC 7662
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth.endpoint import Endpoint, Form, answer, bearer, required
from smart_auth.errors import OAuthError
from smart_auth.id_token import identity
from smart_auth.lifetimes import has_user
from smart_auth.service import SmartAuth, issuer
from smart_auth.token_endpoint import context_of
from smart_auth.tokens import Live

Json = dict[str, Any]

PATH = "/auth/introspect"
INACTIVE: Json = {"active": False}


def routes(auth: SmartAuth) -> Router:
    """`POST /auth/introspect`, for confidential clients and for bearers of an access token."""
    router = Router()
    endpoint = Endpoint(auth.settings, auth.clients)

    @router.options(PATH)
    async def preflight(request: Request) -> Response:
        return await endpoint.preflight(request)

    @router.post(PATH)
    async def introspect(request: Request) -> Response:
        async def work() -> Response:
            base_url = endpoint.base_url(request)
            form = await endpoint.form(request)
            caller = await _caller(auth, request, form, issuer(base_url))
            (token,) = required(form, "token")
            live = await _live(auth, token, caller)
            return answer(INACTIVE if live is None else _told(live, base_url))

        return await endpoint.serve(request, work)

    return router


async def _caller(auth: SmartAuth, request: Request, form: Form, issuer: str) -> str:
    """The client_id of who asks. Raises OAuthError (401)."""
    token = bearer(request)
    if token is None:
        client = await auth.client_authentication.client(request.headers, form, issuer)
        if client.kind == "public":
            raise OAuthError("invalid_client", "A public client asks with an access token.", 401)
        return client.id
    live = await auth.tokens.find(token)
    if live is None or not await has_user(auth.users, live.grant):
        raise OAuthError("invalid_token", "The access token is unknown, expired or revoked.", 401)
    return live.grant.client


async def _live(auth: SmartAuth, token: str, caller: str) -> Live | None:
    """What the token stands for now; a refresh token is only its own client's business."""
    live = await auth.tokens.find(token)
    if live is None:
        live = await auth.tokens.find_refresh(token)
        if live is not None and live.grant.client != caller:
            return None
    return live if live is not None and await has_user(auth.users, live.grant) else None


def _told(live: Live, base_url: str) -> Json:
    grant = live.grant
    told: Json = {
        **context_of(grant),
        "active": True,
        "scope": grant.scopes,
        "client_id": grant.client,
        "exp": int(live.expires.timestamp()),
        "iat": int(live.issued.timestamp()),
        "iss": issuer(base_url),
        "aud": base_url,
    }
    if live.kind == "access":
        told["token_type"] = "Bearer"
    if grant.user:
        told |= identity(grant, base_url)
    else:
        told["sub"] = grant.client
    return told
