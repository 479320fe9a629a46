"""Where apps get their tokens: https://hl7.org/fhir/smart-app-launch/app-launch.html#obtain-access-token"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth.client_assertion import TOKEN_PATH
from smart_auth.clients import Client
from smart_auth.endpoint import Endpoint, answer, required
from smart_auth.errors import OAuthError
from smart_auth.grant import Grant
from smart_auth.grants import GRANTS
from smart_auth.id_token import id_token
from smart_auth.lifetimes import has_user
from smart_auth.limits import Limit, address_of
from smart_auth.service import SmartAuth, issuer
from smart_auth.tokens import Issued

Json = dict[str, Any]

# https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#launch-context-arrives-with-your-access_token
CONTEXT = ("patient", "encounter", "fhirContext", "need_patient_banner", "smart_style_url", "intent", "tenant")
PER_ADDRESS = Limit("token by address", 600, 60)
PER_CLIENT = Limit("token by client", 1200, 60)


def routes(auth: SmartAuth) -> Router:
    """`POST /auth/token`."""
    router = Router()
    endpoint = Endpoint(auth.settings, auth.clients)

    @router.options(TOKEN_PATH)
    async def preflight(request: Request) -> Response:
        return await endpoint.preflight(request)

    @router.post(TOKEN_PATH)
    async def token(request: Request) -> Response:
        async def work() -> Response:
            await auth.limits.count(PER_ADDRESS, address_of(request, auth.settings))
            base_url = endpoint.base_url(request)
            form = await _of_whom(auth, request, await endpoint.form(request))
            client = await auth.client_authentication.client(request.headers, form, issuer(base_url))
            await auth.limits.count(PER_CLIENT, client.id)
            (grant_type,) = required(form, "grant_type")
            if grant_type not in GRANTS:
                raise OAuthError("unsupported_grant_type", "This server does not know this grant_type.")
            if grant_type not in client.grant_types:
                raise OAuthError("unauthorized_client", "The client is not registered for this grant_type.")
            issued = await GRANTS[grant_type](auth, client, form)
            await _check_user(auth, issued.grant)
            is_first = grant_type == "authorization_code"
            return answer(await _response(auth, client, issued, base_url, with_identity=is_first))

        return await endpoint.serve(request, work)

    return router


async def _of_whom(auth: SmartAuth, request: Request, form: Mapping[str, str]) -> Mapping[str, str]:
    """The form, with the client_id that a public app leaves out when it refreshes: the token tells whose it is.

    Known apps do so; a confidential client is refused without its proof all the same.
    """
    named = {"client_id", "client_assertion"} & set(form) or "authorization" in request.headers
    if form.get("grant_type") != "refresh_token" or named:
        return form
    return {**form, "client_id": await auth.tokens.client_of(form.get("refresh_token", ""))}


def context_of(grant: Grant) -> Json:
    """What the grant tells of the context the app was launched in; nothing else gets into a response this way."""
    return {name: value for name, value in grant.context.items() if name in CONTEXT}


async def _check_user(auth: SmartAuth, grant: Grant) -> None:
    """Take back what was just made for a user who may not sign in any more. Raises OAuthError."""
    if not await has_user(auth.users, grant):
        await auth.tokens.revoke(grant.id)
        raise OAuthError("invalid_grant", "The user's account is not active.")


async def _response(auth: SmartAuth, client: Client, issued: Issued, base_url: str, *, with_identity: bool) -> Json:
    """What the app is told: its tokens, what they are good for, and the context it was launched in."""
    grant = issued.grant
    response: Json = {
        **context_of(grant),
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": grant.scopes,
    }
    if issued.refresh is not None:
        response["refresh_token"] = issued.refresh
    if with_identity and grant.has("openid"):
        response["id_token"] = await id_token(auth.keys, grant, client.id, base_url)
    return response
