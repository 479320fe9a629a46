"""Whether the process lives and can serve: for people, load balancers and Kubernetes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fhir_server import __version__
from fhir_server.outcomes import Unavailable
from fhir_server.rest.router import Router

Check = Callable[[], Awaitable[None]]  # raises what is wrong
log = structlog.get_logger()
NO_STORE = {"Cache-Control": "no-store"}


def health_routes(check: Check) -> Router:
    """`/health/live` answers as long as the process does; `/health` and `/health/ready` 503 when `check` raises.

    Unavailable is told in its own words.
    """
    router = Router()

    @router.get("/health/live")
    async def live(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=NO_STORE)

    @router.get("/health")
    @router.get("/health/ready")
    async def ready(_: Request) -> Response:
        try:
            await check()
        except Unavailable as trouble:
            body = {"status": "unavailable", "version": __version__, "database": "ok", "search": str(trouble)}
            return JSONResponse(body, 503, headers={**NO_STORE, "Retry-After": "30"})
        except Exception as error:
            log.warning("not ready", exception=type(error).__qualname__)
            body = {"status": "unavailable", "version": __version__, "database": "unreachable"}
            return JSONResponse(body, 503, headers={**NO_STORE, "Retry-After": "2"})
        return JSONResponse({"status": "ok", "version": __version__, "database": "ok"}, headers=NO_STORE)

    return router
