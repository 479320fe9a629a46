"""Who the user is, for the bearer of an access token: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth.endpoint import Endpoint, answer, bearer
from smart_auth.errors import OAuthError
from smart_auth.id_token import identity
from smart_auth.lifetimes import has_user
from smart_auth.service import SmartAuth

PATH = "/auth/userinfo"


def routes(auth: SmartAuth) -> Router:
    """`GET` and `POST /auth/userinfo`, with the scope openid."""
    router = Router()
    endpoint = Endpoint(auth.settings, auth.clients)

    @router.options(PATH)
    async def preflight(request: Request) -> Response:
        return await endpoint.preflight(request)

    @router.on(PATH, "GET", "POST")
    async def userinfo(request: Request) -> Response:
        async def work() -> Response:
            base_url = endpoint.base_url(request)
            live = await auth.tokens.find(bearer(request) or "")
            if live is None or not live.grant.user or not await has_user(auth.users, live.grant):
                raise OAuthError("invalid_token", "An access token of a user is needed.", 401)
            if not live.grant.has("openid"):
                raise OAuthError("insufficient_scope", "The scope openid was not granted.", 403)
            return answer(identity(live.grant, base_url))

        return await endpoint.serve(request, work)

    return router
