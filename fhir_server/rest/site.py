"""Everything around the FHIR API: landing page, reference, OpenAPI, health and metrics, on Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from fhir_server import json
from fhir_server.config import Settings
from fhir_server.interactions import capabilities
from fhir_server.outcomes import FhirError
from fhir_server.registry import registry
from fhir_server.rest import metrics
from fhir_server.rest.base_url import BaseUrls
from fhir_server.rest.document import HEADERS, document
from fhir_server.rest.guide import guide_routes
from fhir_server.rest.head import joined
from fhir_server.rest.health import Check, health_routes
from fhir_server.rest.openapi import openapi
from fhir_server.rest.pages import landing
from fhir_server.rest.reference import index_page, type_page
from fhir_server.rest.router import Router
from fhir_server.search.registry import changes

Counts = Callable[[], Awaitable[Mapping[str, int]]]
STATIC = Path(__file__).parent / "static"
log = structlog.get_logger()


def site(settings: Settings, *, counts: Counts, check: Check, prefix: str = "/fhir") -> Starlette:
    """The pages; `counts` gives resources by type, `check` raises when the server cannot serve."""
    router = Router()
    base_urls = BaseUrls(settings, prefix)

    def base_of(request: Request) -> str:
        try:
            return base_urls.of(request.scope, joined(request.scope["headers"]))
        except FhirError as error:
            raise HTTPException(error.status, str(error)) from None

    router.include(health_routes(check))
    router.include(guide_routes(base_of))

    @router.get("/metrics")
    async def scrape(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    @router.get("/")
    async def home(request: Request) -> Response:
        held = await _counted(counts) if settings.open else None  # how much there is, strangers are not told
        return _page(landing(base_of(request), held, is_open=settings.open))

    @router.get("/docs")
    async def reference(request: Request) -> Response:
        return _page(index_page(await _statement(settings, base := base_of(request)), base))

    @router.get("/docs/{name}")
    async def reference_of(request: Request) -> Response:
        statement = await _statement(settings, base := base_of(request))
        page = type_page(statement, request.path_params["name"], base)
        return _page(page) if page else _missing(base)

    @router.get("/openapi.json")
    async def description(request: Request) -> Response:
        return Response(await _openapi(settings, base_of(request)), media_type="application/json")

    @router.get("/favicon.ico")
    async def icon(_: Request) -> Response:
        return RedirectResponse("static/icon.svg", 308)

    async def missing(request: Request, _: Exception) -> Response:
        try:
            return _missing(base_of(request))
        except HTTPException as refused:  # whoever asks under a foreign name is told so, and no links
            return await _refused(request, refused)

    return Starlette(
        routes=[Mount("/static", StaticFiles(directory=STATIC)), *router.routes],
        middleware=[Middleware(GZipMiddleware, minimum_size=4096, compresslevel=4)],
        exception_handlers={404: missing, HTTPException: _refused},
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def _counted(counts: Counts) -> Mapping[str, int] | None:
    try:
        return await counts()
    except Exception as error:
        log.warning("no counts", exception=type(error).__qualname__)
        return None


async def _statement(settings: Settings, base_url: str) -> dict[str, Any]:
    return capabilities.parsed(await capabilities.text_of(settings, base_url))


_descriptions: dict[tuple[bool, int], bytes] = {}
_BASE = "http://base.invalid/fhir"
_ORIGIN = "http://base.invalid"


async def _openapi(settings: Settings, base_url: str) -> bytes:
    """The document, made once and kept with a placeholder for the base URL and for the server's root."""
    key = (settings.open, changes())
    kept = _descriptions.get(key)
    if kept is None:
        statement = await _statement(settings, _BASE)
        description = openapi(statement, _BASE, operations=registry.operations)
        _descriptions.clear()
        kept = _descriptions[key] = json.encode(description)
    kept = kept.replace(_BASE.encode(), base_url.encode())
    return kept.replace(_ORIGIN.encode(), base_url.removesuffix("/fhir").encode())


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status, headers={**HEADERS, "Cache-Control": "no-cache"})


def _missing(base_url: str) -> Response:
    text = '<h1>Nothing here</h1><p class="lead">The FHIR API begins at <code>/fhir</code>.</p>'
    return _page(document("Nothing here", text, base_url), 404)
