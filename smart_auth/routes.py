"""Every endpoint and page of the authorization server, as one router for the root of the site."""

from __future__ import annotations

from fhir_server.rest.router import Router
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


def routes(auth: SmartAuth) -> Router:
    """What stands at /auth and /.well-known; in open mode nobody signs in, and there is nothing."""
    router = Router()
    if not auth.settings.open:
        for part in _PARTS:
            router.include(part.routes(auth))
    return router
