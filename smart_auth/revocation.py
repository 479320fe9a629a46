"""An app gives back a token: https://hl7.org/fhir/smart-app-launch/conformance.html · RFC 7009"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth.endpoint import NO_STORE, Endpoint, required
from smart_auth.service import SmartAuth, issuer

PATH = "/auth/revoke"


def routes(auth: SmartAuth) -> Router:
    """`POST /auth/revoke`: once answered, no process honours the token; a refresh token takes its family along."""
    router = Router()
    endpoint = Endpoint(auth.settings, auth.clients)

    @router.options(PATH)
    async def preflight(request: Request) -> Response:
        return await endpoint.preflight(request)

    @router.post(PATH)
    async def revoke(request: Request) -> Response:
        async def work() -> Response:
            form = await endpoint.form(request)
            seen = issuer(endpoint.base_url(request))
            client = await auth.client_authentication.client(request.headers, form, seen)
            (token,) = required(form, "token")
            # A token that is unknown, or another client's, is as good as revoked: RFC 7009, section 2.2.
            await auth.tokens.revoke_token(token, client.id)
            return Response(status_code=200, headers=NO_STORE)

        return await endpoint.serve(request, work)

    return router
