"""Every page for people, as one router: docs/sign-in.md."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.rest.router import Router
from smart_auth import (
    account,
    apps,
    authorize,
    consent,
    enrolment,
    invitation,
    login,
    outside,
    picker,
    reset,
    sign_up,
)
from smart_auth.assets import ASSETS
from smart_auth.service import SmartAuth

PARTS = (account, apps, authorize, consent, enrolment, invitation, login, outside, picker, reset, sign_up)


def routes(auth: SmartAuth) -> Router:
    """The pages under /auth, and their style sheet."""
    router = Router()

    @router.get("/auth/static/{name}")
    async def static(request: Request) -> Response:
        return ASSETS.answer(request.path_params["name"])

    for part in PARTS:
        router.include(part.routes(auth))
    return router
