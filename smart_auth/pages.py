"""Every page for people, as one router: docs/sign-in.md."""

from __future__ import annotations

from fastapi import APIRouter, Response

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


def routes(auth: SmartAuth) -> APIRouter:
    """The pages under /auth, and their style sheet."""
    router = APIRouter(include_in_schema=False)

    @router.get("/auth/static/{name}")
    async def static(name: str) -> Response:
        return ASSETS.answer(name)

    for part in PARTS:
        router.include_router(part.routes(auth))
    return router
