"""Every endpoint and page of the authorization server, as one router for the root of the site."""

from __future__ import annotations

from fastapi import APIRouter

from smart_auth import (
    discovery,
    introspection,
    pages,
    registration,
    revocation,
    token_endpoint,
    userinfo,
)
from smart_auth.service import SmartAuth

_PARTS = (discovery, introspection, pages, registration, revocation, token_endpoint, userinfo)


def routes(auth: SmartAuth) -> APIRouter:
    """What stands at /auth and /.well-known; in open mode nobody signs in, and there is nothing."""
    router = APIRouter()
    if not auth.settings.open:
        for part in _PARTS:
            router.include_router(part.routes(auth))
    return router
